"""The real huggingface_hub, unmodified, against the real process."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.errors import HfHubHTTPError, UnknownError
from omnix_sandbox import script, vectors
from omnix_sandbox.record import Operation, Outcome
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
WITH_USAGE: Any = {"include_usage": True}
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tells the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest_asyncio.fixture(loop_scope="module")
async def router(sandbox: Sandbox, request_id: str) -> AsyncIterator[AsyncInferenceClient]:
    async with AsyncInferenceClient(
        base_url=f"{sandbox.huggingface_url}/v1",
        api_key="hf_token",
        headers={"X-Client-Request-Id": request_id},
        timeout=10,
    ) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def tgi(sandbox: Sandbox, request_id: str) -> AsyncIterator[AsyncInferenceClient]:
    async with AsyncInferenceClient(
        model=f"{sandbox.huggingface_url}/tgi", headers={"X-Client-Request-Id": request_id}, timeout=10
    ) as client:
        yield client


async def test_the_router_answers_by_the_provider_asked_for(
    router: AsyncInferenceClient, sandbox: Sandbox, request_id: str
) -> None:
    answer = await router.chat_completion(said("Grüezi [[tokens=200]] [[reasoning=5]]"), model=f"{LLAMA}:groq")

    expected = script.answer(script.user("Grüezi [[tokens=200]] [[reasoning=5]]"))
    message: Any = answer.choices[0].message
    assert (message.content, message.reasoning_content) == (expected.text, expected.reasoning_text)
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "llama-3.3-70b-instruct")
    assert answer.usage.completion_tokens == 205
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.vendor, call.model, call.answer_id) == ("huggingface", f"{LLAMA}:groq", answer.id)
    assert (call.output_tokens, call.usage_sent) == (205, True)


async def test_a_routed_stream_is_one_token_a_delta(
    router: AsyncInferenceClient, sandbox: Sandbox, request_id: str
) -> None:
    stream = await router.chat_completion(
        said("Grüezi [[tokens=50]]"), model=LLAMA, stream=True, stream_options=WITH_USAGE
    )
    chunks = [chunk async for chunk in stream]

    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert deltas == ["", *script.answer(script.user("Grüezi [[tokens=50]]")).tokens, None]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage and chunks[-1].usage.completion_tokens) == ([], 50)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.usage_sent) == (50, 50, True)


async def test_routed_reasoning_is_streamed_apart(router: AsyncInferenceClient) -> None:
    stream = await router.chat_completion(said("x [[reasoning=4]]"), model="deepseek-ai/DeepSeek-R1", stream=True)
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) async for chunk in stream]

    assert [one for one in thoughts if one] == list(script.answer(script.user("x [[reasoning=4]]")).reasoning)


async def test_routed_tool_calls_are_parallel_and_streamed_by_arguments(router: AsyncInferenceClient) -> None:
    question = said('[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather {"city":"Bern"}]]')
    whole = await router.chat_completion(question, model=LLAMA, tools=TOOLS)
    calls = whole.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Zürich", "Bern"]
    assert whole.choices[0].finish_reason == "tool_calls"

    arguments = ["", ""]
    finish = None
    stream: Any = await router.chat_completion(question, model=LLAMA, tools=TOOLS, stream=True)
    async for chunk in stream:
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments[call.index] += call.function.arguments
    assert arguments == [call.function.arguments for call in calls]
    assert finish == "tool_calls"


async def test_a_schema_is_kept_in_both_spellings(router: AsyncInferenceClient, tgi: AsyncInferenceClient) -> None:
    schema = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
    for client, model in ((router, LLAMA), (tgi, None)):
        answer = await client.chat_completion(said("x"), model=model, response_format=wanted)
        assert isinstance(json.loads(answer.choices[0].message.content or "")["degrees"], int)


async def test_tgi_answers_in_its_dialect(tgi: AsyncInferenceClient, sandbox: Sandbox, request_id: str) -> None:
    answer = await tgi.chat_completion(said("Grüezi [[tokens=30]]"))
    expected = script.answer(script.user("Grüezi [[tokens=30]]"))
    assert answer.choices[0].message.content == expected.text
    assert (answer.id, answer.model) == ("", "meta-llama/Llama-3.1-8B-Instruct")

    stream = await tgi.chat_completion(said("Grüezi [[tokens=30]]"), stream=True)
    chunks = [chunk async for chunk in stream]
    assert {chunk.choices[0].delta.role for chunk in chunks} == {"assistant"}
    assert [chunk.choices[0].delta.content for chunk in chunks] == [*expected.tokens, ""]
    assert (chunks[-1].choices[0].finish_reason, chunks[-1].usage) == ("stop", None)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.usage_sent) == (30, 30, False)

    counted = await tgi.chat_completion(said("Grüezi"), stream=True, stream_options=WITH_USAGE)
    last = [chunk async for chunk in counted][-1]
    assert last.usage
    assert last.choices == []


async def test_tgi_calls_one_tool_and_streams_it_without_a_finish_reason(tgi: AsyncInferenceClient) -> None:
    question = said('[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather {"city":"Bern"}]]')
    whole = await tgi.chat_completion(question, tools=TOOLS)
    [call] = whole.choices[0].message.tool_calls or []
    assert (call.id, call.function.arguments) == ("0", '{"city":"Zürich"}')
    assert whole.choices[0].finish_reason == "stop"

    stream: Any = await tgi.chat_completion(question, tools=TOOLS, stream=True)
    chunks = [chunk async for chunk in stream]
    calls = [chunk.choices[0].delta.tool_calls[0] for chunk in chunks]
    assert [call.function.name for call in calls] == ["get_weather", *[None] * (len(calls) - 1)]
    assert "".join(call.function.arguments for call in calls) == '{"city":"Zürich"}'
    assert {chunk.choices[0].finish_reason for chunk in chunks} == {None}

    result = [
        *question,
        {
            "role": "assistant",
            "tool_calls": [{"id": "0", "type": "function", "function": {"name": "f", "arguments": {}}}],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "0"},
    ]
    assert (await tgi.chat_completion(result, tools=TOOLS)).choices[0].message.content


@pytest.mark.parametrize(
    ("model", "status", "body"),
    [
        ("sandbox-401", 401, {"error": "Invalid username or password."}),
        ("sandbox-422", 422, {"detail": [{"type": "value_error", "loc": ["body"], "msg": "Value error"}]}),
        ("sandbox-500", 500, {"error": "Internal Server Error"}),
    ],
)
async def test_the_router_has_errors_of_several_shapes(
    router: AsyncInferenceClient, model: str, status: int, body: Any
) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        await router.chat_completion(said("x"), model=model)
    assert (caught.value.response.status_code, caught.value.response.json()) == (status, body)


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("sandbox-429-retry-2s", 429, "rate_limit_exceeded"),
        ("sandbox-context", 400, "context_length_exceeded"),
        ("sandbox-filter", 400, "content_filter"),
        ("nobody/nothing", 400, "model_not_found"),
        (f"{LLAMA}:scaleway", 400, "model_not_supported"),
    ],
)
async def test_providers_errors_come_in_openais_envelope(
    router: AsyncInferenceClient, model: str, status: int, code: str
) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        await router.chat_completion(said("x"), model=model)
    response = caught.value.response
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("retry-after") == ("2" if status == 429 else None)


async def test_spent_credits_are_402(router: AsyncInferenceClient, sandbox: Sandbox, request_id: str) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        await router.chat_completion(said("x"), model="sandbox-quota")
    assert caught.value.response.status_code == 402
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.output_tokens) == (Outcome.REFUSED, 0)


@pytest.mark.parametrize(
    ("fault", "kind"), [("422", "validation"), ("424", "generation"), ("429", "overloaded"), ("context", "validation")]
)
async def test_tgis_errors_have_a_type(
    tgi: AsyncInferenceClient, sandbox: Sandbox, request_id: str, fault: str, kind: str
) -> None:
    await sandbox.order_fault(fault, match={"request_id": request_id}, count=1)
    with pytest.raises(HfHubHTTPError) as caught:
        await tgi.chat_completion(said("x"))
    told = caught.value.response.json()
    assert (set(told), told["error_type"]) == ({"error", "error_type"}, kind)


@pytest.mark.parametrize("surface", ["router", "tgi"])
async def test_an_error_within_a_stream(
    router: AsyncInferenceClient, tgi: AsyncInferenceClient, sandbox: Sandbox, request_id: str, surface: str
) -> None:
    await sandbox.order_fault("error-after-3", match={"request_id": request_id}, count=1)
    client, model = (router, LLAMA) if surface == "router" else (tgi, None)
    stream: Any = await client.chat_completion(said("x"), model=model, stream=True)
    tokens = (
        ["", *script.answer(script.user("x")).tokens] if surface == "router" else script.answer(script.user("x")).tokens
    )
    received = [(await anext(stream)).choices[0].delta.content for _ in range(4 if surface == "router" else 3)]
    with pytest.raises(UnknownError):
        await anext(stream)

    assert received == list(tokens[: len(received)])
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.usage_sent) == (3, 3, False)


async def test_the_routers_models_name_their_providers(sandbox: Sandbox) -> None:
    async with sandbox.http.get(f"{sandbox.huggingface_url}/v1/models") as response:
        listed = (await response.json())["data"]
    assert LLAMA in {model["id"] for model in listed}
    assert {"provider", "status", "context_length", "pricing"} <= listed[0]["providers"][0].keys()
    async with sandbox.http.get(f"{sandbox.huggingface_url}/v1/models/{LLAMA}") as response:
        assert (await response.json())["owned_by"] == "meta-llama"


async def posted(sandbox: Sandbox, path: str, body: Any, key: str = "hf_token") -> tuple[int, Any, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with sandbox.http.post(f"{sandbox.huggingface_url}{path}", json=body, headers=headers) as response:
        kind = response.headers["content-type"]
        return response.status, await (response.json() if "json" in kind else response.text()), response.headers


async def test_features_are_the_computed_vectors(sandbox: Sandbox) -> None:
    path = "/hf-inference/models/sentence-transformers/all-MiniLM-L6-v2/pipeline/feature-extraction"
    expected = [vectors.vector(text, 384) for text in ("Zürich", "Bern")]
    assert (await posted(sandbox, path, {"inputs": ["Zürich", "Bern"], "normalize": True}))[:2] == (200, expected)
    assert (await posted(sandbox, path, {"inputs": "Zürich"}))[:2] == (200, expected[0])
    [call] = await sandbox.calls(model="sentence-transformers/all-MiniLM-L6-v2", limit="1")
    assert (call.operation, call.output_tokens) == (Operation.EMBEDDINGS, 0)

    unknown = await posted(sandbox, path.replace("MiniLM", "Mini"), {"inputs": "x"})
    assert unknown[:2] == (404, {"error": "Model sentence-transformers/all-Mini-L6-v2 does not exist"})


async def test_tei_embeds_on_its_own_path_and_as_openai_does(sandbox: Sandbox) -> None:
    expected = [vectors.vector(text, 1024) for text in ("Zürich", "Bern")]
    assert (await posted(sandbox, "/tei/embed", {"inputs": ["Zürich", "Bern"]}, key=""))[:2] == (200, expected)
    status, told, headers = await posted(
        sandbox, "/tei/v1/embeddings", {"input": ["Zürich", "Bern"], "model": "BAAI/bge-m3", "dimensions": 8}
    )
    assert (status, [one["embedding"] for one in told["data"]]) == (
        200,
        [vectors.vector("Zürich", 8), vectors.vector("Bern", 8)],
    )
    assert str(told["usage"]["prompt_tokens"]) == headers["x-compute-tokens"]
    _, packed, _ = await posted(sandbox, "/tei/embeddings", {"input": "Zürich", "encoding_format": "base64"})
    assert packed["data"][0]["embedding"] == vectors.packed(expected[0])

    many: dict[str, Any] = {"inputs": ["x"] * 33}
    message = "batch size 33 > maximum allowed batch size 32"
    assert (await posted(sandbox, "/tei/embed", many))[:2] == (422, {"error": message, "error_type": "Validation"})
    like_openai = await posted(sandbox, "/tei/v1/embeddings", {"input": ["x"] * 33})
    assert like_openai[:2] == (422, {"message": message, "code": 422, "type": "Validation"})
    overloaded = await posted(sandbox, "/tei/v1/embeddings", {"input": "x", "model": "sandbox-429"})
    assert overloaded[:2] == (429, {"message": "Model is overloaded", "code": 429, "type": "Overloaded"})


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"top_p": 1.0}, 422, "`top_p` must be > 0.0 and < 1.0"),
        ({"stop": ["a", "b", "c", "d", "e"]}, 422, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"stop": "a"}, 422, "Failed to deserialize"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}}, 422, "Tool with name f"),
        ({"tools": TOOLS, "response_format": {"type": "json", "value": {}}}, 422, "mutually exclusive"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, 422, "Failed to deserialize"),
        ({"messages": [{"role": "user"}]}, 422, "did not match any variant"),
        ({"whatever": 1}, 200, "assistant"),
    ],
)
async def test_tgi_refuses_what_it_cannot_do(sandbox: Sandbox, changes: dict[str, Any], status: int, says: str) -> None:
    answered, told, _ = await posted(sandbox, "/tgi/v1/chat/completions", {"messages": said("x"), **changes}, key="")
    assert answered == status
    assert says in json.dumps(told)


async def test_tgi_finds_fault_with_a_stream_after_its_head(sandbox: Sandbox) -> None:
    body = {"messages": said("x"), "top_p": 1.0, "stream": True}
    status, told, headers = await posted(sandbox, "/tgi/v1/chat/completions", body)
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    event, done = told.strip().split("\n\n")
    assert json.loads(event.removeprefix("data: "))["error"]["http_status_code"] == 422
    assert done == "data: [DONE]"


async def test_the_wire_of_tgi_byte_for_byte(sandbox: Sandbox) -> None:
    body = {"messages": said("Hi [[echo]]"), "stream": True, "stream_options": {"include_usage": True}}
    _, told, _ = await posted(sandbox, "/tgi/v1/chat/completions", body)
    keep_alive, first, finish, usage, done = told.strip("\n").split("\n\n")
    created = json.loads(first.removeprefix("data: "))["created"]
    start = (
        'data: {"object":"chat.completion.chunk","id":"","created":'
        f'{created},"model":"meta-llama/Llama-3.1-8B-Instruct","system_fingerprint":"3.3.6-sha-4c3b1ce","choices":['
    )
    rest = '"logprobs":null,"finish_reason":'
    delta = '{"index":0,"delta":{"role":"assistant","content":'
    assert keep_alive == ":"
    assert first == f'{start}{delta}"Hi"}},{rest}null}}],"usage":null}}'
    assert finish == f'{start}{delta}""}},{rest}"stop"}}],"usage":null}}'
    counts = '{"prompt_tokens":11,"completion_tokens":1,"total_tokens":12}'
    assert usage == f'{start}],"usage":{counts}}}'
    assert done == "data: [DONE]"


async def test_keys_are_asked_for_by_the_router_alone(sandbox: Sandbox) -> None:
    body = {"model": LLAMA, "messages": said("x")}
    refused = (401, {"error": "Invalid username or password."})
    for key in ("", "invalid"):
        assert (await posted(sandbox, "/v1/chat/completions", body, key=key))[:2] == refused
    assert (await posted(sandbox, "/tgi/v1/chat/completions", body, key=""))[0] == 200
    assert (await posted(sandbox, "/tgi/v1/chat/completions", body, key="invalid"))[:2] == (401, "")


async def test_addresses_can_name_the_provider_or_the_model(sandbox: Sandbox) -> None:
    body = {"model": LLAMA, "messages": said("x")}
    status, told, headers = await posted(sandbox, "/together/v1/chat/completions", body)
    assert (status, told["model"], headers["x-inference-provider"]) == (200, f"{LLAMA}-Turbo", "together")
    hosted = await posted(sandbox, f"/hf-inference/models/{LLAMA}/v1/chat/completions", {"messages": said("x")})
    assert (hosted[0], hosted[1]["model"]) == (200, LLAMA)
    cheapest = await posted(sandbox, "/v1/chat/completions", {**body, "model": f"{LLAMA}:cheapest"})
    assert cheapest[2]["x-inference-provider"] == "novita"
