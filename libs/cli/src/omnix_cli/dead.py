"""``omnix dead``: messages that no service could process. It talks to NATS itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from omnix_kit import dead
from omnix_kit.dead import DeadLetter
from omnix_kit.errors import OmnixError
from omnix_kit.health import Readiness
from omnix_kit.messaging import Messaging, nats_connection
from omnix_kit.settings import ServiceSettings
from rich.table import Table

from omnix_cli.errors import CommandError

_CONNECTED_WITHIN = 5.0
ResultT = TypeVar("ResultT")


def letters(nats_url: str) -> list[DeadLetter]:
    """All dead letters, oldest first."""

    async def read(messaging: Messaging) -> list[DeadLetter]:
        return [letter async for letter in dead.letters(messaging)]

    return _with_broker(nats_url, read)


def replay(nats_url: str, sequences: Sequence[int] | None, told: Callable[[DeadLetter], None]) -> int:
    """Send letters on their way again; returns how many.

    :param sequences: which ones; None for all that are there now.
    :param told: called after each.
    """

    async def send(messaging: Messaging) -> int:
        count = 0
        async for letter in _chosen(messaging, sequences):
            await dead.replay(messaging, letter)
            told(letter)
            count += 1
        return count

    return _with_broker(nats_url, send)


def table(found: Sequence[DeadLetter]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "time", "service", "subject", "message", "bytes"):
        shown.add_column(column, no_wrap=True)
    shown.add_column("reason", overflow="fold")
    for letter in found:
        shown.add_row(
            str(letter.sequence),
            "" if letter.time is None else letter.time.isoformat(timespec="seconds"),
            letter.service,
            letter.subject,
            letter.message_id,
            str(len(letter.payload)),
            letter.reason,
        )
    return shown


def as_json(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.sequence,
        "time": letter.time,
        "service": letter.service,
        "subject": letter.subject,
        "message_id": letter.message_id,
        "reason": letter.reason,
        "payload": letter.payload,
    }


async def _chosen(messaging: Messaging, sequences: Sequence[int] | None) -> AsyncIterator[DeadLetter]:
    if sequences is None:
        for letter in [letter async for letter in dead.letters(messaging)]:
            yield letter
        return
    for sequence in sequences:
        found = await dead.letter(messaging, sequence)
        if found is None:
            raise CommandError(f"there is no dead message {sequence}; omnix dead list shows those that are there")
        yield found


def _with_broker(nats_url: str, work: Callable[[Messaging], Coroutine[Any, Any, ResultT]]) -> ResultT:
    async def run() -> ResultT:
        async with _connected(nats_url) as messaging:
            return await work(messaging)

    try:
        return asyncio.run(run())
    except OmnixError as exc:
        raise CommandError(exc.message) from exc


@asynccontextmanager
async def _connected(nats_url: str) -> AsyncIterator[Messaging]:
    async with nats_connection(ServiceSettings(nats_url=nats_url), Readiness(), "omnix-cli") as messaging:
        try:
            async with asyncio.timeout(_CONNECTED_WITHIN):
                await messaging.ready()
        except TimeoutError as exc:
            raise CommandError(
                "NATS does not answer; start the suite with omnix up, or give --nats or OMNIX_NATS_URL"
            ) from exc
        yield messaging
