"""Answers, errors and the ledger's entries to what is remembered and told of a call, and back from it."""

from collections.abc import Iterable

from omnix.common.v1 import errors_pb2
from omnix.router.v1 import router_service_pb2
from omnix.usage.v1 import usage_pb2, usage_service_pb2
from omnix_kit.convert import error_from_proto, error_to_proto
from omnix_kit.errors import OmnixError

from omnix_gateway.convert import usage_entry_from_proto
from omnix_gateway.idempotency.schema import KnownAttempt
from omnix_gateway.identity import Identity

CompleteResponse = router_service_pb2.CompleteResponse
EmbedResponse = router_service_pb2.EmbedResponse

_MOST_ATTEMPTS = 100


def to_bytes(response: CompleteResponse | EmbedResponse) -> bytes:
    return response.SerializeToString()


def completion_from_bytes(data: bytes) -> CompleteResponse:
    return CompleteResponse.FromString(data)


def vectors_from_bytes(data: bytes) -> EmbedResponse:
    return EmbedResponse.FromString(data)


def error_to_bytes(error: OmnixError) -> bytes:
    return error_to_proto(error).SerializeToString()


def error_from_bytes(data: bytes) -> OmnixError:
    return error_from_proto(errors_pb2.Error.FromString(data))


def attempts_to_ask(identity: Identity, completion_id: str) -> usage_service_pb2.ListUsageEntriesRequest:
    which = usage_service_pb2.UsageFilter(
        tenant_id=identity.tenant_id, key_id=identity.key_id, completion_id=completion_id
    )
    return usage_service_pb2.ListUsageEntriesRequest(filter=which, page_size=_MOST_ATTEMPTS)


def attempts_from_proto(entries: Iterable[usage_pb2.UsageEntry]) -> list[KnownAttempt]:
    told = [usage_entry_from_proto(entry) for entry in entries]
    return [
        KnownAttempt(
            provider=entry.provider,
            model=entry.model,
            outcome=entry.outcome,
            estimated=entry.estimated,
            input_tokens=entry.input_tokens,
            output_tokens=entry.output_tokens,
            cost_micros=entry.cost_micros,
        )
        for entry in told
    ]
