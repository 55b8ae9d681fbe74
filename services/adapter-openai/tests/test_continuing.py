"""An answer that broke off goes on at the sandbox's OpenAI-compatible server, from where it was."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from omnix_adapter_openai.provider import Upstream, opened
from omnix_kit.caller import Caller
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.errors import InvalidRequest
from omnix_provider.types import Attempt, CompletionRequest, Message, Provider, Role, Text
from omnix_sandbox import script
from omnix_sandbox.testing import Sandbox
from pydantic import SecretStr

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Tell me a tale. [[tokens=60]]"
WHOLE = script.answer(script.user(QUESTION)).text
BEGINNING = WHOLE[: len(WHOLE) // 2].rstrip()


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[Dialect(continued="continue_final_message"), Dialect(continued="prefix")],
)
async def provider(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[Provider]:
    async with opened([Upstream("lab", sandbox.openai_url, SecretStr("k"), lambda _: request.param)]) as [made]:
        yield made


async def streamed(provider: Provider, model: str) -> str:
    request = CompletionRequest("fast", (Message(Role.USER, (Text(QUESTION),)),))
    attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), provider.name, model, prefix=BEGINNING)
    text = ""
    async with asyncio.timeout(10):
        async for batch in provider.stream(request, attempt, lambda: None):
            text += "".join(chunk.text for chunk in batch.chunks)
    return text


@pytest.mark.parametrize("model", ["sandbox-chat"])
async def test_answer_goes_on_behind_its_beginning(provider: Provider, model: str) -> None:
    assert BEGINNING + await streamed(provider, model) == WHOLE


async def test_refusal_of_the_vendor_is_one_of_the_request(provider: Provider) -> None:
    with pytest.raises(InvalidRequest):
        await streamed(provider, "sandbox-no-prefix")
