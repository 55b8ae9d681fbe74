"""Every NATS subject, in one place: ``omnix.v1.<thing>.<event>.<id…>``.

A model's name never stands in a subject: ``gpt-4.1`` has a dot.
"""

from urllib.parse import quote, unquote

CHUNKS_OF_ALL = "omnix.v1.completion.chunk.>"
USAGE_RECORDED = "omnix.v1.usage.recorded.*"
ACCOUNT_CHANGED = "omnix.v1.account.changed.*"
READERS_SOUGHT = "omnix.v1.completion.readers.*"
OPEN_STREAMS_SOUGHT = "omnix.v1.completion.streams"
CANCEL_REQUESTED = "omnix.v1.completion.cancel.*"
SENDER_HEARTBEATS = "omnix.v1.provider.heartbeat.*"
PROVIDER_HEALTH = "omnix.v1.provider.health.*"
CACHED = "omnix.v1.cache.stored.*.*"
CALLS_CLAIMED = "omnix.v1.idempotency.claimed.*.*"
ROUTE_CHANGED = "omnix.v1.route.changed"
LIMIT_CHANGED = "omnix.v1.limit.changed.*"
LIMIT_REACHED = "omnix.v1.limit.reached.*"
DEAD = "omnix.v1.dead.*"


def chunks(gateway_id: str, completion_id: str) -> str:
    return f"omnix.v1.completion.chunk.{gateway_id}.{completion_id}"


def chunks_of_gateway(gateway_id: str) -> str:
    return f"omnix.v1.completion.chunk.{gateway_id}.*"


def chunks_of_completion(completion_id: str) -> str:
    """Whichever gateway began it: for replays."""
    return f"omnix.v1.completion.chunk.*.{completion_id}"


def attempts_ended(router_id: str, completion_id: str) -> str:
    return f"omnix.v1.completion.ended.{router_id}.{completion_id}"


def attempts_ended_of_router(router_id: str) -> str:
    return f"omnix.v1.completion.ended.{router_id}.*"


def readers(completion_id: str) -> str:
    """Whoever reads the completion answers a request on it, with nothing."""
    return f"{READERS_SOUGHT[:-1]}{completion_id}"


def cancel(completion_id: str) -> str:
    return f"omnix.v1.completion.cancel.{completion_id}"


def usage_recorded(tenant_id: str) -> str:
    return f"omnix.v1.usage.recorded.{tenant_id}"


def figures_changed(tenant_id: str) -> str:
    """Figures of the tenant changed."""
    return f"omnix.v1.analytics.changed.{tenant_id}"


def account_changed(tenant_id: str) -> str:
    return f"omnix.v1.account.changed.{tenant_id}"


def limit_changed(tenant_id: str) -> str:
    """A limit of the tenant was made, changed or deleted."""
    return f"{LIMIT_CHANGED[:-1]}{_token(tenant_id)}"


def limit_reached(tenant_id: str) -> str:
    """A limit of the tenant was reached: for whoever notifies people."""
    return f"{LIMIT_REACHED[:-1]}{_token(tenant_id)}"


def sender_heartbeat(sender_id: str) -> str:
    return f"omnix.v1.provider.heartbeat.{sender_id}"


def provider_health(provider: str) -> str:
    """Of a provider's name only what may stand in a subject is written as it is."""
    return f"{PROVIDER_HEALTH[:-1]}{_token(provider)}"


def provider_of_health(subject: str) -> str:
    """The provider that a subject of :func:`provider_health` is about."""
    return unquote(subject.removeprefix(PROVIDER_HEALTH[:-1]))


def cached(tenant_id: str, key: str) -> str:
    """The answer to the request that the cache knows by this key. A tenant's answers can be purged together."""
    return f"{CACHED[:-3]}{_token(tenant_id)}.{key}"


def call_claimed(tenant_id: str, place: str) -> str:
    """What became of the call that is remembered at this place of the tenant's."""
    return f"{CALLS_CLAIMED[:-3]}{_token(tenant_id)}.{place}"


def calls_sought(gateway_id: str) -> str:
    """Asks a gateway what has become of a call with a key that it makes."""
    return f"omnix.v1.idempotency.sought.{gateway_id}"


def dead(service: str) -> str:
    return f"omnix.v1.dead.{service}"


def _token(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")
