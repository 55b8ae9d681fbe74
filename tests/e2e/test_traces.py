"""One completion is one trace: from the caller's place in it over every process to the ledger and the figures."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from e2e.collector import Collector, Span, collecting
from omnix_kit.testing import eventually
from support.suite import Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

ROUTES = """
[routes."rescued/*"]
targets = ["openai/*", "bedrock/sandbox-chat"]

[routes."hedged/*"]
targets = ["openai/*", "bedrock/sandbox-chat"]
hedge_after = "200ms"
"""
CONSUMERS = {"omnix-usage-metering", "omnix-analytics"}


@dataclass
class Traced:
    """A suite that exports its spans, and where they are."""

    suite: Suite
    collector: Collector

    async def spans(self, trace_id: str, enough: Callable[[Sequence[Span]], bool]) -> list[Span]:
        """Of one trace, once there are enough."""
        await eventually(lambda: enough(self.collector.spans(trace_id)), 30)
        return self.collector.spans(trace_id)


class Caller:
    """Whoever calls, in a trace of its own."""

    def __init__(self, flags: str = "01") -> None:
        self.trace_id, self.span_id = secrets.token_hex(16), secrets.token_hex(8)
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-{flags}"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[Traced]:
    async with _running(tmp_path_factory.mktemp("traces"), collector) as suite:
        yield Traced(suite, collector)


def _running(folder: Path, collector: Collector, **more: str) -> AbstractAsyncContextManager[Suite]:
    routes = folder / "routes.toml"
    routes.write_text(ROUTES)
    return running_suite(
        folder / "suite",
        OMNIX_ROUTES_FILE=str(routes),
        OMNIX_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="200",
        **more,
    )


def _of(spans: Sequence[Span], service: str, name: str) -> list[Span]:
    return [span for span in spans if span.service == service and span.name == name]


def _recorded_by_all(calls: int) -> Callable[[Sequence[Span]], bool]:
    """Every call of a vendor reached the ledger and the figures, and no span but the first misses its parent."""

    def enough(spans: Sequence[Span]) -> bool:
        consumed = [span for span in spans if span.kind == "consumer"]
        known = {span.span_id for span in spans}
        strangers = [span for span in spans if span.parent_id not in known]
        return len(consumed) == calls * len(CONSUMERS) and [span.service for span in strangers] == ["omnix-gateway"]

    return enough


async def _chat(traced: Traced, content: str, caller: Caller, **body: object) -> None:
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **body}
    headers = {**traced.suite.headers, "traceparent": caller.traceparent}
    answer = await traced.suite.http.post(f"{traced.suite.url}/v1/chat/completions", json=asked, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_completion_is_one_tree_from_the_caller_to_the_ledger(traced: Traced, streamed: bool) -> None:
    caller = Caller()
    await _chat(traced, "[[tokens=20]] A question nobody shall read", caller, stream=streamed, temperature=0.5)
    spans = await traced.spans(caller.trace_id, _recorded_by_all(1))
    method = "StartCompletion" if streamed else "Complete"
    [door] = _of(spans, "omnix-gateway", "POST /v1/chat/completions")
    [asks] = _of(spans, "omnix-gateway", f"omnix.router.v1.RouterService/{method}")
    [routed] = _of(spans, "omnix-router", f"omnix.router.v1.RouterService/{method}")
    [attempt] = _of(spans, "omnix-router", "attempt")
    [orders] = _of(spans, "omnix-router", f"omnix.provider.v1.ProviderService/{method}")
    [adapts] = _of(spans, "omnix-adapter-openai", f"omnix.provider.v1.ProviderService/{method}")
    [call] = [span for span in spans if span.name == "chat gpt-4o"]
    booked = [span for span in spans if span.kind == "consumer"]
    way = [door, asks, routed, attempt, orders, adapts, call]
    assert [span.kind for span in way] == ["server", "client", "server", "internal", "client", "server", "client"]
    assert [span.parent_id for span in way] == [caller.span_id, *(span.span_id for span in way[:-1])]
    assert {span.service for span in booked} == CONSUMERS
    assert {span.name for span in booked} == {"process omnix.v1.usage.recorded"}
    assert {span.parent_id for span in booked} == {call.span_id}
    assert not any(span.failed for span in spans)
    assert door.attributes["http.route"] == "/v1/chat/completions"
    assert door.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_vendors_call_is_told_in_the_words_of_the_convention(traced: Traced, streamed: bool) -> None:
    caller = Caller()
    more = {"stream": streamed, "temperature": 0.5, "max_completion_tokens": 900}
    await _chat(traced, "[[tokens=20]] words", caller, **more)
    spans = await traced.spans(caller.trace_id, _recorded_by_all(1))
    [call] = [span for span in spans if span.service == "omnix-adapter-openai" and span.kind == "client"]
    told = dict(call.attributes)
    [entry] = await traced.suite.usage_of(told["omnix.completion_id"])
    port = traced.suite.state().services["sandbox"].ports["http"]
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 900,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": entry["input_tokens"],
        "gen_ai.usage.output_tokens": 20,
        "server.address": "127.0.0.1",
        "server.port": port,
        "omnix.usage.estimated": False,
        "omnix.attempt_id": entry["id"],
        "omnix.sandbox": True,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert str(told["gen_ai.response.model"]).startswith("gpt-4o")
    assert told.get("gen_ai.request.stream", False) is streamed
    assert (told.get("gen_ai.response.time_to_first_chunk", 0) > 0) is streamed


async def test_an_attempt_that_goes_on_for_another_is_linked_to_it(traced: Traced) -> None:
    caller = Caller()
    await _chat(traced, "[[tokens=20]] cut", caller, model="rescued/sandbox-cut-after-5-tokens-20", stream=True)
    spans = await traced.spans(caller.trace_id, _recorded_by_all(3))
    attempts = sorted(_of(spans, "omnix-router", "attempt"), key=lambda span: span.attributes["omnix.attempt"])
    assert [span.attributes["omnix.attempt.kind"] for span in attempts] == ["answer", "recovery", "recovery"]
    first, second, third = attempts
    assert first.links == ()
    assert second.links == (first.span_id,)
    assert third.links[0] in (first.span_id, second.span_id)
    broken = [span for span in spans if span.service == "omnix-adapter-openai" and span.name.startswith("chat ")]
    assert [span.failed for span in broken] == [True, True]
    assert {span.attributes["error.type"] for span in broken} == {"PROVIDER_CUT"}
    [whole] = [span for span in spans if span.service == "omnix-adapter-bedrock" and span.name.startswith("chat ")]
    assert whole.attributes["gen_ai.provider.name"] == "aws.bedrock"
    assert not whole.failed


async def test_a_hedge_is_linked_to_the_slow_attempt(traced: Traced) -> None:
    caller = Caller()
    await _chat(traced, "[[tokens=20]] slow", caller, model="hedged/sandbox-slow-20s-tokens-20", stream=True)
    spans = await traced.spans(caller.trace_id, _recorded_by_all(2))
    slow, beside = sorted(_of(spans, "omnix-router", "attempt"), key=lambda span: span.attributes["omnix.attempt"])
    assert beside.attributes["omnix.attempt.kind"] == "hedge"
    assert beside.links == (slow.span_id,)
    assert slow.parent_id == beside.parent_id


async def test_no_span_tells_what_was_asked_or_answered(traced: Traced) -> None:
    caller = Caller()
    secret, refused = "marzipan-4711", "[[error=400]] marzipan-4711"
    await _chat(traced, f"[[tokens=20]] {secret}", caller)
    await traced.suite.chat(refused)
    answer = (await traced.suite.chat(f"[[tokens=20]] {secret}")).json()["choices"][0]["message"]["content"]
    await traced.spans(caller.trace_id, _recorded_by_all(1))
    told = "".join(span.text for span in traced.collector.spans())
    assert secret not in told
    assert answer[:40] not in told
    assert "gen_ai.input.messages" not in told
    assert traced.suite.key not in told


async def test_events_that_travel_together_stay_in_their_own_traces(traced: Traced) -> None:
    callers = [Caller() for _ in range(16)]
    await asyncio.gather(*(_chat(traced, "[[tokens=5]] together", caller) for caller in callers))
    for caller in callers:
        spans = await traced.spans(caller.trace_id, _recorded_by_all(1))
        [call] = [span for span in spans if span.name == "chat gpt-4o"]
        assert {span.parent_id for span in spans if span.kind == "consumer"} == {call.span_id}


async def test_a_caller_that_records_nothing_is_not_recorded(traced: Traced) -> None:
    silent, told = Caller("00"), Caller()
    await _chat(traced, "[[tokens=5]] silent", silent)
    await _chat(traced, "[[tokens=5]] told", told)
    await traced.spans(told.trace_id, _recorded_by_all(1))
    assert traced.collector.spans(silent.trace_id) == []


async def test_a_trace_begins_at_the_gateway_where_no_caller_brings_one(traced: Traced) -> None:
    answer = await traced.suite.chat("[[tokens=5]] begins")
    completion_id = answer.headers["x-omnix-completion-id"].removeprefix("chatcmpl-")

    def first() -> list[Span]:
        return [
            span
            for span in traced.collector.spans()
            if span.kind == "server" and span.attributes.get("omnix.completion_id") == completion_id
        ]

    await eventually(lambda: bool(first()), 20)
    [door] = first()
    assert door.parent_id == ""
    await traced.spans(door.trace_id, _recorded_by_all(1))


async def test_content_is_told_when_the_operator_asks_for_it(tmp_path: Path, collector: Collector) -> None:
    async with _running(tmp_path, collector, OMNIX_TRACE_CONTENT="true") as suite:
        with_content = Traced(suite, collector)
        for streamed in (False, True):
            caller = Caller()
            await _chat(with_content, "[[tokens=20]] Read me", caller, stream=streamed)
            spans = await with_content.spans(caller.trace_id, _recorded_by_all(1))
            [call] = [span for span in spans if span.service == "omnix-adapter-openai" and span.kind == "client"]
            said = (await suite.chat("[[tokens=20]] Read me")).json()["choices"][0]["message"]["content"]
            assert "Read me" in call.attributes["gen_ai.input.messages"]
            assert said in call.attributes["gen_ai.output.messages"]
            assert [span.service for span in spans if "Read me" in span.text] == ["omnix-adapter-openai"]
