"""What servers answer that were never tested against OpenAI's SDK: each model name is one such answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import Reason
from omnix_kit.testing import NatsServer
from omnix_provider.testing import Place, attempt, scene

pytestmark = [pytest.mark.connected, pytest.mark.asyncio(loop_scope="module")]

MODULE = "omnix_adapter_openai"

_WORDS = '"choices":[{"index":0,"message":{"content":"one two three"},"finish_reason":"stop"}]'
_DELTA = 'data: {"choices":[{"index":0,"delta":{"content":"one two three"},"finish_reason":null}]}\n\n'
_STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
_NONSENSE = {
    "beyond-64-bits": '"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":3}',
    "beyond-any-answer": '"usage":{"prompt_tokens":9,"completion_tokens":1000000001}',
    "negative": '"usage":{"prompt_tokens":-1,"completion_tokens":3}',
    "negative-detail": '"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":-1}}',
}
_WHOLE = MappingProxyType({name: (200, f"{{{_WORDS},{usage}}}") for name, usage in _NONSENSE.items()})
_STREAMED = MappingProxyType(
    {
        name: (200, f'{_DELTA}{_STOP}data: {{"choices":[],{usage}}}\n\ndata: [DONE]\n\n')
        for name, usage in _NONSENSE.items()
    }
)
_EMPTY_REASON = 'data: {"choices":[{"index":0,"delta":{"content":"one two three"},"finish_reason":""}]}\n\n'
_EITHER = MappingProxyType(
    {
        "moved": (302, "<html>Go elsewhere.</html>"),
        "half-a-pair": (
            400,
            r'{"error":{"message":"It has \ud83d in it.","param":"\ud83d","type":"invalid_request_error"}}',
        ),
        "error-with-200": (200, '{"error":{"message":"Slower.","type":"rate_limit_error","code":429}}'),
    }
)
_COUNT = '"usage":{"prompt_tokens":9,"completion_tokens":3}'
_COUNTED = MappingProxyType(
    {
        "cut-and-counted": (200, f'{{"choices":[{{"message":{{"content":"one"}},"finish_reason":null}}],{_COUNT}}}'),
        "no-choice-but-counted": (200, f'{{"choices":[],{_COUNT}}}'),
        "error-but-counted": (200, f'{{"error":{{"message":"No.","type":"server_error"}},{_COUNT}}}'),
    }
)
_INDEXES = MappingProxyType({"index-below": -1, "index-beyond": 2**31})


_LARGE = "日本語 text " * 100_000


def _delta(delta: object) -> str:
    event = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    return f"data: {msgspec.json.encode(event).decode()}\n\n"


_HUGE = MappingProxyType(
    {
        "huge-reasoning": (200, _delta({"reasoning_content": _LARGE}) + _STOP),
        "huge-refusal": (200, _delta({"refusal": _LARGE}) + _STOP),
        "huge-name": (200, _DELTA + _delta({"tool_calls": [{"index": 0, "function": {"name": _LARGE}}]}) + _STOP),
    }
)


def _numbered(index: int, *, streamed: bool) -> str:
    said = "delta" if streamed else "message"
    answer = f'{{"choices":[{{"index":{index},"{said}":{{"content":"x"}},"finish_reason":"stop"}}]}}'
    return f"data: {answer}\n\n" if streamed else answer


_CUT = MappingProxyType({"empty-reasons": (200, _EMPTY_REASON * 3)})


async def _answer(request: web.Request) -> web.Response:
    asked = await request.json()
    answers = {**(_STREAMED if asked.get("stream") else _WHOLE), **_EITHER, **_CUT, **_HUGE, **_COUNTED}
    if asked["model"] in _INDEXES:
        answers[asked["model"]] = (200, _numbered(_INDEXES[asked["model"]], streamed=asked.get("stream", False)))
    status, text = answers[asked["model"]]
    kind = "text/event-stream" if text.startswith("data:") else "application/json"
    return web.Response(status=status, text=text, content_type=kind)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendor() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/v1"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strange(nats: NatsServer, vendor: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    data: Path = tmp_path_factory.mktemp("adapter")
    async with scene(MODULE, nats, data, {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": vendor}) as standing:
        yield standing


@pytest.mark.parametrize("model", _NONSENSE)
async def test_count_that_cannot_be_one_becomes_an_estimate(strange: Place, model: str) -> None:
    made = attempt(model)
    answer = await strange.adapter.complete(made)
    event = await strange.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert (event.usage.estimated, event.usage.output_tokens) == (True, 4)
    assert 0 < event.usage.input_tokens < 100
    assert answer.completion.usage == event.usage


@pytest.mark.parametrize("model", _NONSENSE)
async def test_stream_whose_count_cannot_be_one_ends_with_an_estimate(strange: Place, model: str) -> None:
    made = attempt(model)
    streamed = await strange.stream(made)
    assert streamed.end is not None
    assert not streamed.end.HasField("error")
    event = await strange.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert (event.usage.estimated, event.usage.output_tokens) == (True, 4)
    assert streamed.end.usage == event.usage


@pytest.mark.parametrize("streamed", [True, False])
async def test_refusal_that_is_no_text_is_told_and_metered(strange: Place, streamed: bool) -> None:
    made = attempt("half-a-pair")
    error = await strange.refused(made, streamed=streamed)
    assert (error.reason, error.message, error.param) == (Reason.INVALID_REQUEST, "It has ? in it.", "?")
    event = await strange.readers.usage_of(made)
    assert error_from_proto(event.error).message == error.message


async def test_answer_that_is_cut_among_empty_finish_reasons_is_not_whole(strange: Place) -> None:
    made = attempt("empty-reasons")
    streamed = await strange.stream(made)
    assert streamed.end is not None
    assert error_from_proto(streamed.end.error).reason is Reason.PROVIDER_CUT
    assert (await strange.readers.usage_of(made)).outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED


@pytest.mark.parametrize("model", ["huge-reasoning", "huge-refusal"])
async def test_huge_delta_comes_whole_in_many_messages(strange: Place, model: str) -> None:
    streamed = await strange.stream(attempt(model))
    assert streamed.end is not None
    assert not streamed.end.HasField("error")
    said = [chunk for _, chunk in sorted(streamed.chunks.items())]
    assert "".join(chunk.reasoning.text + chunk.refusal for chunk in said) == _LARGE
    assert streamed.messages > 20


async def test_piece_that_no_message_can_carry_ends_its_own_stream_alone(strange: Place) -> None:
    made = attempt("huge-name")
    streamed = await strange.stream(made)
    assert streamed.text == "one two three"
    assert streamed.end is not None
    assert error_from_proto(streamed.end.error).reason is Reason.PROVIDER_MALFORMED
    assert (await strange.readers.usage_of(made)).outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert (await strange.stream(attempt("huge-refusal"))).end is not None


@pytest.mark.parametrize("streamed", [True, False])
async def test_answer_with_another_status_than_success_counts_nothing(strange: Place, streamed: bool) -> None:
    made = attempt("moved")
    error = await strange.refused(made, streamed=streamed)
    assert (error.reason, error.provider_status) == (Reason.PROVIDER_UNAVAILABLE, 302)
    event = await strange.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert (event.usage.input_tokens, event.usage.output_tokens, event.usage.estimated) == (0, 0, False)


@pytest.mark.parametrize("model", _COUNTED)
async def test_whole_answer_that_is_none_costs_what_the_vendor_counted(strange: Place, model: str) -> None:
    made = attempt(model)
    await strange.refused(made, streamed=False)
    event = await strange.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert (event.usage.input_tokens, event.usage.output_tokens, event.usage.estimated) == (9, 3, False)


async def test_error_in_place_of_a_whole_answer_is_told(strange: Place) -> None:
    made = attempt("error-with-200")
    error = await strange.refused(made, streamed=False)
    assert (error.reason, error.message, error.provider_status) == (Reason.RATE_LIMITED, "Slower.", None)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model", _INDEXES)
async def test_index_that_cannot_be_one_is_no_answer(strange: Place, model: str, streamed: bool) -> None:
    made = attempt(model)
    error = await strange.refused(made, streamed=streamed)
    assert error.reason is Reason.PROVIDER_MALFORMED
    assert (await strange.readers.usage_of(made)).outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
