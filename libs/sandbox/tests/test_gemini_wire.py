"""Google's format and its faults on a bare socket, where no SDK smooths them."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from omnix_sandbox import script
from omnix_sandbox.gemini.request import GenerateContentRequest
from omnix_sandbox.gemini.wire import read
from omnix_sandbox.record import Outcome
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Grüezi [[tokens=20]]"
TOKENS = list(script.answer(script.user(QUESTION)).tokens)
KEY = {"x-goog-api-key": "key"}


def said(text: str = QUESTION, **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def address(sandbox: Sandbox, model: str, method: str = "generateContent", query: str = "") -> str:
    return f"{sandbox.gemini_url}/v1beta/models/{model}:{method}{query}"


async def refusal(sandbox: Sandbox, body: Any, model: str = "gemini-2.5-flash") -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with sandbox.http.post(address(sandbox, model), data=data, headers=KEY) as response:
        return response.status, (await response.json())["error"]


async def streamed(sandbox: Sandbox, request_id: str, model: str, text: str = QUESTION) -> tuple[bytes, bool]:
    """The body of a stream, and whether it was ended as HTTP wants it."""
    url = address(sandbox, model, "streamGenerateContent", "?alt=sse")
    headers = {**KEY, "X-Client-Request-Id": request_id}
    data = b""
    async with sandbox.http.post(url, json=said(text), headers=headers) as response:
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
        try:
            async for piece in response.content.iter_any():
                data += piece
        except aiohttp.ClientPayloadError:
            return data, False
        return data, True


def events(body: bytes) -> list[bytes]:
    return [event.removeprefix(b"data: ") for event in body.split(b"\r\n\r\n") if event]


def texts(body: bytes) -> list[str]:
    found = []
    for event in events(body):
        for candidate in json.loads(event).get("candidates", []):
            found += [part["text"] for part in candidate["content"]["parts"]]
    return [text for text in found if text]


async def test_events_are_spaced_and_ended_as_google_does(sandbox: Sandbox, request_id: str) -> None:
    body, ended = await streamed(sandbox, request_id, "gemini-2.5-flash", "a<b [[echo]]")
    first, last = body.removesuffix(b"\r\n\r\n").split(b"\r\n\r\n")
    answer = json.loads(first.removeprefix(b"data: "))["responseId"]

    assert ended
    rest = f'"modelVersion": "gemini-2.5-flash","responseId": "{answer}"}}'
    assert first.decode() == (
        'data: {"candidates": [{"content": {"parts": [{"text": "a\\u003cb"}],"role": "model"},"index": 0}],'
        f'"usageMetadata": {{"promptTokenCount": 11,"candidatesTokenCount": 1,"totalTokenCount": 12}},{rest}'
    )
    assert last.decode() == (
        'data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP",'
        '"index": 0}],"usageMetadata": {"promptTokenCount": 11,"candidatesTokenCount": 1,"totalTokenCount": 12,'
        f'"promptTokensDetails": [{{"modality": "TEXT","tokenCount": 11}}]}},{rest}'
    )


async def test_without_sse_a_stream_is_an_array(sandbox: Sandbox) -> None:
    url = address(sandbox, "gemini-2.5-flash", "streamGenerateContent")
    async with sandbox.http.post(url, json=said(), headers=KEY) as response:
        told = await response.json()
    assert [one["candidates"][0]["content"]["parts"][0]["text"] for one in told] == [*TOKENS, ""]


async def test_running_usage_counts_what_was_shown(sandbox: Sandbox, request_id: str) -> None:
    body, _ = await streamed(sandbox, request_id, "gemini-2.5-flash", f"{QUESTION} [[reasoning=5]]")
    counts = [json.loads(event)["usageMetadata"] for event in events(body)]
    assert [count["candidatesTokenCount"] for count in counts] == [*range(1, 21), 20]
    assert ["thoughtsTokenCount" in count for count in counts] == [*[False] * 20, True]


@pytest.mark.parametrize(("model", "ended"), [("sandbox-cut-after-5", False), ("sandbox-cut-after-5-rst", False)])
async def test_cut_streams_end_without_a_word(sandbox: Sandbox, request_id: str, model: str, ended: bool) -> None:
    body, was_ended = await streamed(sandbox, request_id, model)
    call = await sandbox.wait_for_call(request_id=request_id)
    if "rst" not in model:  # a reset takes with it what was not read yet
        assert texts(body) == TOKENS[:5]
    assert was_ended is ended
    assert (call.outcome, call.produced_tokens, call.output_tokens) == (Outcome.BROKEN, 5, 5)
    assert not call.usage_sent


@pytest.mark.parametrize(
    ("model", "finished", "usage"),
    [
        ("sandbox-chat", True, True),
        ("sandbox-no-done", True, True),
        ("sandbox-no-finish", False, True),
        ("sandbox-no-usage", True, False),
    ],
)
async def test_markers_can_be_left_out(
    sandbox: Sandbox, request_id: str, model: str, finished: bool, usage: bool
) -> None:
    body, ended = await streamed(sandbox, request_id, model)
    call = await sandbox.wait_for_call(request_id=request_id)

    assert (texts(body), ended) == (TOKENS, True)
    assert (b'"finishReason"' in body, b'"usageMetadata"' in body) == (finished, usage)
    assert (call.outcome, call.usage_sent) == (Outcome.COMPLETED, finished and usage)


async def test_a_malformed_event_stands_between_good_ones(sandbox: Sandbox, request_id: str) -> None:
    body, _ = await streamed(sandbox, request_id, "sandbox-malformed-after-4")
    broken = []
    for at, event in enumerate(events(body)):
        try:
            json.loads(event)
        except json.JSONDecodeError:
            broken.append(at)
    assert broken == [4]


async def test_an_error_event_ends_the_stream(sandbox: Sandbox, request_id: str) -> None:
    body, ended = await streamed(sandbox, request_id, "sandbox-error-after-2")
    error = json.loads(events(body)[-1])["error"]
    assert (len(events(body)), ended) == (3, True)
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")


async def test_bytes_can_come_one_by_one_and_deltas_can_be_huge(sandbox: Sandbox, request_id: str) -> None:
    assert texts((await streamed(sandbox, request_id, "sandbox-drip"))[0]) == TOKENS
    huge, *rest = texts((await streamed(sandbox, request_id, "sandbox-huge-size-1m"))[0])
    assert len(huge.encode()) > 1024 * 1024 - 4
    assert rest == TOKENS


async def test_deltas_can_tell_when_they_were_sent(sandbox: Sandbox, request_id: str) -> None:
    body, _ = await streamed(sandbox, request_id, "sandbox-clock")
    stamped = [text.split("|", 1) for text in texts(body)]
    assert [text for _, text in stamped] == TOKENS
    assert all(len(stamp) == 13 and stamp.isdigit() for stamp, _ in stamped)


async def test_all_unknown_names_are_told_with_their_places(sandbox: Sandbox) -> None:
    body = said(
        response_format={},
        tools=[{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"a": {"const": 1}}}}]}],
    )
    body["contents"][0]["parts"][0]["image_url"] = "x"
    status, error = await refusal(sandbox, body)

    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")
    [detail] = error["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"] == [
        {
            "field": "contents[0].parts[0]",
            "description": "Invalid JSON payload received. Unknown name \"image_url\" at 'contents[0].parts[0]': "
            "Cannot find field.",
        },
        {"description": 'Invalid JSON payload received. Unknown name "response_format": Cannot find field.'},
        {
            "field": "tools[0].function_declarations[0].parameters.properties[0].value",
            "description": 'Invalid JSON payload received. Unknown name "const" at '
            "'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field.",
        },
    ]
    assert error["message"] == "\n".join(one["description"] for one in detail["fieldViolations"])


async def test_both_spellings_of_a_name_are_read() -> None:
    camel = {
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "//79"}}]}],
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"includeThoughts": True}},
    }
    snake = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "//79"}}]}],
        "generation_config": {"max_output_tokens": "5", "thinking_config": {"include_thoughts": True}},
        "cached_content": None,
    }
    parsed = [read(json.dumps(body).encode(), GenerateContentRequest) for body in (camel, snake)]
    assert parsed[0] == parsed[1]
    assert parsed[0].generation_config.max_output_tokens == 5


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "Invalid JSON payload received."),
        (b"[]", "Invalid value at ''"),
        ({}, "contents is not specified"),
        ({"contents": [{"parts": []}]}, "contents[0].parts: contents.parts must not be empty."),
        ({"contents": [{"parts": [{}]}]}, "required oneof field 'data' must have one initialized field"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        ({"contents": [{"parts": [{"text": 1}]}]}, "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 1"),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]},
            "'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/gif", "data": "AAAA"}}]}]},
            "Unsupported MIME type: image/gif",
        ),
        (
            {"contents": [{"parts": [{"text": "x", "functionCall": {"name": "f"}}]}]},
            "oneof field 'data' is already set",
        ),
        (said(generationConfig={"temperature": 3}), "generation_config.temperature"),
        (said(generationConfig={"stopSequences": list("abcdef")}), "at most 5 stop sequences"),
        (said(generationConfig={"logprobs": 2}), "only allowed when response_logprobs is true"),
        (said(generationConfig={"responseSchema": {"type": "STRING"}}), "response_mime_type is `application/json`"),
        (said(generationConfig={"responseMimeType": "text/html"}), "allowed mimetypes are"),
        (said(generationConfig={"responseModalities": ["AUDIO"]}), "response modalities (AUDIO) is not supported"),
        (said(tools=[{"functionDeclarations": [{"name": "1x"}]}]), "Invalid function name."),
        (
            said(tools=[{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]),
            "parameters.properties: should be non-empty for OBJECT type",
        ),
        (
            said(toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
            "Function calling config is set without function_declarations.",
        ),
        (
            said(
                tools=[{"functionDeclarations": [{"name": "f"}]}],
                generationConfig={"responseMimeType": "application/json"},
            ),
            "Function calling with a response mime type: 'application/json' is unsupported",
        ),
        (
            said(cachedContent="cachedContents/a", systemInstruction={"parts": [{"text": "x"}]}),
            "CachedContent can not be used with GenerateContent request setting system_instruction",
        ),
        (said("[[tokens=x]]"), "directive [[tokens]]"),
    ],
)
async def test_what_google_refuses_is_refused_in_its_words(sandbox: Sandbox, body: Any, says: str) -> None:
    status, error = await refusal(sandbox, body)
    assert (status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert says in error["message"]


CALL: Mapping[str, Any] = {"functionCall": {"name": "f", "args": {}}}
RESPONSE: Mapping[str, Any] = {"functionResponse": {"name": "f", "response": {"result": "x"}}}


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ([("model", [CALL])], "function call turn comes immediately after a user turn"),
        ([("user", [RESPONSE])], "function response turn comes immediately after a function call turn"),
        (
            [("user", [{"text": "x"}]), ("model", [CALL, CALL]), ("user", [RESPONSE])],
            "number of function response parts is equal to the number of function call parts",
        ),
    ],
)
async def test_calls_and_responses_must_pair_up(
    sandbox: Sandbox, turns: list[tuple[str, list[Any]]], says: str
) -> None:
    _, error = await refusal(sandbox, {"contents": [{"role": role, "parts": parts} for role, parts in turns]})
    assert says in error["message"]


async def test_signatures_are_asked_for_in_the_current_turn_alone(sandbox: Sandbox) -> None:
    def turn(**signature: str) -> list[dict[str, Any]]:
        return [
            {"role": "user", "parts": [{"text": "x"}]},
            {"role": "model", "parts": [{**CALL, **signature}]},
            {"role": "user", "parts": [RESPONSE]},
        ]

    model = "gemini-3.5-flash"
    _, error = await refusal(sandbox, {"contents": turn()}, model)
    assert "function call `default_api:f` , position 2" in error["message"]
    earlier = {"contents": [*turn(), {"role": "model", "parts": [{"text": "y"}]}, *turn(**STAND_IN)]}
    async with sandbox.http.post(address(sandbox, model), json=earlier, headers=KEY) as response:
        assert response.status == 200
    _, changed = await refusal(sandbox, {"contents": turn(thoughtSignature="AAAA")}, "sandbox-chat")
    assert changed["message"] == "Corrupted thought signature."


STAND_IN = {"thoughtSignature": "skip_thought_signature_validator"}


async def test_only_vertex_knows_some_schema_words(sandbox: Sandbox) -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "additionalProperties": False}
    body = said(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}])
    status, _ = await refusal(sandbox, body)
    path = "v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:generateContent"
    headers = {"Authorization": "Bearer token"}
    async with sandbox.http.post(f"{sandbox.gemini_url}/{path}", json=body, headers=headers) as response:
        told = await response.json()
    assert (status, response.status) == (400, 200)
    assert told["usageMetadata"]["trafficType"] == "ON_DEMAND"
    assert told["createTime"]


@pytest.mark.parametrize(
    ("headers", "query", "status", "name"),
    [
        ({}, "", 403, "PERMISSION_DENIED"),
        ({"x-goog-api-key": "invalid"}, "", 400, "INVALID_ARGUMENT"),
        ({"Authorization": "Bearer invalid"}, "", 401, "UNAUTHENTICATED"),
        ({}, "?key=invalid", 400, "INVALID_ARGUMENT"),
        ({}, "?key=good", 200, ""),
        ({"Authorization": "Bearer good"}, "", 200, ""),
    ],
)
async def test_keys_and_tokens(sandbox: Sandbox, headers: dict[str, str], query: str, status: int, name: str) -> None:
    url = address(sandbox, "gemini-2.5-flash", query=query)
    async with sandbox.http.post(url, json=said(), headers=headers) as response:
        told = await response.json()
    assert (response.status, told.get("error", {}).get("status", "")) == (status, name)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("v1beta/models/gemini-2.5-flash:predict", 404),
        ("v1beta/models/gemini-2.5-flash:embedContent", 404),
        ("v1beta/models/gemini-embedding-001:generateContent", 404),
        ("v1beta/models/gemini-2.5-flash:fly", 404),
        ("v9/models/gemini-2.5-flash:generateContent", 404),
        ("v1/models/gemini-2.5-flash:generateContent", 200),
    ],
)
async def test_methods_that_a_model_lacks_are_not_found(sandbox: Sandbox, path: str, status: int) -> None:
    async with sandbox.http.post(f"{sandbox.gemini_url}/{path}", json=said(), headers=KEY) as response:
        assert response.status == status


async def test_vertex_predicts_vectors(sandbox: Sandbox) -> None:
    path = "v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict"
    body = {"instances": [{"content": "x", "task_type": "CLUSTERING"}], "parameters": {"outputDimensionality": 4}}
    async with sandbox.http.post(f"{sandbox.gemini_url}/{path}", json=body, headers=KEY) as response:
        [told] = (await response.json())["predictions"]
    assert len(told["embeddings"]["values"]) == 4
    assert told["embeddings"]["statistics"] == {"truncated": False, "token_count": 1}
