"""Models, how their providers fare, and routes to them."""

from typing import Final

from omnix_gateway import schema
from omnix_gateway.openapi.operation import Header, Operation
from omnix_gateway.providers.schema import HealthQuery, ProviderHealthList
from omnix_gateway.routing import schema as routing
from omnix_gateway.selection.schema import ModelSelection, SelectionRequest

_ETAG_HEADER: Final = Header("ETag", "The route's version; routes of the file have none.")
_MATCH_HEADERS: Final = (Header("If-Match", "The version that is expected, as an `ETag` tells it; else 409."),)
_ROUTE_NAME: Final = {
    "name": "The route's name. It may contain `/` and `*`; one that ends in `/versions` or `/rollback` has `%2F` there."
}

MODELS: Final = (
    Operation(
        "get", "/v1/models", "list_models", "Models", "List models and routes.", schema.ModelList, errors=(401, 503)
    ),
    Operation(
        "get",
        "/v1/models/{model_id}",
        "get_model",
        "Models",
        "Describe one model or route.",
        schema.Model,
        errors=(401, 404, 503),
        path_parameters={"model_id": "Any name that a request may use; it may contain `/`."},
    ),
    Operation(
        "post",
        "/v1/models/select",
        "select_models",
        "Models",
        "Order the models that fit what is required.",
        ModelSelection,
        SelectionRequest,
        errors=(400, 401, 413, 503),
        description=(
            "The cheapest of like quality comes first. Asking for the model `auto` has a request answered by the first "
            "of these, with requirements read off the request itself."
        ),
    ),
    Operation(
        "get",
        "/v1/providers/health",
        "list_provider_health",
        "Models",
        "Tell how the providers fare.",
        ProviderHealthList,
        query=HealthQuery,
        errors=(400, 401, 503),
        description=(
            "While a model's circuit is open it is not called. Circuits and history are known to all routers together; "
            "calls and times are those of the router that answers."
        ),
    ),
    Operation(
        "get",
        "/v1/routes",
        "list_routes",
        "Routes",
        "List the routes, by name.",
        routing.RouteList,
        query=routing.RouteQuery,
        errors=(400, 401, 403, 503),
        description="Those of the router's file and those of its store, which this API changes.",
    ),
    Operation(
        "get",
        "/v1/routes/{name}",
        "get_route",
        "Routes",
        "Show one route, the one in force.",
        routing.Route,
        errors=(400, 401, 403, 404, 503),
        answer_headers=(_ETAG_HEADER,),
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "put",
        "/v1/routes/{name}",
        "put_route",
        "Routes",
        "Write a route, new or anew; all routers use it at once.",
        routing.Route,
        routing.RouteRequest,
        query=routing.PutRouteQuery,
        errors=(400, 401, 403, 409, 413, 503),
        description="The status is 201 where the route is new. With `validate_only` it is judged, and nothing changes.",
        headers=(*_MATCH_HEADERS, Header("If-None-Match", "`*`: the route must be new.")),
        answer_headers=(_ETAG_HEADER,),
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "delete",
        "/v1/routes/{name}",
        "delete_route",
        "Routes",
        "Delete a route.",
        routing.RouteDeleted,
        errors=(400, 401, 403, 404, 409, 503),
        description="For 90 days it can be rolled back to one of its versions.",
        headers=_MATCH_HEADERS,
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "get",
        "/v1/routes/{name}/versions",
        "list_route_versions",
        "Routes",
        "Tell who changed a route, when and how, newest first.",
        routing.RouteVersionList,
        errors=(400, 401, 403, 404, 503),
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "post",
        "/v1/routes/{name}/rollback",
        "rollback_route",
        "Routes",
        "Take an earlier version of a route again, as a new one.",
        routing.Route,
        routing.RollbackRequest,
        errors=(400, 401, 403, 404, 409, 413, 503),
        headers=_MATCH_HEADERS,
        answer_headers=(_ETAG_HEADER,),
        path_parameters=_ROUTE_NAME,
    ),
)
