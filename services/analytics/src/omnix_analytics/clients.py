"""The ledger, over gRPC."""

import logging
from datetime import timedelta
from typing import Final

from omnix.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from omnix_kit.convert import timestamp
from omnix_kit.durable.errors import Poison
from omnix_kit.rpc import Remote

from omnix_analytics.convert import fact_from_entry
from omnix_analytics.facts import Fact
from omnix_analytics.rebuilding import LedgerPage
from omnix_analytics.spans import Span

_log = logging.getLogger(__name__)
_ENTRIES: Final = 1000
_WITHIN: Final = timedelta(seconds=20)


class LedgerClient:
    """See ``omnix_analytics.rebuilding.Ledger``."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._stub = usage_service_pb2_grpc.UsageServiceStub(remote.channel)

    async def page(self, tenant_id: str, began: Span, token: str) -> LedgerPage:
        asked = usage_service_pb2.ListUsageEntriesRequest(
            filter=usage_service_pb2.UsageFilter(
                tenant_id=tenant_id, start_time=timestamp(began.start), end_time=timestamp(began.end)
            ),
            page_size=_ENTRIES,
            page_token=token,
        )
        answer = await self._remote.call(self._stub.ListUsageEntries, asked, timeout=_WITHIN)
        facts: list[Fact] = []
        for entry in answer.entries:
            try:
                facts.append(fact_from_entry(entry))
            except Poison as exc:
                _log.error("an entry cannot be counted", extra={"id": entry.event.attempt_id, "error": str(exc)})
        return LedgerPage(facts, len(answer.entries), answer.next_page_token)
