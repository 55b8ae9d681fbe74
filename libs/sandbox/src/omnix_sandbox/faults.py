"""What can be made to go wrong with an answer, and how it is written down.

The same words work in a model's name (`sandbox-cut-after-5-rst`), in a directive (`[[fault=cut-after-5-rst]]`) and as a
control rule's `fault`.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from omnix_sandbox import quantities


class FaultKind(StrEnum):
    STATUS = "status"
    QUOTA = "quota"
    CONTEXT = "context"
    FILTER = "filter"
    RESET = "reset"
    SILENCE = "silence"
    SLOW = "slow"
    CUT = "cut"
    STALL = "stall"
    MALFORMED = "malformed"
    ERROR = "error"
    NO_DONE = "no-done"
    NO_FINISH = "no-finish"
    END = "end"
    NO_USAGE = "no-usage"
    HUGE = "huge"
    DRIP = "drip"
    HTML = "html"
    HANG = "hang"


REFUSALS: Final = frozenset({FaultKind.STATUS, FaultKind.QUOTA, FaultKind.CONTEXT, FaultKind.FILTER})
"""Faults that answer with an error status instead of an answer."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault with its parameters; which of them count depends on the kind.

    `after` counts tokens. `for_seconds` is how long a slow or stalled answer waits; without it a stall lasts until the
    caller leaves. An error within a stream may have a `status`, of which each format makes what it can. `crc` breaks a
    frame's checksum in place of its JSON, in a format that has frames.
    `retry_after` is sent as `Retry-After` in whole seconds, or as `retry-after-ms` when `retry_in_ms`.
    `times` is how many calls of one conversation have the fault, None for all of them.
    """

    kind: FaultKind
    status: int = 0
    code: str | None = None
    message: str | None = None
    headers: dict[str, str] = {}
    after: int = 0
    for_seconds: float | None = None
    retry_after: float | None = None
    retry_in_ms: bool = False
    size: int = 1024 * 1024
    rst: bool = False
    done: bool = False
    crc: bool = False
    times: int | None = None

    def __post_init__(self) -> None:
        if self.kind is FaultKind.STATUS and not 400 <= self.status <= 599:
            raise ValueError(f"a status fault needs a status from 400 to 599, not {self.status}")
        if self.kind is FaultKind.ERROR and self.status and not 400 <= self.status <= 599:
            raise ValueError(f"an error has a status from 400 to 599, not {self.status}")
        if self.after < 0 or not 0 <= self.size <= quantities.MAX_SIZE:
            raise ValueError("after and size must not be negative, nor size more than 64 MiB")
        if self.times is not None and self.times < 1:
            raise ValueError("a fault happens at least once")
        for wait in (self.for_seconds, self.retry_after):
            if wait is not None and not 0 <= wait <= quantities.MAX_DURATION:
                raise ValueError("a wait must be from 0 to 3600 seconds")
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[\x20-\x7e]*", value):
                raise ValueError(f"{name!r} is not a header that can be sent")

    def spec(self) -> str:
        """The fault in the words of the grammar; headers and texts are left out."""
        words = [str(self.status) if self.kind is FaultKind.STATUS else self.kind.value]
        if self.kind is FaultKind.ERROR and self.status:
            words.append(str(self.status))
        if self.crc:
            words.append("crc")
        if self.after:
            words += ["after", str(self.after)]
        if self.for_seconds is not None:
            words += ["for", f"{self.for_seconds * 1000:g}ms"]
        if self.retry_after is not None:
            words += ["retry", f"{self.retry_after * 1000:g}ms" if self.retry_in_ms else f"{self.retry_after:g}s"]
        if self.kind is FaultKind.HUGE:
            words += ["size", str(self.size)]
        words += [word for word, present in (("rst", self.rst), ("done", self.done)) if present]
        if self.times is not None:
            words += ["once"] if self.times == 1 else ["times", str(self.times)]
        return "-".join(words)


_PAIRED = {"no": {"done", "finish", "usage"}}
_NAMES = {kind.value for kind in FaultKind} - {"status"}
_COUNTED = {FaultKind.CUT, FaultKind.STALL, FaultKind.MALFORMED, FaultKind.ERROR, FaultKind.END}
_WAITING = {FaultKind.SLOW, FaultKind.STALL}
_RETRIED = {FaultKind.STATUS, FaultKind.QUOTA}


def begins_fault(words: Sequence[str]) -> bool:
    """Whether the first word can only be meant as a fault."""
    first = words[0]
    return (len(first) == 3 and first.isdigit()) or first in _NAMES or first in _PAIRED


def take_fault(words: Sequence[str]) -> tuple[Fault, int]:
    """Read one fault from the beginning of `words`; returns it and the number of words it took."""
    used = 1
    first = words[0]
    fields: dict[str, object] = {}
    if first.isdigit():
        kind = FaultKind.STATUS
        fields["status"] = int(first)
    else:
        if first in _PAIRED:
            first = "-".join(words[:2])
            used = 2
        if first not in _NAMES:
            raise ValueError(f"{first!r} is not a fault")
        kind = FaultKind(first)
    if kind is FaultKind.SLOW and used < len(words) and words[used][0].isdigit():
        fields["for_seconds"] = quantities.seconds(words[used])
        used += 1
    if kind is FaultKind.ERROR and used < len(words) and re.fullmatch(r"\d{3}", words[used]):
        fields["status"] = int(words[used])
        used += 1
    while used < len(words):
        word, value = words[used], words[used + 1] if used + 1 < len(words) else ""
        match word:
            case "after" if kind in _COUNTED:
                fields["after"] = quantities.count(value, 1_000_000)
            case "for" if kind in _WAITING:
                fields["for_seconds"] = quantities.seconds(value)
            case "retry" if kind in _RETRIED:
                fields["retry_after"] = quantities.seconds(value)
                fields["retry_in_ms"] = value.endswith("ms")
            case "size" if kind is FaultKind.HUGE:
                fields["size"] = quantities.size(value)
            case "rst" if kind is FaultKind.CUT:
                fields["rst"] = True
                used -= 1
            case "crc" if kind is FaultKind.MALFORMED:
                fields["crc"] = True
                used -= 1
            case "done" if kind is FaultKind.HANG:
                fields["done"] = True
                used -= 1
            case "times":
                fields["times"] = quantities.count(value, 1_000)
            case "once":
                fields["times"] = 1
                used -= 1
            case _:
                break
        used += 2
    return msgspec.convert({"kind": kind, **fields}, Fault), used


def parse_fault(spec: str) -> Fault:
    """Read a whole fault such as `429-retry-2s` or `stall-after-3-for-500ms`."""
    words = spec.split("-")
    if not begins_fault(words):
        raise ValueError(f"{spec!r} is not a fault")
    fault, used = take_fault(words)
    if used < len(words):
        raise ValueError(f"{spec!r}: {words[used]!r} is not understood here")
    return fault
