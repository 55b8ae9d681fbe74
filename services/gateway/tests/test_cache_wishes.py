"""What a request may wish of the cache, in the header and in the body, and what an operator sets."""

from dataclasses import dataclass
from typing import Any

import pytest
from omnix.account.v1 import account_pb2
from omnix_kit.testing import eventually

from .cached import Counted, ask, body, kept, outcome, subjects_kept, text
from .conftest import Gateway, Start
from .fakes import Backends, answer

PATH = "/v1/chat/completions"


UNREADABLE = (
    "ttl",
    "ttl=",
    "ttl=0",
    "ttl=-1",
    "ttl=1.5",
    "ttl=5m",
    "ttl=²",
    f"ttl={'9' * 400}",
    "max-age",
    "on=1",
    "on,off",
    "off,ttl=5",
    "on,on",
    "ttl=5,ttl=6",
    "no-cache=1",
    "namespace",
    "namespace=",
    "namespace=a b",
    f"namespace={'a' * 129}",
    "only-if-cached",
    "true",
    "=",
)


async def test_headers_that_cannot_be_understood_are_refused(gateway: Gateway, behind: Backends) -> None:
    for wish in UNREADABLE:
        headers: Any = {"x-omnix-cache": wish.encode("latin-1")}
        refused = await gateway.http.post(PATH, json=body(), headers=headers)
        error = refused.json()["error"]
        told = (refused.status_code, error["code"], error["param"])
        assert told == (400, "invalid_request", "x-omnix-cache"), wish
        assert len(error["message"]) < 400
    assert behind.router.asked == []


async def test_fields_that_cannot_be_understood_are_named(gateway: Gateway) -> None:
    wishes: tuple[tuple[object, str], ...] = (
        ({"ttl": 0}, "cache.ttl"),
        ({"ttl": "5"}, "cache.ttl"),
        ({"max-age": -1}, "cache.max-age"),
        ({"max-age": 1, "s-maxage": 2}, "cache.s-maxage"),
        ({"namespace": "a b"}, "cache.namespace"),
        ({"forever": True}, "cache.forever"),
        ("on", "cache"),
    )
    for wish, param in wishes:
        refused = await gateway.http.post(PATH, json=body(cache=wish))
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_header_and_field_may_not_differ(gateway: Gateway) -> None:
    headers = {"x-omnix-cache": "ttl=5"}
    refused = await gateway.http.post(PATH, json=body(cache={"ttl": 6}), headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "cache")
    assert outcome(await ask(gateway, headers=headers, cache={"ttl": 5})) == "miss"


@dataclass(frozen=True)
class Case:
    """A header and a field, and whether such a request is answered from the cache and has its answer kept."""

    header: str | None
    field: object
    reads: bool
    keeps: bool


CASES = {
    "off": (
        Case("on", None, reads=True, keeps=True),
        Case(None, True, reads=True, keeps=True),
        Case("TTL=5", None, reads=True, keeps=True),
        Case("ttl = 5 , , no-store", None, reads=True, keeps=False),
        Case(None, {"ttl": 5, "no-cache": True}, reads=False, keeps=True),
        Case(None, {"s-maxage": 60}, reads=True, keeps=True),
        Case("ttl=5,no-cache,no-store", None, reads=False, keeps=False),
        Case("no-cache", None, reads=False, keeps=False),
        Case("no-store", None, reads=False, keeps=False),
        Case(None, {"no-store": False}, reads=False, keeps=False),
        Case("join", None, reads=False, keeps=False),
        Case("off", None, reads=False, keeps=False),
    ),
    "join": (Case(None, None, reads=False, keeps=False), Case("ttl=5", None, reads=True, keeps=True)),
    "on": (
        Case(None, None, reads=True, keeps=True),
        Case("no-cache", None, reads=False, keeps=True),
        Case("no-store", None, reads=True, keeps=False),
        Case("off", None, reads=False, keeps=False),
        Case(None, False, reads=False, keeps=False),
    ),
}


@pytest.mark.parametrize("usual", CASES)
async def test_wishes_mean_the_same_in_header_and_field(start: Start, behind: Backends, usual: str) -> None:
    gateway: Gateway = await start(cache=usual)
    await ask(gateway, "there already")
    await kept(behind, 1)
    lie = 1
    for number, case in enumerate(CASES[usual]):
        headers = {} if case.header is None else {"x-omnix-cache": case.header}
        more = {} if case.field is None else {"cache": case.field}
        again = await ask(gateway, "there already", headers=headers, **more)
        assert outcome(again) == ("hit" if case.reads else "bypass"), case
        new = await ask(gateway, f"new {number}", headers=headers, **more)
        assert outcome(new) == ("miss" if case.reads else "bypass"), case
        lie += case.keeps
        await kept(behind, lie)


async def test_a_refreshed_answer_takes_the_place_of_the_old_one(gateway: Gateway, behind: Backends) -> None:
    await ask(gateway)
    await kept(behind)
    behind.router.completion = answer("New.")
    counted = Counted()
    assert text(await ask(gateway, headers={"x-omnix-cache": "ttl=60,no-cache"})) == "New."
    await eventually(lambda: counted.since.get("stored") == 1)
    again = await ask(gateway)
    assert (outcome(again), text(again)) == ("hit", "New.")


async def test_the_operator_bounds_how_long_answers_are_kept(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(cache_max_ttl="1s")
    await ask(gateway, headers={"x-omnix-cache": "ttl=86400"})
    await kept(behind)
    await kept(behind, 0)


async def test_the_operator_may_have_nothing_kept(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(cache_max_ttl=0)
    for _ in range(2):
        assert outcome(await ask(gateway)) == "miss"
    assert await subjects_kept(behind) == []


@pytest.mark.parametrize(
    ("shared_by", "hits"), [("tenant", "abcdef"), ("team", "ab"), ("user", "ac"), ("key", "a")], ids=str
)
async def test_the_operator_says_who_shares(start: Start, behind: Backends, shared_by: str, hits: str) -> None:
    for name, team, user in (
        ("a", "red", "ann"),
        ("b", "red", "bob"),
        ("c", "blue", "ann"),
        ("d", "", ""),
        ("e", "", ""),
        ("f", "ann", "red"),
    ):
        key = behind.accounts.add(f"sk-omnix-{name}", name, account_pb2.KEY_ROLE_MEMBER)
        key.team_id, key.user_id = team, user
    gateway: Gateway = await start(cache_shared_by=shared_by)
    await ask(gateway, headers={"x-omnix-cache": "on", "authorization": "Bearer sk-omnix-a"})
    await kept(behind)
    reads = {"x-omnix-cache": "on,no-store"}
    found = ""
    for name in "abcdef":
        told = await ask(gateway, headers=reads | {"authorization": f"Bearer sk-omnix-{name}"})
        found += name if outcome(told) == "hit" else ""
    assert found == hits
