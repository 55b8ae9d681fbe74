"""The answers that this router began and can go on with, within bounds. No I/O; time is an argument."""

from collections.abc import Collection, Iterator
from contextvars import copy_context
from dataclasses import dataclass

from omnix_router import metrics
from omnix_router.attempts import Series
from omnix_router.calling import Begun, Streamed
from omnix_router.orders import Answered, Order
from omnix_router.recovery.convert import Ended
from omnix_router.recovery.delivered import Link

_MOST_EARLY = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept for the case that an answer breaks off."""

    completions: int
    bytes: int
    """Of requests, as they travel."""


class Opened:
    """One streamed completion, from before its first attempt until its answer is whole or given up."""

    __slots__ = (
        "answered",
        "context",
        "earlier",
        "early",
        "look_at",
        "looks_soon",
        "recovering",
        "series",
        "since",
        "size",
        "streamed",
        "unrecorded",
    )

    def __init__(self, series: Series, streamed: Streamed, size: int) -> None:
        self.series = series
        self.streamed = streamed
        self.size = size
        self.context = copy_context()
        """Of the call that began it: later attempts belong to the same request and the same trace."""
        self.answered: Answered[Begun] | None = None
        """The attempt that the answer is at; None before the first."""
        self.earlier: list[Link] = []
        """Attempts that broke off."""
        self.early: dict[str, Ended] = {}
        """How attempts ended that the router does not know to have begun: that word and the answer to its call race."""
        self.recovering = False
        self.since = 0.0
        """From when on the sender was listened for, by ``Listening``."""
        self.look_at = 0.0
        """When the recording is looked into, on the monotonic clock."""
        self.looks_soon = 0
        self.unrecorded = 0
        """Times that nothing at all was found in the recording."""

    @property
    def completion_id(self) -> str:
        return self.streamed.asked.completion_id

    @property
    def at(self) -> Order:
        """The attempt that the answer is at."""
        if self.answered is None:
            raise ValueError("no attempt began")
        return self.answered.order

    @property
    def begun(self) -> Begun:
        if self.answered is None:
            raise ValueError("no attempt began")
        return self.answered.answer

    @property
    def sender_id(self) -> str:
        return self.begun.started.sender_id

    def is_at(self, attempt_id: str) -> bool:
        return self.answered is not None and self.answered.order.attempt_id == attempt_id

    def remember(self, ended: Ended) -> None:
        if len(self.early) < _MOST_EARLY:
            self.early[ended.attempt_id] = ended


class OpenAnswers:
    """All of them."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._opened: dict[str, Opened] = {}
        self._by_sender: dict[str, set[Opened]] = {}
        self._bytes = 0
        metrics.RECOVERABLE.set_function(lambda: len(self._opened))

    def __len__(self) -> int:
        return len(self._opened)

    def __iter__(self) -> Iterator[Opened]:
        return iter(self._opened.values())

    def get(self, completion_id: str) -> Opened | None:
        return self._opened.get(completion_id)

    def add(self, series: Series, streamed: Streamed) -> Opened | None:
        """None when the answer could not be gone on with."""
        request = streamed.asked.request
        size = 0
        why = ""
        if request.candidate_count > 1:
            why = "alternatives"
        elif len(self._opened) >= self._bounds.completions or streamed.asked.completion_id in self._opened:
            why = "completions"
        elif self._bytes + (size := request.ByteSize()) > self._bounds.bytes:
            why = "bytes"
        if why:
            metrics.UNRECOVERABLE.labels(why).inc()
            return None
        self._bytes += size
        opened = self._opened[streamed.asked.completion_id] = Opened(series, streamed, size)
        return opened

    def remove(self, opened: Opened) -> None:
        """Said again, it changes nothing."""
        if self._opened.get(opened.completion_id) is opened:
            del self._opened[opened.completion_id]
            self._bytes -= opened.size
            self.unfollow(opened)

    def follow(self, opened: Opened) -> None:
        """Count on its sender to live."""
        self._by_sender.setdefault(opened.sender_id, set()).add(opened)

    def unfollow(self, opened: Opened) -> None:
        if opened.answered is None:
            return
        followed = self._by_sender.get(opened.sender_id)
        if followed is not None:
            followed.discard(opened)
            if not followed:
                del self._by_sender[opened.sender_id]

    @property
    def senders(self) -> Collection[str]:
        return self._by_sender.keys()

    def of(self, sender_id: str) -> list[Opened]:
        return list(self._by_sender.get(sender_id, ()))
