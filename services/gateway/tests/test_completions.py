"""Whole answers through the official SDK."""

from omnix.completion.v1 import completion_pb2 as pb
from openai.types.chat import ChatCompletionMessageParam

from .conftest import Gateway
from .fakes import Backends, answer

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


async def test_a_whole_answer_has_openais_shape_and_omnix_headers(gateway: Gateway, behind: Backends) -> None:
    behind.router.sandbox = True
    raw = await gateway.openai.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    completion_id = behind.router.asked[0].completion_id
    told = raw.parse().to_dict()
    assert told == {
        "id": f"chatcmpl-{completion_id}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 12,
            "total_tokens": 21,
            "prompt_tokens_details": {
                "cached_tokens": 4,
                "audio_tokens": 0,
                "cache_write_tokens": 0,
                "long_cache_write_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "cost": "0.001234",
            "cost_micros": 1234,
            "estimated": False,
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
    headers = raw.headers
    assert headers["x-omnix-completion-id"] == f"chatcmpl-{completion_id}"
    assert headers["x-omnix-model"] == "openai/gpt-4o"
    assert (headers["x-omnix-attempts"], headers["x-omnix-attempt-errors"]) == ("2", "x/y=provider_timeout")
    assert (headers["x-omnix-cost"], headers["x-omnix-cost-micros"]) == ("0.001234", "1234")
    assert headers["x-omnix-sandbox"] == "true"
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["openai-processing-ms"]) >= 0


async def test_an_answer_can_be_handed_back(gateway: Gateway, behind: Backends) -> None:
    """Tool calls and reasoning come back to the vendor as they were, proofs included."""
    completion = answer("")
    choice = completion.choices[0]
    choice.finish_reason = pb.FINISH_REASON_TOOL_CALLS
    del choice.message.parts[:]
    choice.message.tool_calls.add(id="c1", name="f", arguments_json='{"a":1}', signature=b"\x01proof")
    choice.message.reasoning.add(text="hm", signature=b"\x02proof", redacted=b"\x03", provider="p")
    behind.router.completion = completion
    first = await gateway.openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    message = first.choices[0].message
    assert message.content is None
    assert first.choices[0].finish_reason == "tool_calls"
    given: list[ChatCompletionMessageParam] = [
        *HELLO,
        message,  # type: ignore[list-item] # as OpenAI's documentation does
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
    ]
    await gateway.openai.chat.completions.create(model="gpt-4o", messages=given)
    handed = behind.router.asked[1].request.messages[1]
    assert list(handed.tool_calls) == list(choice.message.tool_calls)
    assert list(handed.reasoning) == list(choice.message.reasoning)


async def test_a_stream_tells_usage_when_asked(gateway: Gateway) -> None:
    stream = await gateway.openai.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    found = [chunk async for chunk in stream]
    assert "".join(choice.delta.content or "" for chunk in found for choice in chunk.choices) == "Hello wörld 🌍."
    assert found[-1].usage is not None
    assert (found[-1].usage.prompt_tokens, found[-1].usage.completion_tokens, found[-1].choices) == (7, 5, [])
    assert all(chunk.usage is None for chunk in found[:-1])
    assert {(chunk.model, chunk.created, chunk.system_fingerprint) for chunk in found} == {
        ("gpt-4o-2024-08-06", 1_700_000_000, "fp_1")
    }
