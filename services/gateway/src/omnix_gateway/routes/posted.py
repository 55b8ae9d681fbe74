"""What the bare routes share: the one method that they answer, who asks, and how a refusal is told."""

from collections.abc import Awaitable, Callable

from omnix_kit.errors import OmnixError

from omnix_gateway.authentication import Authenticator
from omnix_gateway.errors import NO_RETRY, invalid
from omnix_gateway.http.exchange import Exchange, Headers, Receive, Scope, Send, exchange_of, reply, reply_error
from omnix_gateway.identity import Identity, Role
from omnix_gateway.routes.answered import REPLAYED

Work = Callable[[Scope, Receive, Send, Identity], Awaitable[None]]


async def answer_posted(
    path: str, id_prefix: bytes, authenticator: Authenticator, work: Work, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a member's POST with `work`, which gives the exchange its completion id as soon as it knows one.

    An error is told with that id, as long as nothing of an answer has been.
    """
    method = scope["method"]
    if method != "POST":
        allow: Headers = [(b"allow", b"OPTIONS, POST")]
        if method == "OPTIONS":
            await reply(send, 204, allow, b"")
            return
        await reply_error(send, invalid(f"'{path}' does not answer {method}."), 405, allow)
        return
    exchange = exchange_of(scope)
    try:
        identity = await authenticator.identify(scope["headers"])
        exchange.key_id, exchange.tenant_id = identity.key_id, identity.tenant_id
        identity.needs(Role.MEMBER)
        await work(scope, receive, send, identity)
    except OmnixError as exc:
        if exchange.status:
            raise
        await reply_error(send, exc, None, _headers(exchange, id_prefix))


def _headers(exchange: Exchange, id_prefix: bytes) -> Headers:
    headers: Headers = []
    if exchange.completion_id:
        headers.append((b"x-omnix-completion-id", id_prefix + exchange.completion_id.encode()))
    headers.append((b"openai-processing-ms", b"%d" % exchange.milliseconds))
    headers += exchange.limits
    if exchange.replayed:
        headers += (REPLAYED, NO_RETRY)
    return headers
