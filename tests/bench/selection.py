"""What ``auto`` saves against one fixed strong model: a mixed workload through the router's own functions.

Nothing is called: the catalogue of the package, the prices that hold today, and the workload in ``selection.toml`` are
all there is. The fixed model is the cheapest one that can do the whole workload at the floors that ``auto`` keeps; a
dearer one would only make the saving larger.
"""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from omnix_kit.money import Tokens, cost_micros
from omnix_router.catalogue.models import Mode, price_at
from omnix_router.catalogue.reading import package
from omnix_router.choosing.auto import Request, requirements_of
from omnix_router.reasoning import Wish
from omnix_router.selection import Candidate, Choice, Requirements, distinct, select

WORKLOAD: Final = Path(__file__).with_name("selection.toml")
_ALWAYS: Final = frozenset({"text", "system", "streaming"})
_MICROS: Final = 1_000_000


class Kind(msgspec.Struct, forbid_unknown_fields=True):
    """Requests that are alike."""

    name: str
    requests: int
    input_tokens: int
    output_tokens: int
    needs: list[str] = []
    mode: Mode | None = None

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.input_tokens, self.output_tokens)


class Workload(msgspec.Struct, forbid_unknown_fields=True):
    kinds: list[Kind]


class DoesNotFit(Exception):
    """No model can do what is asked at the floor."""


@dataclass(frozen=True)
class Row:
    """What one kind costs, in millionths of a dollar."""

    kind: Kind
    floor: float
    choice: Choice
    auto: int
    fixed: int


@dataclass(frozen=True)
class Result:
    """A whole workload, answered twice."""

    rows: Sequence[Row]
    fixed: Choice

    @property
    def auto_micros(self) -> int:
        return sum(row.auto for row in self.rows)

    @property
    def fixed_micros(self) -> int:
        return sum(row.fixed for row in self.rows)

    @property
    def saving(self) -> float:
        return 1 - self.auto_micros / self.fixed_micros


def workload() -> list[Kind]:
    return msgspec.convert(tomllib.loads(WORKLOAD.read_text("utf-8")), Workload).kinds


def candidates(now: datetime, providers: Iterable[str] = ()) -> list[Candidate]:
    """Every model of the package, or those of some providers, at the prices of the day."""
    wanted = frozenset(providers)
    return distinct(
        Candidate(model, price_at(model.prices, now))
        for model in package().values()
        if not wanted or model.provider in wanted
    )


def replay(kinds: Sequence[Kind], models: Sequence[Candidate], now: datetime, floor: float | None = None) -> Result:
    """:param floor: for every request; None leaves it to what ``auto`` keeps by itself.

    :raises DoesNotFit: when no single model can do the whole workload.
    """
    required = [_required(kind, floor) for kind in kinds]
    fixed = _fixed(kinds, required, models, now)
    rows = []
    for kind, requirements in zip(kinds, required, strict=True):
        choice = _first(select(requirements, models, now).order, kind.name)
        assert requirements.quality_floor is not None
        rows.append(Row(kind, requirements.quality_floor, choice, _cost(kind, choice), _cost(kind, fixed)))
    return Result(rows, fixed)


def table(result: Result) -> Iterator[str]:
    """What was chosen for each kind of request, and what it cost."""
    yield f"{'requests':>8}  {'kind':<22}{'floor':>5}  {'auto takes':<46}{'quality':>7}{'auto $':>10}{'fixed $':>10}"
    for row in result.rows:
        quality = row.choice.model.quality
        known = "" if quality is None else f"{quality.score:.1f}"
        yield (
            f"{row.kind.requests:>8}  {row.kind.name:<22}{row.floor:>5g}  {row.choice.model.id:<46}{known:>7}"
            f"{row.auto / _MICROS:>10.3f}{row.fixed / _MICROS:>10.3f}"
        )
    total = sum(row.kind.requests for row in result.rows)
    yield f"{total:>8}  {'all':<22}{'':>60}{result.auto_micros / _MICROS:>10.3f}{result.fixed_micros / _MICROS:>10.3f}"
    yield f"{result.saving:.0%} less than {result.fixed.model.id} for everything"


def _required(kind: Kind, floor: float | None) -> Requirements:
    asked = Request(_ALWAYS | frozenset(kind.needs), kind.input_tokens, Wish(mode=kind.mode))
    requirements = requirements_of(asked)
    return requirements if floor is None else replace(requirements, quality_floor=floor)


def _fixed(
    kinds: Sequence[Kind], required: Sequence[Requirements], models: Sequence[Candidate], now: datetime
) -> Choice:
    """The cheapest model that can do everything."""
    highest = max(requirements.quality_floor or 0 for requirements in required)
    fits = [
        {
            choice.model.id: choice
            for choice in select(replace(requirements, quality_floor=highest), models, now).order
            if choice.cost_micros is not None
        }
        for requirements in required
    ]
    common = set.intersection(*(set(each) for each in fits))
    if not common:
        raise DoesNotFit(f"no model can do everything at a quality of {highest:g}")
    return min(
        (fits[0][name] for name in sorted(common)), key=lambda choice: sum(_cost(kind, choice) for kind in kinds)
    )


def _first(order: Sequence[Choice], kind: str) -> Choice:
    if not order:
        raise DoesNotFit(f"no model can do {kind}")
    return order[0]


def _cost(kind: Kind, choice: Choice) -> int:
    price = choice.candidate.price
    if price is None:
        raise DoesNotFit(f"{choice.model.id} has no price")
    return kind.requests * cost_micros(kind.tokens, price)


def main() -> None:
    now, kinds = datetime.now(UTC), workload()
    models = candidates(now)
    print(f"A mixed workload on {now.date()}: what 'auto' takes at the floors it keeps by itself\n")
    print("\n".join(table(replay(kinds, models, now))))
    highest = max(_required(kind, None).quality_floor or 0 for kind in kinds)
    print(f"\nThe same with one floor of {highest:g} for every request\n")
    print("\n".join(table(replay(kinds, models, now, highest))))
    print("\nWith one vendor alone, at the floors that 'auto' keeps by itself\n")
    for provider in ("openai", "bedrock", "gemini", "huggingface"):
        try:
            result = replay(kinds, candidates(now, [provider]), now)
        except DoesNotFit as exc:
            print(f"{provider:<12} {exc}")
        else:
            print(f"{provider:<12} {result.saving:.0%} less than {result.fixed.model.id} for everything")


if __name__ == "__main__":
    main()
