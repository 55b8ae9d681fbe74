"""``GET /v1/usage`` and ``GET /v1/usage/summary``: members see their own key's, admins the tenant's."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from omnix_gateway import convert
from omnix_gateway.clients import UsageMetering
from omnix_gateway.identity import Role
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered, labelled_query_of
from omnix_gateway.schema import UsageList, UsageQuery, UsageSummary


def usage_routes(metering: UsageMetering) -> list[HTTPRouteHandler]:
    @get("/v1/usage", guards=[open_to(Role.MEMBER)], name="list_usage")
    async def list_usage(request: Request[Any, Any, Any]) -> Response[bytes]:
        query, label = labelled_query_of(request.scope, UsageQuery)
        page = await metering.entries(convert.usage_to_proto(query, label, identity_of(request)))
        return answered(
            UsageList(
                data=[convert.usage_entry_from_proto(entry) for entry in page.entries],
                has_more=bool(page.next_page_token),
                next_page_token=page.next_page_token or None,
            )
        )

    @get("/v1/usage/summary", guards=[open_to(Role.MEMBER)], name="summarize_usage")
    async def summarize_usage(request: Request[Any, Any, Any]) -> Response[bytes]:
        query, label = labelled_query_of(request.scope, UsageQuery)
        summary = await metering.summary(convert.summary_to_proto(query, label, identity_of(request)))
        return answered(UsageSummary(data=[convert.usage_total_from_proto(total) for total in summary.totals]))

    return [list_usage, summarize_usage]
