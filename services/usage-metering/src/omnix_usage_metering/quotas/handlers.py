"""NATS out: what limits tell others. At most once: gateways ask again from time to time, too."""

import logging

from omnix_kit import subjects
from omnix_kit.errors import OmnixError
from omnix_kit.messaging import Messaging

from omnix_usage_metering.quotas.convert import changed_to_bytes, reached_to_bytes
from omnix_usage_metering.quotas.quotas import Reached, Words

_log = logging.getLogger(__name__)


def words(messaging: Messaging) -> Words:
    async def say(subject: str, payload: bytes) -> None:
        try:
            await messaging.publish(subject, payload)
        except OmnixError as exc:
            _log.warning("a word about a limit was not said", extra={"subject": subject, "error": exc.message})

    async def changed(tenant_id: str, limit_id: str) -> None:
        await say(subjects.limit_changed(tenant_id), changed_to_bytes(tenant_id, limit_id))

    async def reached(what: Reached) -> None:
        await say(subjects.limit_reached(what.limit.tenant_id), reached_to_bytes(what))

    return Words(changed, reached)
