"""Routes that are written through the API, at routers that are processes of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from omnix.common.v1 import caller_pb2
from omnix.router.v1 import route_pb2 as pb
from omnix.router.v1 import route_service_pb2 as wire
from omnix.router.v1 import route_service_pb2_grpc
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import NatsServer, eventually, free_port, nats_server

from .fakes import LONG, FakeAdapter, Router, running, spawn

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHOR = caller_pb2.Caller(tenant_id="default", user_id="ada", key_id="k1")
FILE = """
[routes.filed]
targets = ["openai/gpt-4o"]
"""


class Client:
    """The route service of one router."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.stub = route_service_pb2_grpc.RouteServiceStub(router.remote.channel)

    async def get(self, name: str) -> pb.Route:
        answer = await self.router.remote.call(self.stub.GetRoute, wire.GetRouteRequest(name=name), timeout=LONG)
        found: pb.Route = answer.route
        return found

    async def put(self, route: pb.Route, expected: int | None = None, *, dry: bool = False) -> wire.PutRouteResponse:
        request = wire.PutRouteRequest(route=route, expected_version=expected, validate_only=dry, caller=AUTHOR)
        return await self.router.remote.call(self.stub.PutRoute, request, timeout=LONG)

    async def delete(self, name: str, expected: int | None = None) -> int:
        request = wire.DeleteRouteRequest(name=name, expected_version=expected, caller=AUTHOR)
        answer = await self.router.remote.call(self.stub.DeleteRoute, request, timeout=LONG)
        return int(answer.version)

    async def versions(self, name: str) -> list[pb.RouteVersion]:
        request = wire.ListRouteVersionsRequest(name=name)
        answer = await self.router.remote.call(self.stub.ListRouteVersions, request, timeout=LONG)
        return list(answer.versions)

    async def roll_back(self, name: str, version: int, expected: int | None = None) -> pb.Route:
        request = wire.RollbackRouteRequest(name=name, version=version, expected_version=expected, caller=AUTHOR)
        answer = await self.router.remote.call(self.stub.RollbackRoute, request, timeout=LONG)
        found: pb.Route = answer.route
        return found

    async def names(self, size: int = 0) -> list[tuple[str, bool]]:
        """Every route's name, and whether it is in force, over all pages."""
        found: list[tuple[str, bool]] = []
        token = ""
        while True:
            request = wire.ListRoutesRequest(page_size=size, page_token=token)
            page = await self.router.remote.call(self.stub.ListRoutes, request, timeout=LONG)
            found += [(route.name, route.in_force) for route in page.routes]
            if not (token := page.next_page_token):
                return found

    async def answered_by(self, model: str) -> str:
        return (await self.router.complete(model)).model


@dataclass(frozen=True)
class Pair:
    """Two routers over one store and one NATS."""

    one: Client
    two: Client
    routes_file: Path
    store: Mapping[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapters() -> AsyncIterator[str]:
    async with FakeAdapter("openai") as openai, FakeAdapter("other", "newcomer", models=(("other", "m"),)) as other:
        yield f"openai={openai.address},other={other.address}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory, nats: NatsServer, adapters: str) -> AsyncIterator[Pair]:
    folder = tmp_path_factory.mktemp("routers")
    (folder / "routes.toml").write_text(FILE)
    store = {"OMNIX_STORE_URL": f"sqlite://{folder}/router.db"}
    # What a test sees was told by NATS, for nobody looks at the store by itself.
    settings = {"OMNIX_ROUTES_FILE": str(folder / "routes.toml"), "OMNIX_ROUTES_STORE_POLL": "1h", **store}
    async with AsyncExitStack() as stack:
        routers = [await stack.enter_async_context(running(folder, nats, adapters, **settings)) for _ in range(2)]
        for router in routers:
            await eventually(_heard(router))
        yield Pair(Client(routers[0]), Client(routers[1]), folder / "routes.toml", store)


def _heard(router: Router) -> Callable[[], bool]:
    return lambda: router.log().count("an adapter serves a provider") == 3


def route(name: str, *models: str, policy: str = "") -> pb.Route:
    return pb.Route(name=name, targets=[pb.RouteTarget(model=model) for model in models], policy=policy)


async def refused(call: object) -> OmnixError:
    with pytest.raises(OmnixError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def seen(client: Client, model: str, answered_by: str) -> None:
    """A change at one router is seen at the other, which does not look by itself."""

    async def answers() -> bool:
        try:
            return await client.answered_by(model) == answered_by
        except OmnixError:
            return False

    await eventually(answers, within=5)


async def test_a_route_is_in_force_where_it_was_written_and_at_the_others_at_once(pair: Pair) -> None:
    written = await pair.one.put(route("swift", "openai/gpt-4o"))
    assert (written.created, written.route.version, written.route.in_force) == (True, 1, True)
    assert await pair.one.answered_by("swift") == "openai/gpt-4o"
    await seen(pair.two, "swift", "openai/gpt-4o")
    await pair.two.put(route("swift", "other/m"))
    assert await pair.two.answered_by("swift") == "other/m"
    await seen(pair.one, "swift", "other/m")
    assert "swift" in await pair.one.router.models()


async def test_wildcards_are_routes_like_others(pair: Pair) -> None:
    await pair.one.put(route("team-b/*", "other/*"))
    await seen(pair.two, "team-b/anything", "other/anything")


async def test_everything_that_a_route_says_is_stored_and_told(pair: Pair) -> None:
    whole = pb.Route(
        name="whole",
        policy="balanced",
        sticky="metadata.thread",
        targets=[pb.RouteTarget(model="gpt-4o-mini", weight=3), pb.RouteTarget(model="openai/gpt-4o", rank=2)],
        rules=[
            pb.RouteRule(
                when=pb.RouteConditions(
                    modes=["think"],
                    modalities=["image"],
                    min_input_tokens=1,
                    max_input_tokens=9,
                    tenants=["acme"],
                    metadata=[pb.MetadataCondition(field="tier", values=["gold", "silver"])],
                ),
                targets=[pb.RouteTarget(model="other/m")],
                policy="ordered",
            )
        ],
        attempts=2,
        first_content_timeout=pb.FirstContentTimeout(
            default=Duration(seconds=90), flash=Duration(nanos=250_000_000), ultra_think=Duration(seconds=7200)
        ),
        idle_timeout=Duration(seconds=7),
        hedge_after=Duration(nanos=800_000_000),
        deadline=Duration(seconds=60),
        shadows=True,
        strict_reasoning=False,
        mirror=pb.RouteMirror(target="gpt-4.1", share=0.05),
    )
    await pair.one.put(whole)
    told = await pair.two.get("whole")
    change = told.change
    assert (change.action, change.author, told.version) == (pb.RouteChange.ACTION_CREATED, AUTHOR, 1)
    assert change.change_time.seconds > 1_700_000_000
    assert (told.source, told.in_force) == (pb.ROUTE_SOURCE_STORE, True)
    for name in ("source", "in_force", "version", "change"):
        told.ClearField(name)
    # What was left to be looked up and to be reckoned was, once and for all.
    whole.targets[0].model, whole.targets[0].rank, whole.targets[1].weight = "openai/gpt-4o-mini", 1, 1
    whole.rules[0].targets[0].weight, whole.rules[0].targets[0].rank = 1, 1
    whole.mirror.target = "openai/gpt-4.1"
    assert told == whole
    assert not (await pair.one.put(whole)).created
    assert (await pair.one.get("whole")).version == 1


async def test_stale_version_is_refused_and_nothing_is_changed(pair: Pair) -> None:
    await pair.one.put(route("guarded", "openai/gpt-4o"), expected=0)
    there = await refused(pair.two.put(route("guarded", "other/m"), expected=0))
    assert (there.reason, there.param) == (Reason.CONFLICT, "expected_version")
    await pair.two.put(route("guarded", "other/m"), expected=1)
    stale = await refused(pair.one.put(route("guarded", "openai/gpt-4o-mini"), expected=1))
    assert stale.reason is Reason.CONFLICT
    assert stale.message == "The route 'guarded' is at version 2, not at version 1; read it again."
    assert (await refused(pair.one.delete("guarded", expected=1))).reason is Reason.CONFLICT
    assert (await refused(pair.one.roll_back("guarded", 1, expected=1))).reason is Reason.CONFLICT
    assert (await refused(pair.one.put(route("nowhere", "other/m"), expected=3))).reason is Reason.CONFLICT
    assert (await pair.one.get("guarded")).targets[0].model == "other/m"


async def test_of_changes_at_the_same_time_with_the_same_version_one_wins(pair: Pair) -> None:
    await pair.one.put(route("race", "openai/gpt-4o"))
    calls = [
        client.put(route("race", "other/m", policy=policy), expected=1)
        for policy in ("weighted", "cheapest", "fastest", "balanced")
        for client in (pair.one, pair.two)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    lost = [result for result in results if isinstance(result, OmnixError)]
    assert {error.reason for error in lost} == {Reason.CONFLICT}
    assert len(lost) == len(calls) - 1
    assert [version.version for version in await pair.one.versions("race")] == [2, 1]


async def test_changes_at_the_same_time_without_a_version_all_count(pair: Pair) -> None:
    calls = [
        client.put(pb.Route(name="busy", targets=[pb.RouteTarget(model="other/m", weight=weight + side)]))
        for weight in (10, 20)
        for side, client in enumerate((pair.one, pair.two))
    ]
    await asyncio.gather(*calls)
    told = await pair.one.versions("busy")
    assert [version.version for version in told] == [4, 3, 2, 1]
    assert {version.route.targets[0].weight for version in told} == {10, 11, 20, 21}
    assert [version.route.in_force for version in told] == [True, False, False, False]


async def test_history_tells_who_did_what_and_can_be_gone_back_in(pair: Pair) -> None:
    await pair.one.put(route("lived", "openai/gpt-4o"))
    await pair.two.put(route("lived", "other/m"))
    assert await pair.two.delete("lived") == 3
    gone = await refused(pair.one.get("lived"))
    assert (gone.reason, gone.param) == (Reason.NOT_FOUND, "name")
    back = await pair.one.roll_back("lived", 1)
    assert (back.version, back.targets[0].model) == (4, "openai/gpt-4o")
    await seen(pair.two, "lived", "openai/gpt-4o")
    told = await pair.two.versions("lived")
    action = pb.RouteChange
    assert [(each.version, each.change.action, each.change.restored_version) for each in told] == [
        (4, action.ACTION_ROLLED_BACK, 1),
        (3, action.ACTION_DELETED, 0),
        (2, action.ACTION_UPDATED, 0),
        (1, action.ACTION_CREATED, 0),
    ]
    assert {each.change.author.key_id for each in told} == {"k1"}
    assert [each.HasField("route") for each in told] == [True, False, True, True]
    deletion = await refused(pair.one.roll_back("lived", 3))
    assert (deletion.reason, deletion.param) == (Reason.INVALID_REQUEST, "version")
    assert (await refused(pair.one.roll_back("lived", 9))).reason is Reason.NOT_FOUND
    assert (await pair.one.roll_back("lived", 4)).version == 4


async def test_deleted_route_is_gone_at_every_router(pair: Pair) -> None:
    await pair.one.put(route("brief", "other/m"))
    await seen(pair.two, "brief", "other/m")
    await pair.one.delete("brief")

    async def is_gone() -> bool:
        try:
            await pair.two.answered_by("brief")
        except OmnixError as exc:
            return exc.reason is Reason.MODEL_NOT_FOUND
        return False

    await eventually(is_gone, within=5)
    assert (await refused(pair.two.delete("brief"))).reason is Reason.NOT_FOUND
    again = await pair.two.put(route("brief", "openai/gpt-4o"), expected=0)
    assert (again.created, again.route.version) == (True, 3)


@pytest.mark.parametrize(
    ("bad", "param", "told"),
    [
        (route("x"), "targets", "must hold at least one target"),
        (route("x", "nobody/m"), "targets[0].model", "no provider is called nobody"),
        (route("x", "openai/gpt-9"), "targets[0].model", "the catalogue knows no openai/gpt-9"),
        (route("x", "other/m", "other/m"), "targets[1].model", "other/m is there twice"),
        (route("x", "other/m", policy="best"), "policy", "'best' is none of ordered"),
        (route("x y", "other/m"), "name", "without spaces"),
        (route("", "other/m"), "name", "1 to 256"),
        (route("gpt-4o", "other/m"), "name", "is the name of a model; set shadows"),
        (route("other/*", "other/*"), "name", "never matches"),
        (pb.Route(name="x", targets=[pb.RouteTarget(model="other/m", weight=0)]), "targets[0].weight", "must be from"),
        (
            pb.Route(name="x", targets=[pb.RouteTarget(model="other/m")], rules=[pb.RouteRule()]),
            "rules[0].when",
            "must hold at least one condition",
        ),
        (
            pb.Route(
                name="x",
                targets=[pb.RouteTarget(model="other/m")],
                first_content_timeout=pb.FirstContentTimeout(think=Duration(seconds=-1)),
            ),
            "first_content_timeout.think",
            "must be",
        ),
        (pb.Route(name="x", targets=[pb.RouteTarget(model="other/m")], deadline=Duration()), "deadline", "more than 0"),
        (
            pb.Route(name="x", targets=[pb.RouteTarget(model="other/m")], mirror=pb.RouteMirror(target="other/m")),
            "mirror.share",
            "must be above 0",
        ),
        (
            pb.Route(
                name="x",
                targets=[pb.RouteTarget(model="other/m")],
                rules=[pb.RouteRule(when=pb.RouteConditions(metadata=[pb.MetadataCondition(field="a")] * 2))],
            ),
            "rules",
            "twice",
        ),
    ],
)
async def test_bad_route_is_refused_by_field(pair: Pair, bad: pb.Route, param: str, told: str) -> None:
    for dry in (True, False):
        error = await refused(pair.one.put(bad, dry=dry))
        assert (error.reason, error.param) == (Reason.INVALID_REQUEST, param)
        assert told in error.message
    assert (bad.name, True) not in await pair.one.names()


async def test_a_route_that_is_too_large_is_refused(pair: Pair) -> None:
    error = await refused(pair.one.put(route("x", *(f"other/{'m' * 400}{number}" for number in range(200)))))
    assert (error.reason, error.param) == (Reason.INVALID_REQUEST, "route")


async def test_validating_changes_nothing(pair: Pair) -> None:
    told = await pair.one.put(route("thought", "gpt-4o-mini"), dry=True)
    assert (told.created, told.route.targets[0].model) == (True, "openai/gpt-4o-mini")
    assert (await refused(pair.one.get("thought"))).reason is Reason.NOT_FOUND


async def test_providers_that_only_an_adapter_names_may_be_targets(pair: Pair) -> None:
    await pair.one.put(route("fresh", "newcomer/x"))
    await seen(pair.two, "fresh", "newcomer/x")


async def test_the_file_wins_and_is_not_changed(pair: Pair) -> None:
    filed = await pair.one.get("filed")
    assert (filed.source, filed.in_force, filed.version) == (pb.ROUTE_SOURCE_FILE, True, 0)
    for call in (
        pair.one.put(route("filed", "other/m")),
        pair.one.delete("filed"),
        pair.one.roll_back("filed", 1),
    ):
        error = await refused(call)
        assert (error.reason, error.param) == (Reason.CONFLICT, "name")
        assert error.message == "The route 'filed' stands in the routes file, which wins; change it there."
    assert (await refused(pair.one.versions("filed"))).reason is Reason.NOT_FOUND

    await pair.one.put(route("later", "other/m"))
    pair.routes_file.write_text(FILE + '\n[routes.later]\ntargets = ["openai/gpt-4o"]\n')

    async def file_holds() -> bool:
        return await pair.one.answered_by("later") == "openai/gpt-4o"

    try:
        await eventually(file_holds)
        listed = [each for each in await pair.one.names(size=1) if each[0] == "later"]
        assert listed == [("later", True), ("later", False)]
        assert (await pair.one.get("later")).source == pb.ROUTE_SOURCE_FILE
    finally:
        pair.routes_file.write_text(FILE)
    await seen(pair.one, "later", "other/m")


async def test_routes_are_listed_by_name_in_pages(pair: Pair) -> None:
    for name in ("page-c", "page-a", "page-b"):
        await pair.one.put(route(name, "other/m"))
    whole = await pair.two.names()
    assert [name for name, _ in whole if name.startswith("page-")] == ["page-a", "page-b", "page-c"]
    assert await pair.two.names(size=2) == whole
    bad = pair.one.router.remote.call(pair.one.stub.ListRoutes, wire.ListRoutesRequest(page_token="?"), timeout=LONG)
    assert (await refused(bad)).param == "page_token"


async def test_router_without_nats_reads_its_store(pair: Pair, tmp_path: Path, adapters: str) -> None:
    await pair.one.put(route("kept", "other/m"))
    router = spawn(tmp_path, f"nats://127.0.0.1:{free_port()}", adapters, OMNIX_ROUTES_STORE_POLL="200ms", **pair.store)
    try:
        alone = Client(router)

        async def only_nats_lacks() -> bool:
            return set(await router.lacking()) == {"nats"}

        await eventually(only_nats_lacks, within=20)
        assert await alone.answered_by("kept") == "other/m"
        # It hears of nothing, and looks by itself.
        await pair.one.put(route("kept", "openai/gpt-4o"))

        async def looked() -> bool:
            return await alone.answered_by("kept") == "openai/gpt-4o"

        await eventually(looked)
        # What it changes itself is in force at once, though it can tell nobody.
        await alone.put(route("kept", "newcomer/x"))
        assert await alone.answered_by("kept") == "newcomer/x"
        assert (await pair.one.get("kept")).targets[0].model == "newcomer/x"
    finally:
        router.process.kill()
        await asyncio.to_thread(router.process.wait, 10)
        await router.remote.close()


async def test_what_was_said_while_nats_was_away_is_seen_at_the_next_connection(tmp_path: Path, adapters: str) -> None:
    store = {"OMNIX_STORE_URL": f"sqlite://{tmp_path}/router.db", "OMNIX_ROUTES_STORE_POLL": "1h"}
    with nats_server(tmp_path / "nats") as nats:
        async with (
            running(tmp_path, nats, adapters, **store) as first,
            running(tmp_path, nats, adapters, **store) as second,
        ):
            one, two = Client(first), Client(second)
            nats.kill()
            await one.put(route("missed", "other/m"))
            assert await one.answered_by("missed") == "other/m"
            assert (await refused(two.answered_by("missed"))).reason is Reason.MODEL_NOT_FOUND
            nats.start()

            async def caught_up() -> bool:
                return "missed" in await two.router.models()

            await eventually(caught_up)


async def test_router_without_a_store_shows_its_file_and_says_why_it_does_no_more(
    tmp_path: Path, nats: NatsServer, adapters: str
) -> None:
    (tmp_path / "routes.toml").write_text(FILE)
    async with running(tmp_path, nats, adapters, OMNIX_ROUTES_FILE=str(tmp_path / "routes.toml")) as router:
        client = Client(router)
        assert await client.names() == [("filed", True)]
        assert (await client.get("filed")).source == pb.ROUTE_SOURCE_FILE
        for call in (
            client.put(route("x", "other/m")),
            client.delete("x"),
            client.versions("filed"),
            client.roll_back("x", 1),
        ):
            error = await refused(call)
            assert error.reason is Reason.UNAVAILABLE
            assert "OMNIX_STORE_URL" in error.message


async def test_bad_store_ends_the_start(tmp_path: Path, nats: NatsServer) -> None:
    router = spawn(tmp_path, nats.url, "openai=127.0.0.1:1", OMNIX_STORE_URL="redis://here")
    try:
        assert await asyncio.to_thread(router.process.wait, 15) == 2
        assert "OMNIX_STORE_URL" in router.log()
    finally:
        router.process.kill()
        router.process.wait(10)
        await router.remote.close()
