"""What was used, what it costs, and what it comes to over time."""

from typing import Final

from omnix_gateway import schema
from omnix_gateway.analytics import schema as analytics
from omnix_gateway.ledger import schema as ledger
from omnix_gateway.ledger import statements
from omnix_gateway.openapi.operation import Operation

_MONTH: Final = {"month": "Such as `2026-11`."}
_RULE_ID: Final = {"rule_id": "1 to 64 of `A-Za-z0-9._-`."}

ACCOUNTING: Final = (
    Operation(
        "get",
        "/v1/usage",
        "list_usage",
        "Usage",
        "List attempts, newest first.",
        schema.UsageList,
        query=schema.UsageQuery,
        errors=(400, 401, 503),
        description=(
            "One entry for each attempt at a vendor. Members see their own key's, admins the tenant's. Beside the "
            "parameters below, `metadata.<name>=<value>` asks for one label of the caller's."
        ),
    ),
    Operation(
        "get",
        "/v1/usage/summary",
        "summarize_usage",
        "Usage",
        "Add usage up by provider, model and currency.",
        schema.UsageSummary,
        query=schema.UsageQuery,
        errors=(400, 401, 503),
    ),
    Operation(
        "get",
        "/v1/usage/export",
        "export_usage",
        "Usage",
        "Download attempts as a file, newest first.",
        query=schema.UsageExportQuery,
        errors=(400, 401, 503),
        description=(
            "JSON Lines of the entries that `/v1/usage` lists, or CSV with a head. The answer has no announced length; "
            "where it cannot go on the connection breaks, and `end_time` goes on where it broke. Takes "
            "`metadata.<name>=<value>`, too."
        ),
        files=("application/jsonl", "text/csv"),
    ),
    Operation(
        "post",
        "/v1/usage/rerate",
        "rerate_usage",
        "Usage",
        "Rate a page of attempts again.",
        ledger.Rerating,
        ledger.RerateRequest,
        errors=(400, 401, 403, 409, 413, 503),
        description="Doing it again changes nothing. What stood before is in the entries' `former_ratings`.",
    ),
    Operation(
        "get",
        "/v1/pricing/rules",
        "list_price_rules",
        "Pricing",
        "List the price rules, by id.",
        ledger.PriceRuleList,
        errors=(401, 403, 503),
        description="Of several that hold for an attempt, the one with the longest pattern is taken, then the latest.",
    ),
    Operation(
        "get",
        "/v1/pricing/rules/{rule_id}",
        "get_price_rule",
        "Pricing",
        "Show one price rule.",
        ledger.PriceRule,
        errors=(401, 403, 404, 503),
        path_parameters=_RULE_ID,
    ),
    Operation(
        "put",
        "/v1/pricing/rules/{rule_id}",
        "put_price_rule",
        "Pricing",
        "Write a price rule, new or anew, for what is recorded from then on.",
        ledger.PriceRule,
        ledger.PriceRuleRequest,
        errors=(400, 401, 403, 409, 413, 503),
        description="The status is 201 where the rule is new.",
        path_parameters=_RULE_ID,
    ),
    Operation(
        "delete",
        "/v1/pricing/rules/{rule_id}",
        "delete_price_rule",
        "Pricing",
        "Delete a price rule.",
        ledger.PriceRuleDeleted,
        errors=(401, 403, 404, 503),
        path_parameters=_RULE_ID,
    ),
    Operation(
        "get",
        "/v1/pricing/credits",
        "list_credits",
        "Pricing",
        "List the credits, by id.",
        ledger.CreditList,
        errors=(401, 403, 503),
    ),
    Operation(
        "post",
        "/v1/pricing/credits",
        "create_credit",
        "Pricing",
        "Give a credit.",
        ledger.Credit,
        ledger.CreditRequest,
        status=201,
        errors=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "get",
        "/v1/statements/{month}",
        "get_statement",
        "Pricing",
        "Tell what is billed for a month.",
        statements.Statement,
        errors=(400, 401, 403, 503),
        description="As it was closed, or as it would be now.",
        path_parameters=_MONTH,
    ),
    Operation(
        "post",
        "/v1/statements/{month}/close",
        "close_statement",
        "Pricing",
        "Freeze the statement of a month that has ended.",
        statements.Statement,
        errors=(400, 401, 403, 409, 503),
        description=(
            "Months are closed in their order, and once: closing one again tells it as it is. What changes in it "
            "afterwards is an adjustment in the next statement."
        ),
        path_parameters=_MONTH,
    ),
    Operation(
        "get",
        "/v1/analytics/series",
        "query_series",
        "Analytics",
        "Tell figures over time.",
        analytics.FiguresSeries,
        query=analytics.SeriesQuery,
        errors=(400, 401, 403, 503),
        description="Admins see the tenant's, others their key's, or with their own `user_id` their user's.",
    ),
    Operation(
        "get",
        "/v1/analytics/totals",
        "query_totals",
        "Analytics",
        "Tell figures of a time, altogether and by group.",
        analytics.FiguresTotals,
        query=analytics.TotalsQuery,
        errors=(400, 401, 403, 503),
    ),
    Operation(
        "get",
        "/v1/analytics/live",
        "watch_figures",
        "Analytics",
        "Watch the figures of the last minutes.",
        query=analytics.LiveQuery,
        errors=(400, 401, 403, 503),
        description=(
            "Each event `figures` tells the whole window anew, at once and within two seconds of a change; a stream "
            "that the gateway ends has an event `error` before."
        ),
        events=analytics.LiveFigures,
    ),
    Operation(
        "post",
        "/v1/analytics/rebuild",
        "start_rebuild",
        "Analytics",
        "Make the figures of some days anew from the ledger.",
        analytics.Rebuild,
        analytics.RebuildRequest,
        status=202,
        errors=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "get",
        "/v1/analytics/rebuild",
        "get_rebuild",
        "Analytics",
        "Tell how far a rebuild is.",
        analytics.Rebuild,
        query=analytics.RebuildQuery,
        errors=(400, 401, 403, 404, 503),
    ),
)
