"""Routes, as admins see and change them."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from omnix.common.v1 import caller_pb2
from omnix.router.v1 import route_pb2, route_service_pb2
from omnix_kit.errors import CallerError, PlatformError, Reason

from .conftest import Gateway, Start
from .fake_routes import FakeRoutes, fake_routes
from .fakes import ADMIN, MEMBER

WHOLE: dict[str, Any] = {
    "targets": ["openai/gpt-4o", {"model": "bedrock/claude", "weight": 3, "rank": 2}],
    "policy": "balanced",
    "sticky": "metadata.thread",
    "rules": [
        {
            "when": {
                "mode": "think",
                "modality": ["image", "file"],
                "min_input_tokens": 10,
                "tenant": "acme",
                "metadata": {"tier": ["gold", "silver"], "region": "eu"},
            },
            "targets": ["openai/o3"],
            "policy": "ordered",
        }
    ],
    "attempts": 2,
    "first_content_timeout": {"flash": "250ms", "ultra-think": "2m", "default": "1.5s"},
    "idle_timeout": "7s",
    "hedge_after": "800ms",
    "deadline": "1h",
    "shadows": True,
    "strict_reasoning": False,
    "mirror": {"target": "gemini/flash", "share": 0.05},
}
MINIMAL = {"targets": ["openai/gpt-4o"]}


@pytest.fixture
async def routes() -> AsyncIterator[FakeRoutes]:
    async with fake_routes() as found:
        yield found


@pytest.fixture
async def admin(start: Start, routes: FakeRoutes) -> Gateway:
    found: Gateway = await start(ADMIN, router_address=routes.address)
    return found


async def put(gateway: Gateway, name: str, body: object, **headers: str) -> httpx.Response:
    return await gateway.http.put(f"/v1/routes/{name}", json=body, headers=headers)


def last_put(routes: FakeRoutes) -> route_service_pb2.PutRouteRequest:
    asked = routes.asked[-1]
    assert isinstance(asked, route_service_pb2.PutRouteRequest)
    return asked


async def test_routes_are_for_admins(start: Start, routes: FakeRoutes) -> None:
    gateway: Gateway = await start(MEMBER, router_address=routes.address)
    for method, path in (
        ("GET", "/v1/routes"),
        ("GET", "/v1/routes/fast"),
        ("PUT", "/v1/routes/fast"),
        ("DELETE", "/v1/routes/fast"),
        ("GET", "/v1/routes/fast/versions"),
        ("POST", "/v1/routes/fast/rollback"),
    ):
        refused = await gateway.http.request(method, path, json=MINIMAL if method == "PUT" else None)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    assert routes.asked == []


async def test_whole_route_reaches_the_router_and_comes_back(admin: Gateway, routes: FakeRoutes) -> None:
    made = await put(admin, "smart", WHOLE)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    asked = last_put(routes)
    assert asked.caller == caller_pb2.Caller(tenant_id="default", key_id="admin")
    assert not asked.HasField("expected_version")
    route = asked.route
    assert [(target.model, target.HasField("rank")) for target in route.targets] == [
        ("openai/gpt-4o", False),
        ("bedrock/claude", True),
    ]
    assert route.rules[0].when.modes == ["think"]
    assert route.first_content_timeout.flash.ToTimedelta().total_seconds() == 0.25
    told = made.json()
    assert told == WHOLE | {
        "object": "route",
        "name": "smart",
        "source": "store",
        "in_force": True,
        "version": 1,
        "change": {
            "action": "created",
            "author": {"tenant_id": "default", "user_id": None, "key_id": "admin"},
            "time": "2023-11-14T22:13:20Z",
            "restored_version": None,
        },
        # The fake fills nothing in: what was not said is told as protobuf has it.
        "targets": [
            {"model": "openai/gpt-4o", "weight": 0, "rank": 0},
            {"model": "bedrock/claude", "weight": 3, "rank": 2},
        ],
        "rules": [
            {
                "when": {
                    "mode": ["think"],
                    "modality": ["image", "file"],
                    "min_input_tokens": 10,
                    "tenant": ["acme"],
                    "metadata": {"tier": ["gold", "silver"], "region": ["eu"]},
                },
                "targets": [{"model": "openai/o3", "weight": 0, "rank": 0}],
                "policy": "ordered",
            }
        ],
        "first_content_timeout": {"flash": "250ms", "ultra-think": "2m", "default": "1500ms"},
    }


async def test_what_was_read_may_be_written_back(admin: Gateway, routes: FakeRoutes) -> None:
    await put(admin, "fast", MINIMAL | {"first_content_timeout": "10s", "targets": [{"model": "a/b", "rank": 1}]})
    read = await admin.http.get("/v1/routes/fast")
    assert read.json()["first_content_timeout"] == "10s"
    routes.asked.clear()
    written = await put(admin, "fast", read.json())
    assert written.status_code == 200
    assert (last_put(routes).expected_version, written.json()["version"]) == (1, 2)


async def test_any_name_of_a_route_can_stand_in_the_path(admin: Gateway, routes: FakeRoutes) -> None:
    for name in ("team-a/*", "a/b/c", "grüße", "a%b", "x/versions", "x/rollback", "q?a=b#c", "a//b", "ends/"):
        path = quote(name, safe="")
        assert (await put(admin, path, MINIMAL)).status_code == 201
        assert last_put(routes).route.name == name
        assert (await admin.http.get(f"/v1/routes/{path}")).json()["name"] == name
        assert (await admin.http.get(f"/v1/routes/{path}/versions")).status_code == 200
        assert routes.asked[-1] == route_service_pb2.ListRouteVersionsRequest(name=name)
        assert (await admin.http.post(f"/v1/routes/{path}/rollback", json={"version": 1})).status_code == 200
        deleted = await admin.http.delete(f"/v1/routes/{path}")
        assert deleted.json() == {"name": name, "object": "route.deleted", "deleted": True, "version": 2}
    broken = await admin.http.get("/v1/routes/%ff")
    assert (broken.status_code, broken.json()["error"]["param"]) == (400, "name")


async def test_slashes_and_stars_need_no_escapes(admin: Gateway, routes: FakeRoutes) -> None:
    assert (await put(admin, "team-a/*", MINIMAL)).status_code == 201
    assert (await admin.http.get("/v1/routes/team-a/*")).json()["name"] == "team-a/*"
    assert (await admin.http.get("/v1/routes/team-a/*/versions")).json() == {"object": "list", "data": []}
    for call in (put(admin, "x/versions", MINIMAL), admin.http.delete("/v1/routes/x/rollback")):
        refused = await call
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "name")
    assert (await admin.http.post("/v1/routes/team-a/*", json={"version": 1})).status_code == 404


async def test_expected_version_comes_by_header_or_body(admin: Gateway, routes: FakeRoutes) -> None:
    await put(admin, "fast", MINIMAL, **{"if-match": '"7"'})
    assert last_put(routes).expected_version == 7
    await put(admin, "fast", MINIMAL, **{"if-none-match": "*"})
    assert (last_put(routes).HasField("expected_version"), last_put(routes).expected_version) == (True, 0)
    await put(admin, "fast", MINIMAL | {"version": 3})
    assert last_put(routes).expected_version == 3
    await admin.http.post("/v1/routes/fast/rollback", json={"version": 1}, headers={"if-match": '"4"'})
    rolled = routes.asked[-1]
    assert isinstance(rolled, route_service_pb2.RollbackRouteRequest)
    assert (rolled.version, rolled.expected_version) == (1, 4)
    await admin.http.delete("/v1/routes/fast", headers={"if-match": '"5"'})
    deleted = routes.asked[-1]
    assert isinstance(deleted, route_service_pb2.DeleteRouteRequest)
    assert deleted.expected_version == 5

    for headers, body, param in (
        ({"if-match": "fresh"}, MINIMAL, "if-match"),
        ({"if-match": "*"}, MINIMAL, "if-match"),
        ({"if-none-match": '"3"'}, MINIMAL, "if-none-match"),
        ({"if-match": '"3"'}, MINIMAL | {"version": 4}, "version"),
    ):
        refused = await put(admin, "fast", body, **headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_validating_only_asks(admin: Gateway, routes: FakeRoutes) -> None:
    told = await admin.http.put("/v1/routes/fast?validate_only=true", json=MINIMAL)
    assert (told.status_code, last_put(routes).validate_only) == (200, True)
    assert (await admin.http.get("/v1/routes/fast")).status_code == 404


BAD: list[tuple[object, str]] = [
    ({}, "targets"),
    (MINIMAL | {"colour": "blue"}, "colour"),
    (MINIMAL | {"deadline": "soon"}, "deadline"),
    (MINIMAL | {"first_content_timeout": {"think": "soon"}}, "first_content_timeout.think"),
    (MINIMAL | {"first_content_timeout": {"fast": "1s"}}, "first_content_timeout.fast"),
    (MINIMAL | {"name": "other"}, "name"),
    (MINIMAL | {"mirror": {"target": "a/b", "share": 0}}, "mirror.share"),
    ({"targets": [{"model": "a/b", "weight": 0}]}, "targets.0.weight"),
    (MINIMAL | {"rules": [{"when": {"mode": []}, "targets": ["a/b"]}]}, "rules.0.when.mode"),
    (MINIMAL | {"rules": [{"when": {"metadata": {"a": []}}, "targets": ["a/b"]}]}, "rules.0.when.metadata...."),
]


async def test_bad_body_is_refused_by_field(admin: Gateway, routes: FakeRoutes) -> None:
    for body, param in BAD:
        refused = await put(admin, "fast", body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert routes.asked == []


async def test_refusals_of_the_router_are_told_in_callers_words(admin: Gateway, routes: FakeRoutes) -> None:
    routes.error = CallerError(
        "targets[0].model: no provider is called nobody", reason=Reason.INVALID_REQUEST, param="targets[0].model"
    )
    refused = await put(admin, "fast", MINIMAL)
    told = {"message": "targets.0.model: no provider is called nobody", "param": "targets.0.model"}
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        told | {"type": "invalid_request_error", "code": "invalid_request"},
    )
    routes.error = CallerError("The route is at version 2.", reason=Reason.CONFLICT, param="expected_version")
    for call in (
        put(admin, "fast", MINIMAL, **{"if-match": '"1"'}),
        admin.http.delete("/v1/routes/fast"),
        admin.http.post("/v1/routes/fast/rollback", json={"version": 1}),
    ):
        stale = await call
        assert (stale.status_code, stale.json()["error"]["code"]) == (409, "conflict")
        assert stale.json()["error"]["param"] == "version"
    routes.error = PlatformError("This router has no store for routes.", reason=Reason.UNAVAILABLE)
    assert (await put(admin, "fast", MINIMAL)).status_code == 503


async def test_routes_are_listed_in_pages_with_where_they_stand(admin: Gateway, routes: FakeRoutes) -> None:
    await put(admin, "mine", MINIMAL)
    filed = route_pb2.Route(name="filed", policy="ordered", source=route_pb2.ROUTE_SOURCE_FILE, in_force=True)
    routes.routes["filed"] = filed
    routes.token = "more"
    page = (await admin.http.get("/v1/routes?limit=2&page_token=here")).json()
    assert routes.asked[-1] == route_service_pb2.ListRoutesRequest(page_size=2, page_token="here")
    assert (page["has_more"], page["next_page_token"]) == (True, "more")
    assert [(route["name"], route["source"], route["version"]) for route in page["data"]] == [
        ("mine", "store", 1),
        ("filed", "file", None),
    ]
    assert "etag" not in (await admin.http.get("/v1/routes/filed")).headers


async def test_history_tells_who_did_what_and_when(admin: Gateway, routes: FakeRoutes) -> None:
    change = route_pb2.RouteChange
    author = caller_pb2.Caller(tenant_id="default", user_id="ada", key_id="k1")
    routes.versions = [
        route_pb2.RouteVersion(version=3, change=change(action=change.ACTION_DELETED, author=author)),
        route_pb2.RouteVersion(
            version=2,
            change=change(action=change.ACTION_ROLLED_BACK, author=author, restored_version=1),
            route=route_pb2.Route(name="fast", policy="ordered", version=2, source=route_pb2.ROUTE_SOURCE_STORE),
        ),
    ]
    for version in routes.versions:
        version.change.change_time.seconds = 1_700_000_000
    deleted, rolled = (await admin.http.get("/v1/routes/fast/versions")).json()["data"]
    who = {"tenant_id": "default", "user_id": "ada", "key_id": "k1"}
    assert deleted == {
        "object": "route.version",
        "version": 3,
        "change": {"action": "deleted", "author": who, "time": "2023-11-14T22:13:20Z", "restored_version": None},
        "route": None,
    }
    assert (rolled["change"]["restored_version"], rolled["route"]["version"]) == (1, 2)
