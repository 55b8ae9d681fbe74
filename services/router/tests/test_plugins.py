"""A real router between adapters and plugins that do as they are told."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from omnix.completion.v1 import completion_pb2
from omnix.plugin.v1 import plugin_pb2
from omnix.provider.v1 import provider_service_pb2 as adapters_pb
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason, error_for
from omnix_kit.testing import NatsServer, eventually

from .fakes import Call, FakeAdapter, Router, fail, running
from .scene import CUT, begun, continuation_of, scene_at, stream_of
from .scripted_plugin import (
    ANSWER,
    ATTEMPT,
    END,
    REQUEST,
    ScriptedPlugin,
    failing,
    refusing,
    saying,
    scripted,
)
from .test_completions import told

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = """
plugins_always = ["first"]

[plugins.first]
address = "{first}"
timeout = "500ms"
settings = {{ a = "1", b = "1" }}

[plugins.lax]
address = "{lax}"
timeout = "300ms"
on_failure = "open"

[plugins.picky]
address = "{picky}"
timeout = "500ms"
hooks = ["attempt"]

[plugins.absent]
address = "{absent}"
timeout = "300ms"

[routes.fast]
plugins = ["lax", "first"]
plugin_settings = {{ lax = {{ c = "2" }}, first = {{ b = "2" }} }}
targets = ["openai/gpt-4o"]

[routes.two]
plugins = ["picky"]
targets = ["openai/gpt-4o", "other/model"]

[routes.away]
plugins = ["absent"]
targets = ["openai/gpt-4o"]
"""


class Adapter(FakeAdapter):
    """It notes which plugins it is to ask."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names, models=(("openai", "gpt-4o"), ("other", "model")))
        self.plugins: list[plugin_pb2.Plugin] = []

    async def Complete(
        self, request: adapters_pb.CompleteRequest, context: grpc.aio.ServicerContext
    ) -> adapters_pb.CompleteResponse:
        self.plugins = list(request.plugins)
        answer = await super().Complete(request, context)
        answer.completion.usage.output_tokens = 5
        return answer


@dataclass
class Place:
    router: Router
    adapter: Adapter
    first: ScriptedPlugin
    lax: ScriptedPlugin
    picky: ScriptedPlugin
    absent: ScriptedPlugin
    routes: Path

    @property
    def texts(self) -> list[str]:
        """What the adapter was asked."""
        return [text_of(call) for call in self.adapter.calls]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory, nats: NatsServer) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("plugins")
    first, lax, picky = scripted(REQUEST, ANSWER, END), scripted(REQUEST, ANSWER, END), scripted(ATTEMPT)
    absent = scripted(REQUEST)
    routes = folder / "routes.toml"
    routes.write_text(ROUTES.format(first=first.address, lax=lax.address, picky=picky.address, absent=absent.address))
    try:
        await asyncio.gather(first.start(), lax.start(), picky.start())
        adapter = Adapter("openai", "other")
        async with adapter:
            variables = {"OMNIX_ROUTES_FILE": str(routes), "OMNIX_RECOVERY_COMPLETIONS": "100"}
            adapters = f"openai={adapter.address},other={adapter.address}"
            async with running(folder, nats, adapters, **variables) as router:
                await eventually(lambda: router.log().count("a plugin is there") >= 3)
                yield Place(router, adapter, first, lax, picky, absent, routes)
    finally:
        for each in (first, lax, picky, absent):
            await each.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def place(standing: Place) -> Place:
    for each in (standing.first, standing.lax, standing.picky, standing.absent):
        each.forget()
    standing.adapter.forget()
    return standing


def text_of(call: Call) -> str:
    assert isinstance(call.request, completion_pb2.CompletionRequest)
    return call.request.messages[0].parts[0].text


async def error_of(place: Place, model: str, *, streamed: bool = False) -> OmnixError:
    with pytest.raises(OmnixError) as caught:
        await (place.router.start(model) if streamed else place.router.complete(model))
    return caught.value


streamed_or_not = pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])


# Requests.


@streamed_or_not
async def test_request_is_changed_before_names_mean_anything(place: Place, streamed: bool) -> None:
    place.first.request = saying("changed", model="openai/gpt-4o")
    await (place.router.start("no-such-model") if streamed else place.router.complete("no-such-model"))
    assert place.texts == ["changed"]
    [heard] = place.first.requests
    assert (heard.context.route, heard.context.streamed) == ("", streamed)
    assert (heard.context.caller.tenant_id, dict(heard.context.settings)) == ("t", {"a": "1", "b": "1"})
    assert heard.request.model == "no-such-model"


@streamed_or_not
async def test_refused_request_reaches_nobody(place: Place, streamed: bool) -> None:
    place.first.request = refusing("We do not talk about this.", "messages")
    error = await error_of(place, "openai/gpt-4o", streamed=streamed)
    assert isinstance(error, CallerError)
    assert (error.reason, error.message, error.param) == (
        Reason.CONTENT_REFUSED,
        "We do not talk about this.",
        "messages",
    )
    assert not place.adapter.calls
    await eventually(lambda: bool(place.first.ends))
    [end] = place.first.ends
    assert (error_from_proto(end.error).reason, end.model, end.attempts) == (Reason.CONTENT_REFUSED, "", 0)


async def test_route_s_plugins_are_asked_when_it_is_known_and_in_its_words(place: Place) -> None:
    place.first.request = saying("one")
    place.lax.request = saying("two", model="other/model")
    await place.router.complete("fast")
    assert place.texts == ["two"]
    [heard] = place.lax.requests
    assert heard.request.messages[0].parts[0].text == "one"
    assert (heard.context.route, dict(heard.context.settings)) == ("fast", {"c": "2"})
    assert len(place.first.requests) == 1, "it is for every completion, and asked once"
    [call] = place.adapter.calls
    assert call.attempt.provider == "openai", "the route was found by the name before"


async def test_answers_are_shown_to_plugins_by_the_adapter(place: Place) -> None:
    await place.router.complete("fast")
    await place.router.start("fast")
    streamed = list(stream_of(place.adapter.calls[-1]).plugins)
    assert streamed == place.adapter.plugins
    first, lax = streamed
    assert (first.name, first.address, first.timeout.ToMilliseconds()) == ("first", place.first.address, 500)
    assert (first.on_failure, lax.on_failure) == (plugin_pb2.ON_FAILURE_CLOSED, plugin_pb2.ON_FAILURE_OPEN)
    assert (dict(first.settings), dict(lax.settings)) == ({"a": "1", "b": "2"}, {"c": "2"})
    assert list(lax.hooks) == [ANSWER]


FAILURES = {
    "silence": failing(None),
    "an error": failing(grpc.StatusCode.INTERNAL),
    "its own cancellation": failing(grpc.StatusCode.CANCELLED),
    "a request that is none": lambda _: completion_pb2.CompletionRequest(model="x"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_failure_that_closes_is_told_as_such_and_reaches_nobody(place: Place, failure: str) -> None:
    place.first.request = FAILURES[failure]
    began = time.monotonic()
    error = await error_of(place, "openai/gpt-4o")
    assert time.monotonic() - began < 3
    assert isinstance(error, PlatformError)
    assert (error.reason, error.param) == (Reason.UNAVAILABLE, "plugins.first")
    assert error.message.startswith("The plugin first ")
    assert not place.adapter.calls


@pytest.mark.parametrize("failure", FAILURES)
async def test_failure_that_leaves_open_leaves_the_plugin_out(place: Place, failure: str) -> None:
    place.lax.request = FAILURES[failure]
    await place.router.complete("fast")
    assert place.texts == ["Grüße"]
    assert [plugin.name for plugin in place.adapter.plugins] == ["first"], "it did not see the request"
    assert await place.router.metric('omnix_router_plugin_skipped_total{hook="request",plugin="lax"}') > 0


async def test_embeddings_are_no_completions(place: Place) -> None:
    place.first.request = refusing("No.")
    await place.router.embed("openai/text-embedding-3-small")


# Attempts.


async def test_request_is_changed_for_one_attempt(place: Place) -> None:
    place.picky.attempt = saying("for you", model="another")
    place.adapter.script = [fail(Reason.PROVIDER_QUOTA_EXHAUSTED)]
    await place.router.complete("two")
    assert place.texts == ["for you", "for you"]
    assert [heard.request.messages[0].parts[0].text for heard in place.picky.attempts] == ["Grüße", "Grüße"]
    assert [(heard.provider, heard.model, heard.attempt) for heard in place.picky.attempts] == [
        ("openai", "gpt-4o", 1),
        ("other", "model", 2),
    ]
    assert all(call.request.model == "two" for call in place.adapter.calls)


@streamed_or_not
async def test_refused_target_gives_way_to_the_next_and_is_not_blamed(place: Place, streamed: bool) -> None:
    refusals = iter([refusing("Not there.")])
    place.picky.attempt = lambda request: next(refusals, lambda _: None)(request)
    response = await (place.router.start("two") if streamed else place.router.complete("two"))
    assert told(response) == ["1 openai/gpt-4o CONTENT_REFUSED", "2 other/model"]
    assert [call.attempt.provider for call in place.adapter.calls] == ["other"]


async def test_all_targets_refused_is_the_last_one_s_sentence(place: Place) -> None:
    place.picky.attempt = refusing("Not there.")
    error = await error_of(place, "two")
    assert (error.reason, error.message) == (Reason.CONTENT_REFUSED, "Not there.")
    assert not place.adapter.calls


@streamed_or_not
async def test_plugin_that_failed_at_the_adapter_costs_no_other_attempt(place: Place, streamed: bool) -> None:
    failed = error_for(Reason.UNAVAILABLE, "The plugin first is away.", param="plugins.first")

    async def act(_: Call) -> None:
        raise failed

    place.adapter.script = [act]
    error = await error_of(place, "two", streamed=streamed)
    assert (error.reason, error.param, error.message) == (Reason.UNAVAILABLE, "plugins.first", failed.message)
    assert len(place.adapter.calls) == 1


# Ends.


async def test_end_of_a_whole_answer_is_told(place: Place) -> None:
    await place.router.complete("fast")
    completion_id = place.adapter.calls[0].attempt.completion_id
    for plugin in (place.first, place.lax):
        await eventually(lambda heard=plugin: heard.ended(completion_id) is not None)  # type: ignore[misc]
    end = place.lax.ended(completion_id)
    assert end is not None
    assert (end.model, end.attempts, end.usage.output_tokens) == ("openai/gpt-4o", 1, 5)
    assert not end.HasField("error")
    assert (end.context.route, dict(end.context.settings)) == ("fast", {"c": "2"})


async def test_end_of_a_stream_is_told_when_it_ended(place: Place, nats: NatsServer) -> None:
    async with scene_at(nats, place.adapter) as scene:
        completion_id, _ = await begun(place.router, "fast")
        call = place.adapter.calls[0]
        await scene.send(call, "Hello")
        assert place.first.ended(completion_id) is None
        await scene.end(call, 1)
        await eventually(lambda: place.first.ended(completion_id) is not None)
        end = place.first.ended(completion_id)
        assert end is not None
        assert (end.model, end.attempts, end.HasField("error")) == ("openai/gpt-4o", 1, False)


async def test_answer_that_plugins_look_at_begins_anew_when_it_breaks_off(place: Place, nats: NatsServer) -> None:
    async with scene_at(nats, place.adapter) as scene:
        completion_id, _ = await begun(place.router, "two")
        first = place.adapter.calls[0]
        await scene.send(first, "Hello")
        await scene.end(first, 1, CUT)
        word = await scene.hears(completion_id, 1)
        assert word.next_attempt == 2
        second = place.adapter.calls[1]
        assert continuation_of(second).kind == adapters_pb.Continuation.KIND_RESTART
        assert [plugin.name for plugin in stream_of(second).plugins] == ["first"]
        await scene.end(second, 1)
        await eventually(lambda: place.first.ended(completion_id) is not None)
        end = place.first.ended(completion_id)
        assert end is not None
        assert end.attempts == 2


async def test_stream_that_a_plugin_ended_is_over(place: Place, nats: NatsServer) -> None:
    async with scene_at(nats, place.adapter) as scene:
        completion_id, _ = await begun(place.router, "two")
        call = place.adapter.calls[0]
        await scene.send(call, "Hello")
        error = error_for(Reason.UNAVAILABLE, "The plugin first is away.", param="plugins.first")
        await scene.end(call, 1, error, final=True)
        await eventually(lambda: place.first.ended(completion_id) is not None)
        assert len(place.adapter.calls) == 1
        assert scene.word(completion_id, 1) is None


# Setting up.


async def test_plugin_that_was_away_from_the_start_is_asked_when_it_comes(place: Place) -> None:
    assert not await place.router.lacking()
    error = await error_of(place, "away")
    assert (error.reason, error.param) == (Reason.UNAVAILABLE, "plugins.absent")
    await place.absent.start()
    place.absent.request = saying("seen")

    async def answered() -> bool:
        try:
            await place.router.complete("away")
        except OmnixError:
            return False
        return True

    await eventually(answered)
    assert place.texts == ["seen"]


async def test_file_that_changes_changes_plugins(place: Place) -> None:
    before = place.routes.read_text()
    place.first.request = refusing("No.")
    await error_of(place, "openai/gpt-4o")
    place.routes.write_text(before.replace('plugins_always = ["first"]', 'plugins_always = ["nobody"]'))
    await eventually(lambda: "no plugin is called 'nobody'" in place.router.log())
    await error_of(place, "openai/gpt-4o")
    place.routes.write_text(before.replace('plugins_always = ["first"]', "plugins_always = []"))

    async def lets_pass() -> bool:
        try:
            await place.router.complete("openai/gpt-4o")
        except OmnixError:
            return False
        return True

    await eventually(lets_pass)
    assert await place.router.metric("omnix_router_routes_reload_failed") == 0
    place.routes.write_text(before)
    await eventually(lambda: place.router.log().count("routes were read again") >= 2)
