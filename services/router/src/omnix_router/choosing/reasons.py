"""Why a model was chosen, in words. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from omnix_router.selection import CURRENCY, Choice, Lack, Requirements, Selection

_MILLION = 1_000_000
_LACKS: Mapping[Lack, str] = {
    Lack.TYPE: "are for something else",
    Lack.PROVIDER: "are of providers that are not allowed",
    Lack.RETIRED: "were retired by their vendor",
    Lack.UNAVAILABLE: "cannot be called now",
    Lack.CAPABILITIES: "cannot do what is required",
    Lack.CONTEXT: "have too small a context window",
    Lack.OUTPUT: "cannot answer at such length",
    Lack.MODE: "do not do the compute mode",
    Lack.QUALITY: "are below the quality floor, or of unknown quality",
    Lack.COST: "cost too much, or have no price",
    Lack.LATENCY: "were too slow lately",
}


def reasons(choice: Choice, selection: Selection, requirements: Requirements) -> list[str]:
    """Sentences about one model of an order."""
    told = [_of_cost(choice, selection), _of_quality(choice, requirements), _of_speed(choice)]
    model, health = choice.model, choice.candidate.health
    if requirements.mode is not None:
        told.append(f"It does {requirements.mode} exactly.")
    if requirements.capabilities:
        told.append(f"It can do {', '.join(sorted(requirements.capabilities))}.")
    if requirements.context_tokens:
        told.append(f"Its window of {model.context_window:,} tokens holds {requirements.context_tokens:,}.")
    if health.error_rate:
        told.append(f"Of its recent attempts, {health.error_rate:.0%} failed.")
    if choice.candidate.sandbox:
        told.append("The sandbox answers in place of its vendor, so it comes after models that are real.")
    return told


def recommendation(selection: Selection, requirements: Requirements) -> str:
    """What to take and why; empty when nothing fits."""
    if not selection.order:
        return ""
    best, *others = selection.order
    told = [f"Take {best.model.id}.", *reasons(best, selection, requirements)]
    if others:
        told.append(f"Next comes {others[0].model.id}{_compared(others[0], best)}.")
    if selection.rejected:
        left_out = "; ".join(f"{count} {_LACKS[lack]}" for lack, count in selection.rejected.items())
        told.append(f"Left out: {left_out}.")
    return " ".join(told)


def none_fits(selection: Selection) -> str:
    """What keeps every model from fitting."""
    told = "; ".join(f"{count} {_LACKS[lack]}" for lack, count in selection.rejected.items())
    return told or "no model is known"


def _of_cost(choice: Choice, selection: Selection) -> str:
    if choice.cost_micros is None:
        return f"What it costs in {CURRENCY} is not known."
    told = f"A request costs about ${_dollars(choice.cost_micros)}"
    known = [
        other.cost_micros
        for other in selection.order
        # What the sandbox answers costs nothing in truth.
        if other.cost_micros is not None and (choice.candidate.sandbox or not other.candidate.sandbox)
    ]
    least = min(known)
    if choice.cost_micros == least:
        return f"{told}, the least of {len(known)} that fit." if len(known) > 1 else f"{told}."
    return f"{told}, {_times(choice.cost_micros, least)} the cheapest that fits."


def _of_quality(choice: Choice, requirements: Requirements) -> str:
    quality = choice.model.quality
    if quality is None:
        return "Its quality is not known."
    told = f"Its quality is {quality.score:g} of 100 ({quality.as_of.date()})"
    floor = requirements.quality_floor
    return f"{told}." if floor is None else f"{told}; the floor is {floor:g}."


def _of_speed(choice: Choice) -> str:
    latency = choice.candidate.health.first_content
    if latency is None:
        return "It was not called lately, so its latency is not known."
    return f"Its first content came after {latency.total_seconds():.2f} s lately."


def _compared(other: Choice, best: Choice) -> str:
    if not other.cost_micros or not best.cost_micros or other.cost_micros == best.cost_micros:
        return ""
    return f", which costs {_times(other.cost_micros, best.cost_micros)} as much"


def _times(cost: int, least: int) -> str:
    return f"{cost / least:.3g} times" if least else "more than"


def _dollars(micros: int) -> str:
    return f"{(Decimal(micros) / _MILLION).normalize():f}"
