"""What ``auto`` requires of a model, read off the request itself. Pure.

The amount of reasoning that is asked says how good the answer must be and how long it may become:

============  =======================================  =============  ==============
mode          or, instead of it, an effort or budget   quality floor  output tokens
============  =======================================  =============  ==============
none said                                              65             500
flash         none, minimal, less than 1,024 tokens    60             300
think         low, medium, less than 24,576 tokens     70             2,000
ultra-think   high and more                            80             8,000
============  =======================================  =============  ==============

The floor, and that the model does the mode exactly, are given up in this order when no model fits otherwise. What the
request itself needs never is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from omnix_router.catalogue.models import Effort, Mode
from omnix_router.naming import Names
from omnix_router.reasoning import Wish, effort_of
from omnix_router.routing import Routes
from omnix_router.selection import Requirements

AUTO = "auto"
TARGETS = 4
"""The most models that one completion may go to."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is assumed where the request does not say it."""

    quality_floor: float
    output_tokens: int


DEFAULTS: Mapping[Mode | None, Defaults] = MappingProxyType(
    {
        None: Defaults(65, 500),
        Mode.FLASH: Defaults(60, 300),
        Mode.THINK: Defaults(70, 2_000),
        Mode.ULTRA_THINK: Defaults(80, 8_000),
    }
)
_MODES_OF_EFFORTS = {
    Effort.NONE: Mode.FLASH,
    Effort.MINIMAL: Mode.FLASH,
    Effort.LOW: Mode.THINK,
    Effort.MEDIUM: Mode.THINK,
    Effort.HIGH: Mode.ULTRA_THINK,
    Effort.XHIGH: Mode.ULTRA_THINK,
    Effort.MAX: Mode.ULTRA_THINK,
}
_NO_WISH = Wish()
_MARGIN = 4
"""One token in so many is added to the estimate of the prompt before it is asked whether it fits."""


@dataclass(frozen=True, slots=True)
class Request:
    """What counts of a request."""

    capabilities: frozenset[str] = frozenset()
    input_tokens: int = 0
    """Estimated."""
    wish: Wish = _NO_WISH
    providers: frozenset[str] = frozenset()
    """The only ones that the caller allows; empty for all."""
    refused_providers: frozenset[str] = frozenset()


def requirements_of(request: Request) -> Requirements:
    wish = request.wish
    effort = effort_of(wish.budget) if wish.effort is None and wish.budget is not None else wish.effort
    defaults = DEFAULTS[wish.mode if effort is None else _MODES_OF_EFFORTS[effort]]
    limit = wish.max_output_tokens or 0
    output = min(defaults.output_tokens, limit) if limit else defaults.output_tokens
    reasons = effort is not None and effort is not Effort.NONE
    return Requirements(
        capabilities=request.capabilities | {"reasoning"} if reasons else request.capabilities,
        context_tokens=request.input_tokens + request.input_tokens // _MARGIN + max(output, limit),
        input_tokens=request.input_tokens,
        output_tokens=output,
        max_output_tokens=limit,
        quality_floor=defaults.quality_floor,
        # An effort or a budget wins over the mode, so that no model has to do the mode.
        mode=wish.mode if effort is None else None,
        providers=request.providers,
        refused_providers=request.refused_providers,
    )


def eased(requirements: Requirements) -> Iterator[Requirements]:
    """The same requirements, then with fewer and fewer of those that the request itself does not make."""
    yield requirements
    yield (easier := replace(requirements, quality_floor=None))
    if requirements.mode is not None:
        yield replace(easier, mode=None)


def is_auto(name: str, names: Names, routes: Routes) -> bool:
    """Whether a name, without a compute mode at its end, asks for any model that fits.

    A route or a model of that name comes first.
    """
    return (
        name == AUTO
        and AUTO not in routes.by_name
        and routes.wildcard(AUTO, shadowing=True) is None
        and not names.knows(AUTO)
    )
