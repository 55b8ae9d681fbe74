"""What a key looks like and may do, as tables."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from omnix_accounts import keys
from omnix_accounts.keys import Key, Role, Wish
from omnix_kit.errors import CallerError, Reason

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key(role: Role = Role.ADMIN, expire_time: datetime | None = None, revoke_time: datetime | None = None) -> Key:
    return Key("k", "default", "name", role, "00" * 32, "sk-", NOW, expire_time=expire_time, revoke_time=revoke_time)


def wish(name: str = "ci", expire_time: datetime | None = None, user_id: str = "") -> Wish:
    return Wish("default", "k", name, Role.MEMBER, user_id=user_id, expire_time=expire_time)


def test_secrets_have_256_random_bits_and_never_repeat() -> None:
    made = {keys.new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"sk-omnix-[A-Za-z0-9_-]{43}", secret) for secret in made)


@pytest.mark.parametrize(("secret", "hint"), [("sk-omnix-" + "a" * 43, "sk-omnix-aaaa"), ("0123456789abcdef", "0123")])
def test_hint_tells_keys_apart_and_gives_little_away(secret: str, hint: str) -> None:
    assert keys.hint(secret) == hint


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (wish(name=""), "name"),
        (wish(name="   "), "name"),
        (wish(name="x" * 101), "name"),
        (wish(name="two\nlines"), "name"),
        (wish(user_id="u" * 129), "user_id"),
        (wish(expire_time=NOW), "expire_time"),
        (wish(expire_time=NOW - HOUR), "expire_time"),
    ],
)
def test_bad_wish_is_refused_by_the_name_of_its_field(asked: Wish, param: str) -> None:
    with pytest.raises(CallerError) as refused:
        keys.check(asked, NOW)
    assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, param)


@pytest.mark.parametrize("asked", [wish(name="x" * 100), wish(name="日本 ключ"), wish(expire_time=NOW + HOUR)])
def test_good_wish_passes(asked: Wish) -> None:
    keys.check(asked, NOW)


@pytest.mark.parametrize(
    ("maker", "asked", "may"),
    [
        (key(), wish(), True),
        (key(Role.MEMBER), wish(), False),
        (key(expire_time=NOW + HOUR), wish(), False),
        (key(expire_time=NOW + HOUR), wish(expire_time=NOW + 2 * HOUR), False),
        (key(expire_time=NOW + HOUR), wish(expire_time=NOW + HOUR), True),
    ],
)
def test_maker_gives_no_more_than_it_has(maker: Key, asked: Wish, may: bool) -> None:
    assert keys.may_make(maker, asked) is may


@pytest.mark.parametrize(
    ("asked", "valid"),
    [
        (key(), True),
        (key(revoke_time=NOW - HOUR), False),
        (key(expire_time=NOW), False),
        (key(expire_time=NOW + HOUR), True),
    ],
)
def test_revoked_and_expired_keys_are_not_valid(asked: Key, valid: bool) -> None:
    assert asked.is_valid(NOW) is valid
