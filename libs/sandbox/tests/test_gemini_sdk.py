"""The real google-genai, unmodified, against the real process."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from omnix_sandbox import script, vectors
from omnix_sandbox.record import Operation, Outcome
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Tells the weather.",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def options(sandbox: Sandbox, request_id: str) -> types.HttpOptions:
    return types.HttpOptions(
        base_url=sandbox.gemini_url,
        headers={"X-Client-Request-Id": request_id},
        timeout=10_000,
        # Without TLS, the certificates need not be loaded for each client.
        client_args={"verify": False},
        async_client_args={"ssl": False},
    )


@pytest_asyncio.fixture(loop_scope="module")
async def client(sandbox: Sandbox, request_id: str) -> AsyncIterator[genai.client.AsyncClient]:
    sdk = genai.Client(api_key="key", http_options=options(sandbox, request_id))
    async with sdk.aio as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def vertex(sandbox: Sandbox, request_id: str) -> AsyncIterator[genai.client.AsyncClient]:
    sdk = genai.Client(
        vertexai=True,
        project="p",
        location="europe-west6",
        credentials=Credentials("token"),  # type: ignore[no-untyped-call]
        http_options=options(sandbox, request_id),
    )
    async with sdk.aio as client:
        yield client


def config(**settings: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **settings
    )


def parts(answer: types.GenerateContentResponse) -> list[types.Part]:
    assert answer.candidates
    assert answer.candidates[0].content
    return answer.candidates[0].content.parts or []


def finish(answer: types.GenerateContentResponse) -> types.FinishReason | None:
    return answer.candidates[0].finish_reason if answer.candidates else None


async def test_a_unary_answer_is_the_computed_one(
    client: genai.client.AsyncClient, sandbox: Sandbox, request_id: str
) -> None:
    answer = await client.models.generate_content(
        model="gemini-2.5-flash",
        contents="Grüezi [[tokens=300]] [[cached=20]] [[reasoning=7]]",
        config=config(system_instruction="Sei <freundlich>."),
    )

    prompt = script.user("Grüezi [[tokens=300]] [[cached=20]] [[reasoning=7]]", system="Sei <freundlich>.")
    assert answer.text == script.answer(prompt).text
    assert (finish(answer), answer.model_version) == (types.FinishReason.STOP, "gemini-2.5-flash")
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count) == (script.input_tokens(prompt), 300)
    assert (usage.thoughts_token_count, usage.cached_content_token_count) == (7, 20)
    assert usage.total_token_count == script.input_tokens(prompt) + 307
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.vendor, call.model, call.answer_id, call.operation) == (
        "gemini",
        "gemini-2.5-flash",
        answer.response_id,
        Operation.CHAT,
    )
    assert (call.output_tokens, call.usage_sent, call.outcome) == (307, True, Outcome.COMPLETED)


@pytest.mark.parametrize("surface", ["gemini", "vertex"])
async def test_a_stream_is_one_token_an_event_and_its_last_event_tells_the_end(
    client: genai.client.AsyncClient,
    vertex: genai.client.AsyncClient,
    sandbox: Sandbox,
    request_id: str,
    surface: str,
) -> None:
    stream = await (vertex if surface == "vertex" else client).models.generate_content_stream(
        model="gemini-3.5-flash",
        contents="Grüezi [[tokens=50]] [[reasoning=5]]",
        config=config(
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.LOW)
        ),
    )
    chunks = [chunk async for chunk in stream]

    expected = script.answer(script.user("Grüezi [[tokens=50]] [[reasoning=5]]"))
    told = [part for chunk in chunks for part in parts(chunk)]
    assert [part.text for part in told if part.thought] == list(expected.reasoning)
    assert [part.text for part in told[5:-1]] == list(expected.tokens)
    assert (told[-1].text, bool(told[-1].thought_signature)) == ("", True)
    assert [finish(chunk) for chunk in chunks[:-1]] == [None] * 55
    assert finish(chunks[-1]) is types.FinishReason.STOP
    usage = chunks[-1].usage_metadata
    assert usage is not None
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (50, 5)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.usage_sent, call.reasoning) == (55, 55, True, "low")


async def test_tool_calls_arrive_whole_and_a_turn_goes_on_with_their_signature(
    client: genai.client.AsyncClient,
) -> None:
    question = types.Content(
        role="user",
        parts=[types.Part(text='[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather {"city":"Bern"}]]')],
    )
    answer = await client.models.generate_content(
        model="gemini-3.1-pro-preview", contents=[question], config=config(tools=[WEATHER])
    )
    calls = [part.function_call for part in parts(answer) if part.function_call is not None]
    assert [(call.name, call.args) for call in calls] == [
        ("get_weather", {"city": "Zürich"}),
        ("get_weather", {"city": "Bern"}),
    ]
    assert len({call.id for call in calls}) == 2
    assert [bool(part.thought_signature) for part in parts(answer)] == [True, False]
    assert finish(answer) is types.FinishReason.STOP
    assert answer.candidates

    results = types.Content(
        role="user",
        parts=[
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id,
                    name=call.name,
                    response={"result": "sunny"},
                    parts=[
                        types.FunctionResponsePart(
                            inline_data=types.FunctionResponseBlob(mime_type="image/png", data=PIXEL)
                        )
                    ],
                )
            )
            for call in calls
        ],
    )
    turn: Any = [question, answer.candidates[0].content, results]
    final = await client.models.generate_content(
        model="gemini-3.1-pro-preview", contents=turn, config=config(tools=[WEATHER])
    )
    assert final.text

    turn[1].parts[0].thought_signature = None
    with pytest.raises(errors.ClientError, match="missing a thought_signature") as caught:
        await client.models.generate_content(model="gemini-3.1-pro-preview", contents=turn, config=config())
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    older = await client.models.generate_content(model="gemini-2.5-flash", contents=turn, config=config())
    assert older.text

    turn[1].parts[0].thought_signature = b"other"
    with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
        await client.models.generate_content(model="gemini-2.5-flash", contents=turn, config=config())


@pytest.mark.parametrize(("model", "events"), [("gemini-2.5-flash", 1), ("gemini-3.5-flash", 2)])
async def test_streamed_tool_calls_are_whole_parts(client: genai.client.AsyncClient, model: str, events: int) -> None:
    stream = await client.models.generate_content_stream(
        model=model,
        contents='[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather]]',
        config=config(tools=[WEATHER]),
    )
    chunks = [chunk async for chunk in stream]

    assert len(chunks) == events + 1
    calls = [part.function_call for chunk in chunks for part in parts(chunk) if part.function_call is not None]
    assert [call.name for call in calls] == ["get_weather", "get_weather"]
    assert calls[0].args == {"city": "Zürich"}
    assert [bool(call.id) for call in calls] == [events == 2] * 2


async def test_functions_are_chosen_by_mode_and_name(client: genai.client.AsyncClient) -> None:
    chosen = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    forced = await client.models.generate_content(
        model="gemini-2.5-pro",
        contents="Grüezi",
        config=config(tools=[WEATHER], tool_config=types.ToolConfig(function_calling_config=chosen)),
    )
    assert parts(forced)[0].function_call is not None
    never = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.NONE)
    free = await client.models.generate_content(
        model="gemini-2.5-pro",
        contents="[[tool=get_weather]]",
        config=config(tools=[WEATHER], tool_config=types.ToolConfig(function_calling_config=never)),
    )
    assert free.text


async def test_a_schema_is_kept_and_media_are_counted(client: genai.client.AsyncClient) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}, "degrees": {"type": "INTEGER", "minimum": 3, "maximum": 4}},
        "required": ["city", "degrees"],
    }
    answer = await client.models.generate_content(
        model="gemini-2.5-flash",
        contents=[
            "What is this?",
            types.Part(inline_data=types.Blob(mime_type="image/png", data=PIXEL)),
            types.Part(inline_data=types.Blob(mime_type="application/pdf", data=b"%PDF-1.7")),
            types.Part(file_data=types.FileData(file_uri="gs://bucket/film.mp4", mime_type="video/mp4")),
        ],
        config=config(response_mime_type="application/json", response_schema=schema),
    )

    assert isinstance(answer.parsed, dict)
    assert answer.parsed["degrees"] in (3, 4)
    assert answer.usage_metadata
    told = {one.modality: one.token_count for one in answer.usage_metadata.prompt_tokens_details or []}
    assert (
        told[types.MediaModality.IMAGE] == told[types.MediaModality.DOCUMENT] == told[types.MediaModality.VIDEO] == 85
    )


async def test_candidates_logprobs_stops_and_limits(client: genai.client.AsyncClient) -> None:
    answer = await client.models.generate_content(
        model="gemini-2.5-flash",
        contents="Grüezi [[tokens=40]]",
        config=config(candidate_count=2, response_logprobs=True, logprobs=2, max_output_tokens=10),
    )
    assert answer.candidates
    assert [candidate.finish_reason for candidate in answer.candidates] == [types.FinishReason.MAX_TOKENS] * 2
    assert [candidate.index for candidate in answer.candidates] == [0, 1]
    result = answer.candidates[1].logprobs_result
    assert result
    assert result.chosen_candidates
    assert result.top_candidates
    assert len(result.chosen_candidates) == 10
    assert len(result.top_candidates[0].candidates or []) == 2

    stopped = await client.models.generate_content(
        model="gemini-2.5-flash", contents="eins zwei drei [[echo]]", config=config(stop_sequences=["drei"])
    )
    assert (stopped.text, finish(stopped)) == ("eins zwei ", types.FinishReason.STOP)


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ("[[finish=content_filter]]", types.FinishReason.SAFETY),
        ("[[finish=length]]", types.FinishReason.MAX_TOKENS),
        ("[[finish_as=RECITATION]]", types.FinishReason.RECITATION),
        ("[[finish_as=MALFORMED_FUNCTION_CALL]]", types.FinishReason.MALFORMED_FUNCTION_CALL),
    ],
)
async def test_finish_reasons(client: genai.client.AsyncClient, directive: str, reason: types.FinishReason) -> None:
    answer = await client.models.generate_content(model="gemini-2.5-flash", contents=directive)
    assert finish(answer) is reason
    stream = await client.models.generate_content_stream(model="gemini-2.5-flash", contents=directive)
    assert [finish(chunk) async for chunk in stream][-1] is reason


async def test_an_empty_answer_has_no_parts_and_no_count(client: genai.client.AsyncClient) -> None:
    answer = await client.models.generate_content(model="gemini-2.5-flash", contents="[[empty]]")

    assert parts(answer) == []
    assert answer.usage_metadata
    assert answer.usage_metadata.candidates_token_count is None


async def test_a_blocked_prompt_has_feedback_and_no_candidates(
    client: genai.client.AsyncClient, sandbox: Sandbox, request_id: str
) -> None:
    answer = await client.models.generate_content(model="sandbox-filter", contents="x")
    assert answer.candidates is None
    assert answer.prompt_feedback
    assert answer.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT
    stream = await client.models.generate_content_stream(model="sandbox-filter", contents="x")
    [only] = [chunk async for chunk in stream]
    assert only.prompt_feedback
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.status, call.output_tokens) == (Outcome.REFUSED, 200, 0)


@pytest.mark.parametrize(
    ("model", "code", "status", "kinds"),
    [
        ("sandbox-429-retry-2s", 429, "RESOURCE_EXHAUSTED", {"QuotaFailure", "Help", "RetryInfo"}),
        ("sandbox-quota", 429, "RESOURCE_EXHAUSTED", {"QuotaFailure", "Help"}),
        ("sandbox-context", 400, "INVALID_ARGUMENT", set()),
        ("sandbox-401", 401, "UNAUTHENTICATED", {"ErrorInfo"}),
        ("sandbox-403", 403, "PERMISSION_DENIED", set()),
        ("sandbox-500", 500, "INTERNAL", set()),
        ("sandbox-503-retry-250ms", 503, "UNAVAILABLE", {"RetryInfo"}),
        ("sandbox-504", 504, "DEADLINE_EXCEEDED", set()),
    ],
)
async def test_statuses_become_the_sdks_errors(
    client: genai.client.AsyncClient, model: str, code: int, status: str, kinds: set[str]
) -> None:
    with pytest.raises(errors.APIError) as caught:
        await client.models.generate_content(model=model, contents="x")

    assert (caught.value.code, caught.value.status) == (code, status)
    details = {one["@type"].rpartition(".")[2]: one for one in caught.value.details["error"].get("details", [])}
    assert set(details) == kinds
    if "RetryInfo" in kinds:
        assert details["RetryInfo"]["retryDelay"] == ("2s" if code == 429 else "0.25s")
    if "QuotaFailure" in kinds:
        quota = details["QuotaFailure"]["violations"][0]["quotaId"]
        assert ("PerDay" in quota) is (model == "sandbox-quota")


async def test_an_error_within_a_stream(client: genai.client.AsyncClient) -> None:
    stream = await client.models.generate_content_stream(model="sandbox-error-429-after-3", contents="x")
    received = [(await anext(stream)).text for _ in range(3)]
    with pytest.raises(errors.ClientError) as caught:
        await anext(stream)

    assert received == list(script.answer(script.user("x")).tokens[:3])
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize(
    ("model", "thinking", "message"),
    [
        ("gemini-2.5-flash", {"thinking_level": "LOW"}, "Thinking level is not supported for this model."),
        ("gemini-3.8-flash", {"thinking_level": "MINIMAL"}, "Thinking level MINIMAL is not supported for this model."),
        ("gemini-3.5-flash", {"thinking_budget": 100}, "Thinking budget is not supported for this model."),
        ("gemini-2.5-pro", {"thinking_budget": 0}, "Budget 0 is invalid. This model only works in thinking mode."),
        ("gemini-2.5-pro", {"thinking_budget": 64}, "choose a value between 128 and 32768"),
        ("gemini-2.5-flash", {"thinking_budget": 30_000}, "choose a value between 0 and 24576"),
        ("gemini-2.5-flash-lite", {"thinking_budget": 100}, "choose a value between 512 and 24576"),
        ("gemini-2.0-flash", {"thinking_budget": 100}, "Thinking is not enabled"),
        ("sandbox-chat", {"thinking_budget": 100, "thinking_level": "LOW"}, "only one of thinking budget and"),
    ],
)
async def test_thinking_that_a_model_cannot_do_is_refused(
    client: genai.client.AsyncClient, model: str, thinking: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.ClientError, match=message) as caught:
        await client.models.generate_content(
            model=model, contents="x", config=config(thinking_config=types.ThinkingConfig(**thinking))
        )
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("model", "budget"),
    [("gemini-2.5-flash", 0), ("gemini-2.5-flash", -1), ("gemini-2.5-pro", 128), ("gemini-2.5-flash-lite", 512)],
)
async def test_budgets_within_the_range_are_taken(
    client: genai.client.AsyncClient, sandbox: Sandbox, request_id: str, model: str, budget: int
) -> None:
    await client.models.generate_content(
        model=model, contents="x", config=config(thinking_config=types.ThinkingConfig(thinking_budget=budget))
    )
    assert (await sandbox.wait_for_call(request_id=request_id)).reasoning == str(budget)


async def test_embeddings_of_both_surfaces_are_the_computed_vectors(
    client: genai.client.AsyncClient, vertex: genai.client.AsyncClient, sandbox: Sandbox, request_id: str
) -> None:
    settings = types.EmbedContentConfig(output_dimensionality=64, task_type="RETRIEVAL_QUERY")
    expected = [vectors.vector(text, 64) for text in ("Zürich", "Bern")]
    several = await client.models.embed_content(
        model="gemini-embedding-001", contents=["Zürich", "Bern"], config=settings
    )
    assert [one.values for one in several.embeddings or []] == expected
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.operation, call.model, call.output_tokens) == (Operation.EMBEDDINGS, "gemini-embedding-001", 0)

    one = await vertex.models.embed_content(model="gemini-embedding-2", contents="Zürich", config=settings)
    assert [one.values for one in one.embeddings or []] == expected[:1]
    for model in ("gemini-embedding-001", "text-embedding-005"):
        both = await vertex.models.embed_content(model=model, contents=["Zürich", "Bern"], config=settings)
        assert [one.values for one in both.embeddings or []] == expected

    whole = await client.models.embed_content(model="gemini-embedding-001", contents="Zürich")
    assert len((whole.embeddings or [])[0].values or []) == 3072


async def test_faults_meet_embeddings_too(client: genai.client.AsyncClient) -> None:
    with pytest.raises(errors.ServerError) as caught:
        await client.models.embed_content(model="sandbox-503", contents="x")
    assert caught.value.status == "UNAVAILABLE"


async def test_models_are_listed_by_pages(client: genai.client.AsyncClient, vertex: genai.client.AsyncClient) -> None:
    names = [model.name async for model in await client.models.list(config={"page_size": 5})]
    assert "models/gemini-3.8-flash" in names
    assert len(names) == len(set(names)) > 15
    found = await client.models.get(model="gemini-2.5-flash")
    assert (found.input_token_limit, found.thinking) == (1_048_576, True)
    published = [model.name async for model in await vertex.models.list(config={"page_size": 50})]
    assert "publishers/google/models/gemini-2.5-pro" in published
    counted = await client.models.count_tokens(model="gemini-2.5-flash", contents="Grüezi")
    assert counted.total_tokens == script.input_tokens(script.user("Grüezi"))


@pytest.mark.parametrize("surface", ["gemini", "vertex"])
async def test_an_unknown_model_is_not_found(
    client: genai.client.AsyncClient, vertex: genai.client.AsyncClient, surface: str
) -> None:
    sdk = vertex if surface == "vertex" else client
    with pytest.raises(errors.ClientError) as caught:
        await sdk.models.generate_content(model="gemini-pro-vision", contents="x")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


async def test_a_wrong_key_is_refused_as_an_invalid_argument(sandbox: Sandbox, request_id: str) -> None:
    async with genai.Client(api_key="invalid", http_options=options(sandbox, request_id)).aio as client:
        with pytest.raises(errors.ClientError) as caught:
            await client.models.generate_content(model="gemini-2.5-flash", contents="x")

    error = caught.value.details["error"]
    assert (caught.value.code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["reason"] == "API_KEY_INVALID"
