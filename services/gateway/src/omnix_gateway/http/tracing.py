"""A request as a span, in the words of https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""

from omnix_kit import telemetry

from omnix_gateway.http.exchange import Exchange, Scope


def trace_answered(span: telemetry.Span, method: str, scope: Scope, exchange: Exchange) -> None:
    """End the span of a request. It tells neither path nor query, which may hold what callers write."""
    route = str(scope.get("path_template") or "unmatched")
    told: dict[str, telemetry.Attribute] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": exchange.status,
        "omnix.request_id": exchange.request_id,
    }
    for name in ("tenant_id", "key_id", "completion_id", "model", "stream_end"):
        if value := getattr(exchange, name):
            told[f"omnix.{name}"] = value
    span.rename(f"{method} {route}")
    span.tell(told)
    if exchange.status >= 500:
        span.failed(str(exchange.status))
    span.end()
