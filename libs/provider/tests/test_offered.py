"""Lists of models, asked of a real server that answers what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from omnix_kit.testing import eventually
from omnix_provider import offered as module
from omnix_provider.offered import Ask, offered
from omnix_provider.types import ServedModel

ONE = b'{"data":[{"id":"m"}]}'
TWO = b'{"data":[{"id":"m"},{"id":"n"}]}'
HANGS_UP, NOT_NOW = b"hangs up", b"not now"
STRANGE = (
    b"[" * 100_000,  # RecursionError
    b"<html>",  # ValueError
    b"{}",  # KeyError
    b"[]",  # TypeError
    b'{"data":[{"id":"m"}, 5]}',
    b"\xff",
    HANGS_UP,
    NOT_NOW,
)


class Vendor:
    """Answers each question with the next of its answers, and goes on with the last one."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def serve(self, request: web.Request) -> web.Response:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == HANGS_UP and request.transport is not None:
            request.transport.close()
        return web.Response(status=503 if answer == NOT_NOW else 200, body=answer)


@asynccontextmanager
async def asking(vendor: Vendor) -> AsyncIterator[Ask]:
    app = web.Application()
    app.router.add_get("/models", vendor.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:

        async def ask() -> Sequence[ServedModel]:
            async with session.get(server.make_url("/models")) as response:
                response.raise_for_status()
                return [ServedModel(each["id"]) for each in json.loads(await response.read())["data"]]

        yield ask


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHORTEST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.004)
    monkeypatch.setattr(module, "_ASK_EVERY", 0.001)


def names(models: Sequence[ServedModel]) -> list[str]:
    return [each.model for each in models]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda answer: answer[:8].decode(errors="replace"))
async def test_strange_answer_is_told_and_asked_again(
    impatient: None, caplog: pytest.LogCaptureFixture, strange: bytes
) -> None:
    vendor = Vendor(strange, strange, ONE)
    async with asking(vendor) as ask, offered("openai", ask) as kept:
        assert kept.current == ()
        await eventually(lambda: names(kept.current) == ["m"])
    [told] = caplog.records  # once for both
    assert (told.levelname, told.getMessage(), told.__dict__["provider"]) == (
        "WARNING",
        "models are not known",
        "openai",
    )


async def test_last_answer_stands_while_the_next_ones_are_strange(impatient: None) -> None:
    seen: list[list[str]] = []
    async with asking(Vendor(ONE, *STRANGE, TWO)) as ask:

        async def noting() -> Sequence[ServedModel]:
            seen.append(names(kept.current))
            return await ask()

        async with offered("openai", noting) as kept:
            await eventually(lambda: names(kept.current) == ["m", "n"])
    assert seen[0] == []
    assert seen[1 : len(STRANGE)] == [["m"]] * (len(STRANGE) - 1)


async def test_pauses_do_not_grow_beyond_a_bound(impatient: None) -> None:
    """Doubled without end, that of a millisecond would be more than a minute by then."""
    vendor = Vendor(*[NOT_NOW] * 17, ONE)
    async with asking(vendor) as ask, offered("openai", ask) as kept:
        await eventually(lambda: names(kept.current) == ["m"])


async def test_server_that_is_silent_is_asked_again(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    monkeypatch.setattr(module, "_ANSWER_WITHIN", 0.05)
    silent, questions = asyncio.Event(), 0

    async def serve(request: web.Request) -> web.Response:
        nonlocal questions
        questions += 1
        if questions == 1:
            await silent.wait()
        return web.Response(body=ONE)

    vendor = Vendor(ONE)
    monkeypatch.setattr(vendor, "serve", serve)
    async with asking(vendor) as ask, offered("openai", ask) as kept:
        await eventually(lambda: names(kept.current) == ["m"])
        silent.set()


async def test_leaving_ends_a_question_that_is_not_answered() -> None:
    asked = asyncio.Event()

    async def ask() -> Sequence[ServedModel]:
        asked.set()
        await asyncio.Event().wait()
        return ()

    async with asyncio.timeout(5), offered("openai", ask):
        await asked.wait()


async def test_list_is_bounded() -> None:
    listed = json.dumps({"data": [{"id": str(number)} for number in range(6000)]}).encode()
    async with asking(Vendor(listed)) as ask, offered("openai", ask) as kept:
        await eventually(lambda: len(kept.current) == 5000)
