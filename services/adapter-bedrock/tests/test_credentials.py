"""Credentials: once for all who wait, renewed before they expire, looked for again, and never on the loop."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from omnix_adapter_bedrock import credentials as module
from omnix_adapter_bedrock.credentials import Credentials, Found, Keys
from omnix_adapter_bedrock.provider import _chain
from omnix_kit.testing import eventually
from omnix_provider.errors import AuthFailed


class Static:
    def __init__(self, key: str) -> None:
        self._keys = ReadOnlyCredentials(key, "secret", None)

    def get_frozen_credentials(self) -> Keys:
        keys: Keys = self._keys
        return keys


class Chain:
    """Answers with what it is given next; counts, and notes in which thread it was asked."""

    def __init__(self, *answers: Found | Exception | None) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.threads: set[int] = set()

    def __call__(self) -> Found | None:
        self.asked += 1
        self.threads.add(threading.get_ident())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def expiring(
    *lifetimes: timedelta, begin: Callable[[], object] = lambda: None
) -> tuple[RefreshableCredentials, list[str]]:
    """Credentials of the SDK's own, with these lifetimes one after the other."""
    left, made = list(lifetimes), list[str]()

    def renew() -> dict[str, str]:
        begin()
        lifetime = left.pop(0)
        made.append(f"key{len(made)}")
        return {
            "access_key": made[-1],
            "secret_key": "s",
            "token": "t",
            "expiry_time": (datetime.now(UTC) + lifetime).isoformat(),
        }

    return RefreshableCredentials.create_from_metadata(renew(), renew, "test"), made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever searched may search again at once."""
    monkeypatch.setattr(module, "_NOT_AGAIN_BEFORE", 0.0)


async def test_one_search_serves_all_who_wait_and_blocks_nobody() -> None:
    gate = threading.Event()

    class Slow(Chain):
        def __call__(self) -> Found | None:
            gate.wait(5)
            return super().__call__()

    chain = Slow(Static("k"))
    credentials = Credentials(chain, "bedrock")
    waiting = [asyncio.create_task(credentials.current()) for _ in range(50)]
    await asyncio.sleep(0)
    gate.set()
    assert {keys.access_key for keys in await asyncio.gather(*waiting)} == {"k"}
    assert chain.asked == 1
    assert threading.get_ident() not in chain.threads
    await credentials.current()
    assert chain.asked == 1


async def test_who_finds_none_is_told_so_and_searches_again_later(impatient: None) -> None:
    chain = Chain(None, ConnectionError("169.254.169.254"), Static("k"))
    credentials = Credentials(chain, "bedrock")
    with pytest.raises(AuthFailed, match="No AWS credentials were found") as told:
        await credentials.current()
    assert not told.value.reached
    with pytest.raises(AuthFailed, match="ConnectionError"):
        await credentials.current()
    assert credentials.problem is not None
    await eventually(lambda: credentials.problem is None)
    assert (await credentials.current()).access_key == "k"


async def test_search_in_vain_is_not_repeated_at_once() -> None:
    chain = Chain(None)
    credentials = Credentials(chain, "bedrock")
    for _ in range(5):
        with pytest.raises(AuthFailed):
            await credentials.current()
    assert chain.asked == 1


async def test_those_about_to_expire_are_used_while_they_are_renewed(impatient: None) -> None:
    gate = threading.Event()
    gate.set()
    found, made = expiring(timedelta(minutes=11), timedelta(hours=1), begin=lambda: gate.wait(5))
    credentials = Credentials(Chain(found), "bedrock")
    gate.clear()
    first = asyncio.create_task(credentials.current())
    await asyncio.sleep(0)
    gate.set()
    await first
    await eventually(lambda: made == ["key0", "key1"])
    await eventually(lambda: credentials._keys is not None and credentials._keys.access_key == "key1")
    assert (await credentials.current()).access_key == "key1"
    assert made == ["key0", "key1"]


async def test_expired_ones_that_cannot_be_renewed_are_a_failure_of_authentication(impatient: None) -> None:
    found, _ = expiring(timedelta(hours=1))
    credentials = Credentials(Chain(found), "bedrock")
    await credentials.current()
    found._expiry_time = datetime.now(UTC) - timedelta(minutes=1)
    with pytest.raises(AuthFailed):
        await credentials.current()


async def test_others_are_looked_for_when_aws_does_not_accept_those_at_hand(impatient: None) -> None:
    credentials = Credentials(Chain(Static("old"), Static("new")), "bedrock")
    assert (await credentials.current()).access_key == "old"
    credentials.look_again()
    assert (await credentials.current()).access_key == "old"  # until there are others
    await eventually(lambda: credentials._keys is not None and credentials._keys.access_key == "new")


async def test_silent_chain_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOUND_WITHIN", 0.05)
    gate = threading.Event()

    def silent() -> Found | None:
        gate.wait(5)
        return None

    credentials = Credentials(silent, "bedrock")
    with pytest.raises(AuthFailed, match="in time"):
        await credentials.current()
    gate.set()
    await eventually(lambda: credentials.problem is not None)


async def test_caller_that_leaves_takes_the_search_from_nobody() -> None:
    gate = threading.Event()

    def slow() -> Found | None:
        gate.wait(5)
        return Static("k")

    credentials = Credentials(slow, "bedrock")
    leaving, staying = (asyncio.create_task(credentials.current()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.set()
    assert (await staying).access_key == "k"


def test_chain_is_the_sdks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile of a file, here, whose keys a process gives."""
    config = tmp_path / "config"
    config.write_text(
        "[profile made]\ncredential_process = echo "
        '{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"s","SessionToken":"t"}\n'.replace('"', '\\"')
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "made")
    found = _chain()
    assert found is not None
    assert found.get_frozen_credentials().access_key == "AKIDX"
