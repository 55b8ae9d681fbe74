"""Keys, and how much may be asked."""

from typing import Final

from omnix_gateway import schema
from omnix_gateway.limits import schema as limits
from omnix_gateway.openapi.operation import Operation

_LIMIT_ID: Final = {"limit_id": "Its name within the tenant: 1 to 64 of `A-Za-z0-9._-`, and not `usage`."}

ACCESS: Final = (
    Operation(
        "post",
        "/v1/keys",
        "create_key",
        "Keys",
        "Make a key; its secret is told once.",
        schema.NewKey,
        schema.KeyRequest,
        status=201,
        errors=(400, 401, 403, 413, 503),
    ),
    Operation(
        "get",
        "/v1/keys",
        "list_keys",
        "Keys",
        "List the tenant's keys, newest first.",
        schema.KeyList,
        query=schema.KeyQuery,
        errors=(400, 401, 403, 503),
    ),
    Operation(
        "delete",
        "/v1/keys/{key_id}",
        "revoke_key",
        "Keys",
        "Revoke a key; its open streams end.",
        schema.Key,
        errors=(401, 403, 404, 503),
        path_parameters={"key_id": "The key's id, not its secret."},
    ),
    Operation(
        "get",
        "/v1/limits",
        "list_limits",
        "Limits",
        "List the tenant's limits, by id.",
        limits.LimitList,
        errors=(401, 403, 503),
    ),
    Operation(
        "get",
        "/v1/limits/usage",
        "get_limit_usage",
        "Limits",
        "Tell how much is used of the limits that concern the caller.",
        limits.LimitUsageList,
        errors=(401, 403, 503),
    ),
    Operation(
        "get",
        "/v1/limits/{limit_id}",
        "get_limit",
        "Limits",
        "Show one limit.",
        limits.Limit,
        errors=(401, 403, 404, 503),
        path_parameters=_LIMIT_ID,
    ),
    Operation(
        "put",
        "/v1/limits/{limit_id}",
        "put_limit",
        "Limits",
        "Make a limit, or put another in its place; all gateways heed it at once.",
        limits.Limit,
        limits.LimitRequest,
        errors=(400, 401, 403, 413, 503),
        description="The status is 201 where the limit is new.",
        path_parameters=_LIMIT_ID,
    ),
    Operation(
        "delete",
        "/v1/limits/{limit_id}",
        "delete_limit",
        "Limits",
        "Delete a limit.",
        limits.LimitDeleted,
        errors=(401, 403, 404, 503),
        path_parameters=_LIMIT_ID,
    ),
)
