"""Which models a provider offers is asked in the background."""

import asyncio
from collections.abc import Sequence

import pytest
from omnix_kit.testing import eventually
from omnix_provider import offered as module
from omnix_provider.offered import offered
from omnix_provider.types import ServedModel


async def test_answer_is_kept_and_a_failure_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_AGAIN_AFTER", 0.0)
    answers: list[Exception | list[ServedModel]] = [ValueError("no"), TimeoutError(), [ServedModel("m")]]

    async def ask() -> Sequence[ServedModel]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with offered("openai", ask, (ValueError,)) as kept:
        assert not kept.current
        await eventually(lambda: bool(kept.current))
        assert kept.current == [ServedModel("m")]


async def test_leaving_ends_a_question_that_is_not_answered() -> None:
    asked = asyncio.Event()

    async def ask() -> Sequence[ServedModel]:
        asked.set()
        await asyncio.Event().wait()
        return ()

    async with asyncio.timeout(5), offered("openai", ask, ()):
        await asked.wait()


async def test_list_is_bounded() -> None:
    async def ask() -> Sequence[ServedModel]:
        return [ServedModel(str(number)) for number in range(6000)]

    async with offered("openai", ask, ()) as kept:
        await eventually(lambda: len(kept.current) == 5000)
