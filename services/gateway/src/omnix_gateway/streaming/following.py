"""Which attempt is the answer now, and what comes after it when it breaks off. Pure but for the counters.

An answer is made of a chain of attempts: the root, which begins it, and those that the router named, each with how many
chunks of the one before stand. What attempts say that were never named is dropped, and so is what one says beyond what
stands of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from omnix_kit.errors import OmnixError

from omnix_gateway import metrics
from omnix_gateway.streaming.assembly import Assembly, Bounds, Opening, Pieces, lost
from omnix_gateway.streaming.convert import (
    Chunks,
    End,
    Start,
    Succession,
    chunks_from_bytes,
    end_of_chain,
    error_of,
    why_it_remains_cut,
)

_KNOWN = 64
"""Attempts of a completion that anything is remembered of; a router makes a few."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The last chunk that a client has."""

    attempt: int | None
    """None for the one that begins the answer."""
    seq: int


NOTHING = Seen(None, -1)


class Following:
    """Puts an answer together from the messages of its attempts and the router's word, in whatever order they come."""

    def __init__(
        self, bounds: Bounds, *, late: bool, fail: Callable[[OmnixError], None], wants_recording: Callable[[], None]
    ) -> None:
        """:param late: it is told no attempt: it follows the last one that began the answer.

        :param fail: called when the answer cannot be whole; nothing is taken any more.
        :param wants_recording: called when only the recording has what was dropped here.
        """
        self.end: End | None = None
        """Set when the answer is whole; what it took is that of all its attempts."""
        self.is_smooth = False
        """Whether there is nothing to wait for but the next chunk."""
        self.seen = NOTHING
        """What the client had before; set before the first message is taken."""
        self._bounds = bounds
        self._late = late
        self._fail = fail
        self._wants_recording = wants_recording
        self._now: Assembly | None = None
        self._root = 0
        self._stopped = False
        self._cut: OmnixError | None = None
        self._cut_at: tuple[int, int] | None = None
        self._successions: dict[int, Succession] = {}
        self._ends: dict[int, End | None] = {}
        """Of the attempts before the one that is followed."""
        self._asked: set[int] = set()
        self._continuing: set[int] = set()
        self._surveyed_root = 0
        self._outrun: set[int] = set()
        """Attempts of which nothing stands, because another one that ran beside them was quicker."""
        self._first: Opening | None = None

    # What there is.

    @property
    def attempt(self) -> int | None:
        """The one that is followed."""
        return None if self._now is None else self._now.attempt

    @property
    def place(self) -> tuple[int, int]:
        """How far it is; grows with everything that is taken."""
        return (0, 0) if self._now is None else (self._now.attempt, self._now.next)

    @property
    def first(self) -> Opening | None:
        """How the answer began."""
        return self._first

    @property
    def opening(self) -> Opening | None:
        """How the attempt that is followed began."""
        return None if self._now is None else self._now.opening

    @property
    def gap_since(self) -> float | None:
        return None if self._now is None else self._now.gap_since

    @property
    def bytes_ahead(self) -> int:
        return 0 if self._now is None else self._now.bytes_ahead

    @property
    def cut(self) -> OmnixError | None:
        """Why the attempt that is followed is over, while the router has yet to say what follows it."""
        if self._cut_at is not None and self._cut_at != self.place:
            return None  # it went on after all
        return self._cut

    @property
    def router_id(self) -> str:
        """Who says what follows; empty for nobody."""
        opening = self.opening
        return "" if opening is None else opening.start.router_id

    # What happens.

    def begin(self, attempt: int) -> None:
        """Follow the attempt that begins the answer, by the router's word."""
        self._root = attempt
        try:
            self._follow(attempt, continues=None)
        except OmnixError as exc:
            self._give_up(exc)

    def survey(self, data: bytes) -> None:
        """Look for where the answer begins: the router may have given up an attempt that was recorded."""
        try:
            message = chunks_from_bytes(data)
        except DecodeError:
            self._give_up(_unreadable())
            return
        if message.HasField("succession"):
            self._hear(message.attempt, message.succession)
            if _is_all(message.succession):
                self._outrun.add(message.attempt)
        if not message.HasField("start"):
            return
        if message.start.continued_attempt:
            self._continuing.add(message.attempt)
        else:
            self._surveyed_root = max(self._surveyed_root, message.attempt)

    def surveyed(self) -> None:
        """The whole recording was looked through."""
        root = max(self._surveyed_root, *self._outrun, 0)
        if self._now is None and root:
            self.begin(root)

    def accept(self, data: bytes, pieces: Pieces) -> None:
        """Take a message; what can be given now is appended to ``pieces``."""
        if self._stopped:
            return
        try:
            message = chunks_from_bytes(data)
            now = self._now
            if now is None or message.attempt != now.attempt:
                now = self._other(message)
                if now is None:
                    return
            chunks = message.chunks
            if not chunks and message.HasField("succession"):
                self._hear(message.attempt, message.succession)
                self._settle(pieces)
            elif not now.take(message, chunks, len(data), pieces) or not self.is_smooth:
                self._settle(pieces)
        except DecodeError:
            self._give_up(_unreadable())
        except OmnixError as exc:
            self._give_up(exc)

    def break_off(self, error: OmnixError) -> None:
        """Nobody sends any more; unless something comes after all, the router says what follows."""
        if self.cut is None:
            self._cut, self._cut_at = error, self.place
            self.is_smooth = False

    def stop(self) -> None:
        """Hold nothing any more."""
        self._stopped = True
        self.is_smooth = False
        if self._now is not None:
            self._now.drop()

    def _give_up(self, error: OmnixError) -> None:
        self.stop()
        self._fail(error)

    def _other(self, message: Chunks) -> Assembly | None:
        """What an attempt says that is not followed; answers it when it is the answer after all."""
        attempt = message.attempt
        if message.HasField("succession"):
            self._hear(attempt, message.succession)
            if self._late and _is_all(message.succession) and attempt > (self.attempt or 0):
                return self._begin_anew(attempt)
        elif attempt in self._ends:
            if message.HasField("end"):
                self._ends[attempt] = message.end
        elif self._late and attempt > (self.attempt or 0) and attempt not in self._continuing:
            if message.HasField("start"):
                return self._begun(attempt, message.start)
            if attempt not in self._asked:  # once: the recording may know how it began
                self._asked.add(attempt)
                self._wants_recording()
        return None

    def _begun(self, attempt: int, start: Start) -> Assembly | None:
        """For late readers: an attempt begins that nobody named. Two answers are never put together."""
        if start.continued_attempt:
            self._continuing.add(attempt)
            return None
        return self._begin_anew(attempt)

    def _begin_anew(self, attempt: int) -> Assembly:
        if self._first is not None:
            raise lost("The answer was begun anew.")
        self._root = attempt
        return self._follow(attempt, continues=0)

    def _hear(self, attempt: int, succession: Succession) -> None:
        """The router's word; the first one about an attempt counts."""
        if attempt in self._successions or attempt < (self.attempt or 0) or len(self._successions) >= _KNOWN:
            return
        self._successions[attempt] = succession
        if self._now is not None and attempt == self._now.attempt:
            self._now.cap(succession.count)
            self.is_smooth = False

    def _follow(self, attempt: int, continues: int | None) -> Assembly:
        seen = self.seen.attempt or self._root
        if self.seen.seq >= 0 and seen < attempt and seen not in self._ends:
            raise lost("What was given before is no part of the answer.")
        if self._now is not None:
            self._now.drop()
        self._now = Assembly(attempt, continues, self._bounds)
        self._cut = self._cut_at = None
        self.is_smooth = False
        if attempt in self._successions:
            self._now.cap(self._successions[attempt].count)
        return self._now

    def _settle(self, pieces: Pieces) -> None:
        """Look what became of the attempt that is followed, and whether another one follows it."""
        now = self._now
        while now is not None:
            self._first = self._first or now.opening
            if now.spilled:
                now.spilled = False
                self._wants_recording()
            word = self._successions.get(now.attempt)
            if word is None or self._is_whole(now):
                self._heed_end(now)
                self.is_smooth = not (now.opening is None or now.gap_since or now.end or self._cut)
                return
            now = self._next(now, word, pieces)

    @staticmethod
    def _is_whole(now: Assembly) -> bool:
        return now.end is not None and error_of(now.end) is None

    def _heed_end(self, now: Assembly) -> None:
        if self.cut is None:
            self._cut = self._cut_at = None
        if now.end is None:
            return
        error = error_of(now.end)
        if error is None:
            if self.seen.seq >= 0 and (self.seen.attempt or 0) > now.attempt:
                raise lost("What was given before is no part of the answer.")
            self.end = end_of_chain(list(self._ends.values()), now.end)
        elif now.end.may_go_on and self.router_id:
            self._cut, self._cut_at = error, None
        else:
            raise error

    def _next(self, now: Assembly, word: Succession, pieces: Pieces) -> Assembly | None:
        """The attempt that follows, once everything is there that stands of the one before."""
        if word.next_attempt:
            had = self.seen.seq + 1 if now.attempt == (self.seen.attempt or self._root) else 0
            if max(had, now.next) > word.count:
                raise lost("More of the answer was given than stands.")
            if word.next_attempt <= now.attempt:
                raise lost("The stream goes on with what is no part of the answer.")
        if now.next < word.count:
            now.miss()
            return None
        if not word.next_attempt:
            metrics.RECOVERIES_GIVEN_UP.inc()
            raise why_it_remains_cut(word)
        if _is_all(word):
            self._first, self._root = None, word.next_attempt
        else:
            pieces += now.release()
            self._ends[now.attempt] = now.end
            metrics.RECOVERIES.inc()
        self._wants_recording()  # its first messages came before it was named
        return self._follow(word.next_attempt, continues=now.attempt)


def _is_all(word: Succession) -> bool:
    """Whether the attempt that follows is the whole answer."""
    return bool(word.next_attempt) and not word.count


def _unreadable() -> OmnixError:
    return lost("A message of the stream cannot be read.")
