"""What callers see of each fault of a vendor, and how often the vendor is called for it: the table.

A fault is written in the sandbox's words (``libs/sandbox/README.md``). The route has one target, so the number of calls
is what the router's rules (``services/router/README.md``) make of the failure: one, or two where the same target is
tried once more. A vendor that differs is named with its reason; whoever is not named does as the row says.

``python -m e2e.fault_page`` writes it as a page, ``test_faults`` holds the suite to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum


class Vendor(StrEnum):
    OPENAI = "openai"
    BEDROCK = "bedrock"
    GEMINI = "gemini"
    HUGGINGFACE = "huggingface"


@dataclass(frozen=True)
class Whole:
    """The whole answer, with its finish reason and once only."""

    calls: int = 1


@dataclass(frozen=True)
class Refused:
    """An error in place of an answer."""

    status: int
    code: str
    retry_after: timedelta | None = None
    """As ``retry-after-ms`` tells it, and ``retry-after`` in whole seconds."""
    calls: int = 1
    pause: timedelta = field(default=timedelta(milliseconds=100), compare=False)
    """The second call comes so long after the first one, or later."""


@dataclass(frozen=True)
class Broken:
    """A stream's beginning, then an error event; no finish reason and no end marker.

    The target is tried once more, and fails in the same way before it says anything new.
    """

    code: str
    calls: int = 2


Seen = Whole | Refused | Broken


@dataclass(frozen=True)
class Differently:
    """What is seen of one vendor's fault, where it is not what the row says."""

    because: str
    unary: Seen | None = None
    streamed: Seen | None = None


@dataclass(frozen=True)
class Fault:
    """A row."""

    words: str
    what: str
    """The vendor does."""
    unary: Seen
    streamed: Seen
    differently: Mapping[Vendor, Differently] = field(default_factory=dict, hash=False)
    impatient: bool = False
    """It is asked for by a route with short limits, because the vendor would never end by itself."""

    def seen(self, vendor: Vendor, streamed: bool) -> Seen:
        own = self.differently.get(vendor)
        if streamed:
            return self.streamed if own is None or own.streamed is None else own.streamed
        return self.unary if own is None or own.unary is None else own.unary


SHORT_LIMITS = {"first_content_timeout": "2s", "idle_timeout": "1s", "deadline": "4s"}
"""Of the routes for impatient callers."""

_SECOND = timedelta(seconds=1)


def both(
    words: str, what: str, seen: Seen, differently: Mapping[Vendor, Seen] | None = None, because: str = ""
) -> Fault:
    """The same, unary and streamed."""
    others = {vendor: Differently(because, other, other) for vendor, other in (differently or {}).items()}
    return Fault(words, what, seen, seen, others)


def twice(seen: Refused) -> Refused:
    """The same target is tried once more."""
    return replace(seen, calls=2)


def after(seen: Refused, delay: timedelta) -> Refused:
    """The vendor said when to come back, soon enough for the router to wait."""
    return replace(seen, retry_after=delay, pause=delay, calls=2)


INVALID = Refused(400, "invalid_request")
TOO_LONG = Refused(400, "context_length_exceeded")
FILTERED = Refused(400, "content_filter")
TOO_LARGE = Refused(413, "payload_too_large")
NO_MODEL = Refused(404, "model_not_found")
NO_ACCESS = Refused(502, "provider_auth_failed")
USED_UP = Refused(502, "provider_quota_exhausted")
LIMITED = Refused(429, "rate_limit_exceeded", _SECOND)
OVERLOADED = Refused(503, "provider_overloaded", _SECOND)
UNAVAILABLE = Refused(502, "provider_unavailable")
MALFORMED = Refused(502, "provider_malformed")
CUT = Refused(502, "provider_cut")
SILENT = Refused(504, "provider_timeout")
TOO_LATE = Refused(504, "deadline_exceeded")
WHOLE = Whole()

_OPENAI, _BEDROCK, _GEMINI, _HUGGINGFACE = Vendor.OPENAI, Vendor.BEDROCK, Vendor.GEMINI, Vendor.HUGGINGFACE

_MILLISECONDS = timedelta(milliseconds=250)
_WHOLE_SECONDS = "Hugging Face tells whole seconds only"
_ONE_ERROR = "its error events tell a type, and one type stands for every status from 500 on"
_OWN_EVENT = "Google's own event is 503 `UNAVAILABLE`"


def _in_stream(words: str, what: str, streamed: Seen, differently: Mapping[Vendor, Differently] | None = None) -> Fault:
    """A unary answer has no place for it."""
    return Fault(words, what, WHOLE, streamed, differently or {})


def _differently(vendors: tuple[Vendor, ...], because: str, seen: Seen) -> Mapping[Vendor, Differently]:
    return {vendor: Differently(because, streamed=seen) for vendor in vendors}


STATUSES = (
    both("400", "refuses the request", INVALID),
    both("401", "does not accept the operator's key", NO_ACCESS),
    both("402", "wants to be paid", USED_UP),
    both("403", "does not let the operator in", NO_ACCESS),
    both("404", "does not know the model", NO_MODEL),
    both("408", "gave up waiting", SILENT),
    both("409", "has the resource locked", twice(UNAVAILABLE)),
    both(
        "410",
        "no longer has it",
        INVALID,
        {_HUGGINGFACE: NO_MODEL},
        "Hugging Face says so of models that are no longer served",
    ),
    both("413", "finds the request too large", TOO_LARGE),
    both("422", "cannot make sense of the request", INVALID),
    both(
        "424",
        "depends on something that failed",
        INVALID,
        {_BEDROCK: twice(UNAVAILABLE), _HUGGINGFACE: twice(UNAVAILABLE)},
        "it is how Bedrock (`ModelErrorException`) and TGI (`generation`) say that the model failed",
    ),
    both("429", "is asked too often", twice(LIMITED)),
    both(
        "429-retry-250ms",
        "is asked too often, and says when to come back",
        after(LIMITED, _MILLISECONDS),
        {_HUGGINGFACE: after(LIMITED, _SECOND)},
        _WHOLE_SECONDS,
    ),
    both("429-retry-1s", "the same, in whole seconds", after(LIMITED, _SECOND)),
    both("429-retry-30s", "the same, longer than the router waits", replace(LIMITED, retry_after=30 * _SECOND)),
    both("500", "fails", twice(UNAVAILABLE)),
    both(
        "501",
        "has not got it",
        twice(UNAVAILABLE),
        {_GEMINI: INVALID},
        "Google's `UNIMPLEMENTED` is about the request",
    ),
    both("502", "has a proxy that fails", twice(UNAVAILABLE)),
    both("503", "has too much to do", twice(OVERLOADED)),
    both(
        "503-retry-250ms",
        "has too much to do, and says when to come back",
        after(OVERLOADED, _MILLISECONDS),
        {_HUGGINGFACE: after(OVERLOADED, _SECOND)},
        _WHOLE_SECONDS,
    ),
    both("503-retry-30s", "the same, longer than the router waits", replace(OVERLOADED, retry_after=30 * _SECOND)),
    both(
        "504",
        "has a proxy that gave up waiting",
        twice(UNAVAILABLE),
        {_GEMINI: SILENT},
        "Google's `DEADLINE_EXCEEDED` is the model's, not a proxy's",
    ),
    both("529", "is overloaded, in Anthropic's way", twice(OVERLOADED)),
)

REFUSALS = (
    both("quota", "says that the account is used up", USED_UP),
    both("quota-retry-1s", "the same, with a delay that would help nobody", USED_UP),
    Fault(
        "context",
        "finds the prompt too long for the model",
        TOO_LONG,
        TOO_LONG,
        {
            _BEDROCK: Differently("AWS tells it by its text alone, which is never searched", INVALID, INVALID),
            _GEMINI: Differently(
                "Google does so too; where it lists the model's limit, a prompt near it is told as too long",
                INVALID,
                INVALID,
            ),
        },
    ),
    both("filter", "does not accept the prompt's content", FILTERED),
)

CONNECTIONS = (
    both("reset", "resets the connection before the answer", twice(UNAVAILABLE)),
    both("slow-300ms", "answers late, but in time", WHOLE),
    Fault("silence", "never answers", TOO_LATE, SILENT, impatient=True),
    Fault("slow-20s", "answers too late", TOO_LATE, SILENT, impatient=True),
    both("cut", "closes the connection before the first token, unary in the middle", twice(CUT)),
    both("cut-rst", "the same, by a reset", twice(CUT)),
    Fault("cut-after-5", "closes the connection in the middle", twice(CUT), Broken("provider_cut")),
    Fault("cut-after-5-rst", "the same, by a reset", twice(CUT), Broken("provider_cut")),
    Fault("stall", "falls silent before the first token, unary in the middle", TOO_LATE, SILENT, impatient=True),
    Fault("stall-after-5", "falls silent in the middle", TOO_LATE, Broken("provider_timeout", 1), impatient=True),
    Fault("stall-after-5-for-300ms", "falls silent for a moment; unary it then breaks off", twice(CUT), WHOLE),
    Fault("hang", "sends all but the end, and leaves the body open; unary only half", TOO_LATE, WHOLE, impatient=True),
    Fault("hang-done", "sends all, and leaves the body open; unary only half", TOO_LATE, WHOLE, impatient=True),
)

CONTENTS = (
    both("html", "answers with a page of HTML", twice(MALFORMED)),
    both("malformed", "sends broken JSON first", twice(MALFORMED)),
    Fault("malformed-after-5", "sends broken JSON in the middle", twice(MALFORMED), Broken("provider_malformed")),
    both("malformed-crc", "sends a frame with a wrong checksum first (Bedrock)", twice(MALFORMED)),
    Fault(
        "malformed-crc-after-5",
        "sends a frame with a wrong checksum in the middle (Bedrock)",
        twice(MALFORMED),
        Broken("provider_malformed"),
    ),
    _in_stream(
        "error",
        "tells of an error of its own first",
        twice(UNAVAILABLE),
        _differently((_GEMINI,), _OWN_EVENT, twice(OVERLOADED)),
    ),
    _in_stream(
        "error-after-5",
        "tells of an error of its own in the middle",
        Broken("provider_unavailable"),
        _differently((_GEMINI,), _OWN_EVENT, Broken("provider_overloaded")),
    ),
    _in_stream("error-400", "refuses the request within the stream", INVALID),
    _in_stream("error-429", "tells first that it is asked too often", twice(LIMITED)),
    _in_stream("error-429-after-5", "tells so in the middle", Broken("rate_limit_exceeded")),
    _in_stream(
        "error-503-after-5",
        "tells in the middle that it has too much to do",
        Broken("provider_overloaded"),
        _differently((_OPENAI, _HUGGINGFACE), _ONE_ERROR, Broken("provider_unavailable")),
    ),
    both("no-done", "leaves out the end marker", WHOLE),
    _in_stream("no-finish", "leaves out the finish reason and all that follows", Broken("provider_cut")),
    both("no-usage", "does not count tokens", WHOLE),
    both("huge", "sends a mebibyte in one piece", WHOLE),
    both("drip", "sends every byte alone", WHOLE),
)

FAULTS = (*STATUSES, *REFUSALS, *CONNECTIONS, *CONTENTS)
