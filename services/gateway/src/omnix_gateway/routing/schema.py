"""What the API tells and takes of routes: the words of the routes file."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

PageSize = Annotated[int, Meta(ge=1, le=1000)]
Texts = Annotated[list[str], Meta(min_length=1, max_length=100)]
Count = Annotated[int, Meta(ge=1, le=2_147_483_647)]
Tokens = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]
VersionNumber = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]


class RouteTarget(Struct, kw_only=True, forbid_unknown_fields=True):
    """One choice of a route. Lower ranks come first; equal ranks share by weight."""

    model: str
    weight: Count = 1
    rank: Count | None = None


class RouteMirror(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where copies of a share of the requests go. Their answers are shown to nobody, and billed like any other."""

    target: str
    share: Annotated[float, Meta(gt=0, le=1)]


class RouteConditions(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a rule is for: all that is given must hold. One value stands for a list of one."""

    mode: str | Texts | None = None
    modality: str | Texts | None = None
    min_input_tokens: Tokens | None = None
    max_input_tokens: Tokens | None = None
    tenant: str | Texts | None = None
    metadata: dict[str, str | Texts] = {}


class RouteRule(Struct, kw_only=True, forbid_unknown_fields=True):
    """Other targets for some requests. `policy` is the route's unless given."""

    when: RouteConditions
    targets: list[RouteTarget | str]
    policy: str | None = None


class FirstContentTimeout(
    Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename={"ultra_think": "ultra-think"}
):
    """How long the first content may take, by how much the model reasons; `default` where the others say nothing."""

    default: str | None = None
    flash: str | None = None
    think: str | None = None
    ultra_think: str | None = None


class RouteAuthor(Struct, kw_only=True):
    """Who changed a route."""

    tenant_id: str | None
    user_id: str | None
    key_id: str | None


class RouteChange(Struct, kw_only=True):
    """How a version came about. `restored_version` is the one that was taken again."""

    action: Literal["created", "updated", "rolled_back", "deleted"]
    author: RouteAuthor
    time: datetime
    restored_version: int | None


class _Route(Struct, kw_only=True, forbid_unknown_fields=True):
    targets: list[RouteTarget | str]
    policy: str | None = None
    sticky: str | None = None
    rules: list[RouteRule] = []
    attempts: Count | None = None
    first_content_timeout: str | FirstContentTimeout | None = None
    idle_timeout: str | None = None
    hedge_after: str | None = None
    deadline: str | None = None
    shadows: bool = False
    strict_reasoning: bool | None = None
    mirror: RouteMirror | None = None


class RouteRequest(_Route, kw_only=True, forbid_unknown_fields=True):
    """A whole route, in the words of the routes file; durations are written `250ms`, `5s`, `1.5m`, `2h`.

    What is told of a route may be sent back: `name` must be that of the path, `version` is the one that is expected,
    as in `If-Match`, and the other fields that only answers have count for nothing.
    """

    name: str | None = None
    version: VersionNumber | None = None
    object: Literal["route"] | None = None
    source: str | None = None
    in_force: bool | None = None
    change: RouteChange | None = None


class Route(_Route, kw_only=True):
    """A route. Those of the file have no version and are changed there; of two with one name the file's is in force."""

    object: Literal["route"] = "route"
    name: str
    source: Literal["file", "store"]
    in_force: bool
    version: int | None
    change: RouteChange | None


class RouteQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page of routes."""

    limit: PageSize = 100
    page_token: str | None = None


class PutRouteQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether the route is only judged."""

    validate_only: bool = False


class RouteList(Struct, kw_only=True):
    """Routes, by name."""

    object: Literal["list"] = "list"
    data: list[Route]
    has_more: bool
    next_page_token: str | None


class RouteVersion(Struct, kw_only=True):
    """One version of a route; `route` is null where it was deleted."""

    object: Literal["route.version"] = "route.version"
    version: int
    change: RouteChange
    route: Route | None


class RouteVersionList(Struct, kw_only=True):
    """Versions, newest first."""

    object: Literal["list"] = "list"
    data: list[RouteVersion]


class RouteDeleted(Struct, kw_only=True):
    """The route is deleted; `version` says so in its history."""

    name: str
    object: Literal["route.deleted"] = "route.deleted"
    deleted: Literal[True] = True
    version: int


class RollbackRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The version that is to be taken again."""

    version: Annotated[int, Meta(ge=1, le=9_007_199_254_740_991)]
