"""What an import changes, keeps and refuses."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_router.catalogue.entries import File, Import
from omnix_router.catalogue.importing import Changes, ImportRefused, merged
from omnix_router.catalogue.models import Catalogue, price_at
from omnix_router.catalogue.pricemap import read
from omnix_router.catalogue.reading import import_before, load
from omnix_router.catalogue.telling import told
from omnix_router.catalogue.writing import Importer

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
LATER = NOW + timedelta(days=3)


def entry(given: float | None = 1e-06, made: float | None = 2e-06, **more: Any) -> dict[str, Any]:
    prices = {"input_cost_per_token": given, "output_cost_per_token": made}
    return {"litellm_provider": "openai", "mode": "chat", **prices, **more}


def some(count: int, **more: Any) -> dict[str, Any]:
    return {f"model-{number}": entry(**more) for number in range(count)}


class Machine:
    """A machine with a file of imports; the package's models are known, too."""

    def __init__(self, folder: Path) -> None:
        self.map = folder / "map.json"
        self.file = folder / "data" / "imported-catalogue.json"

    def take(self, raw: object, now: datetime = NOW, **more: bool) -> Changes:
        self.map.write_text(json.dumps(raw))
        changes = Importer(self.file).run(str(self.map), now, lambda _, __: None, **more)
        assert changes is not None
        return changes

    def known(self) -> Catalogue:
        return load(None, self.file)

    def prices(self, name: str) -> list[tuple[date, int, int]]:
        model = self.known().models[name]
        return [(price.effective_time.date(), price.rates.input, price.rates.output) for price in model.prices]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_first_import_adds_models_with_a_price_from_its_day_on(machine: Machine) -> None:
    changes = machine.take({"brand-new": entry(max_input_tokens=10)})
    assert (changes.new, changes.priced, changes.gone, changes.models) == (("openai/brand-new",), (), (), 1)
    assert machine.prices("openai/brand-new") == [(date(2026, 11, 25), 1_000_000, 2_000_000)]
    assert "openai/gpt-4o" in machine.known().models


def test_import_that_says_what_is_known_changes_nothing(machine: Machine) -> None:
    changes = machine.take({"gpt-4o-mini": entry(1.5e-07, 6e-07, cache_read_input_token_cost=7.5e-08)})
    assert (changes.new, changes.priced) == ((), ())
    assert machine.known().models["openai/gpt-4o-mini"] == load(None).models["openai/gpt-4o-mini"]


def test_new_price_holds_from_the_day_of_the_import_and_the_past_stays(machine: Machine) -> None:
    machine.take({"brand-new": entry()})
    changes = machine.take({"brand-new": entry(made=3e-06)}, LATER)
    assert [(name, before and before.rates.output, after.rates.output) for name, before, after in changes.priced] == [
        ("openai/brand-new", 2_000_000, 3_000_000)
    ]
    assert machine.prices("openai/brand-new") == [
        (date(2026, 11, 25), 1_000_000, 2_000_000),
        (date(2026, 11, 28), 1_000_000, 3_000_000),
    ]


def test_price_of_the_package_is_followed_by_the_imported_one(machine: Machine) -> None:
    before = load(None).models["openai/gpt-4o"].prices
    changes = machine.take({"gpt-4o": entry(2e-06, 8e-06)})
    model = machine.known().models["openai/gpt-4o"]
    assert model.prices[:-1] == before
    assert price_at(model.prices, NOW - timedelta(days=1)) == before[-1]
    assert [line for line in told(changes) if "gpt-4o" in line] == [
        "changed  openai/gpt-4o: input 2.5 → 2, output 10 → 8"
    ]


def test_second_import_of_a_day_takes_the_place_of_the_first(machine: Machine) -> None:
    machine.take({"brand-new": entry()})
    machine.take({"brand-new": entry(made=3e-06)}, NOW + timedelta(hours=1))
    assert machine.prices("openai/brand-new") == [(date(2026, 11, 25), 1_000_000, 3_000_000)]


def test_clock_that_went_back_rewrites_nothing_before_the_last_price(machine: Machine) -> None:
    machine.take({"brand-new": entry()}, LATER)
    machine.take({"brand-new": entry(made=3e-06)}, NOW)
    assert machine.prices("openai/brand-new") == [(date(2026, 11, 28), 1_000_000, 3_000_000)]


def test_model_that_is_gone_is_told_once_and_kept(machine: Machine) -> None:
    machine.take(some(5))
    changes = machine.take(some(4), LATER)
    assert changes.gone == ("openai/model-4",)
    assert "gone     openai/model-4: kept as it was" in list(told(changes))
    assert machine.prices("openai/model-4") == [(date(2026, 11, 25), 1_000_000, 2_000_000)]
    assert machine.take(some(4), LATER + timedelta(days=1)).gone == ()


def test_model_that_lost_its_price_keeps_the_last_one(machine: Machine) -> None:
    machine.take(some(5))
    changes = machine.take({**some(5), "model-0": entry(None, None)}, LATER)
    assert changes.priced == ()
    assert machine.prices("openai/model-0") == [(date(2026, 11, 25), 1_000_000, 2_000_000)]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (some(5), "it shrank from 10 models to 5; one that lost half is not believed"),
        ({**some(10), "model-3": entry(0, 0)}, "prices became zero: openai/model-3"),
        ({**some(10), "model-3": entry(1e-06, 0)}, "prices became zero: openai/model-3"),
        ({**some(10), "gpt-4o": entry(0, 0)}, "prices became zero: openai/gpt-4o"),
        (some(10, given=0, made=0), "model-3, openai/model-4 and 5 more"),
        ({**some(10), "model-3": entry(1e-04)}, "prices changed a hundredfold or more: openai/model-3"),
        ({**some(10), "model-3": entry(made=2e-08)}, "prices changed a hundredfold or more: openai/model-3"),
        (some(10, given=None, made=None), "10 of 10 models that had a price have none in it"),
    ],
)
def test_map_that_cannot_be_right_is_refused_unless_forced(machine: Machine, raw: object, sentence: str) -> None:
    machine.take(some(10))
    before = machine.file.read_bytes()
    with pytest.raises(ImportRefused) as refused:
        machine.take(raw, LATER)
    assert str(refused.value).startswith(f"{machine.map}: ")
    assert sentence in str(refused.value)
    assert machine.file.read_bytes() == before
    assert machine.take(raw, LATER, force=True).models >= 5


def test_forced_price_of_zero_is_a_price_and_is_not_objected_to_again(machine: Machine) -> None:
    machine.take(some(3))
    raw = {**some(3), "model-0": entry(0, 0)}
    machine.take(raw, LATER, force=True)
    assert machine.prices("openai/model-0")[-1] == (date(2026, 11, 28), 0, 0)
    machine.take(raw, LATER + timedelta(days=1))
    assert len(machine.prices("openai/model-0")) == 2


@pytest.mark.parametrize("change", [0.011, 0.5, 1, 2, 99])
def test_price_may_rise_and_fall_less_than_a_hundredfold(machine: Machine, change: float) -> None:
    machine.take(some(2))
    machine.take({**some(2), "model-0": entry(1e-06 * change, 2e-06 * change)}, LATER)
    assert machine.prices("openai/model-0")[-1][2] == Decimal(str(change)) * 2_000_000


def test_dry_run_writes_nothing(machine: Machine) -> None:
    assert machine.take({"brand-new": entry()}, dry_run=True).new == ("openai/brand-new",)
    assert not machine.file.exists()


@pytest.mark.parametrize(
    ("content", "told_of"),
    [(b"\xff", "is not UTF-8"), (b"[]", "is not an object by model"), (b"", "is not JSON"), (None, "cannot read")],
)
def test_unreadable_map_is_refused_with_a_sentence(machine: Machine, content: bytes | None, told_of: str) -> None:
    if content is not None:
        machine.map.write_bytes(content)
    with pytest.raises(ImportRefused, match=told_of):
        Importer(machine.file).run(str(machine.map), NOW, lambda _, __: None)
    assert not machine.file.exists()


def test_map_that_is_too_large_is_refused(machine: Machine) -> None:
    with machine.map.open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    with pytest.raises(ImportRefused, match="has more than 33554432 bytes"):
        Importer(machine.file).run(str(machine.map), NOW, lambda _, __: None)


def test_import_that_could_not_be_read_again_is_refused(machine: Machine) -> None:
    machine.take(some(3))
    before = machine.file.read_bytes()
    huge = {f"{'x' * 240}{number}": entry() for number in range(25_000)}
    for dry_run in (True, False):
        with pytest.raises(ImportRefused, match="the catalogue would have"):
            machine.take(huge, LATER, dry_run=dry_run)
    assert machine.file.read_bytes() == before
    assert "openai/model-0" in machine.known().models


def test_broken_file_of_imports_is_named_and_replaced_only_by_force(machine: Machine) -> None:
    machine.file.parent.mkdir()
    machine.file.write_text("{")
    with pytest.raises(ImportRefused, match=r"imported-catalogue\.json: Expecting"):
        machine.take(some(2))
    assert machine.file.read_text() == "{"
    machine.take(some(2), force=True)
    assert "openai/model-0" in machine.known().models


def test_folder_that_cannot_be_written_is_a_sentence(machine: Machine) -> None:
    machine.file.parent.write_text("a file where a folder should be")
    with pytest.raises(ImportRefused):
        machine.take(some(2))


def test_file_says_whence_and_when(machine: Machine) -> None:
    machine.take(some(2))
    file = import_before(machine.file)
    assert file is not None
    assert file.imported == Import(NOW, str(machine.map), 2)
    assert [path.name for path in machine.file.parent.iterdir()] == [machine.file.name]


PRICE = st.sampled_from([None, 0, 1e-07, 1e-06, 5e-06, 2e-05])
MAPS = st.dictionaries(
    st.sampled_from([f"model-{number}" for number in range(6)]), st.builds(entry, PRICE, PRICE), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(st.lists(st.tuples(MAPS, st.booleans()), min_size=1, max_size=6))
def test_no_sequence_of_imports_rewrites_the_past(maps: list[tuple[dict[str, Any], bool]]) -> None:
    file: File | None = None
    for number, (raw, force) in enumerate(maps):
        now = NOW + timedelta(days=number)
        try:
            after, _ = merged(file, Catalogue(), read(json.dumps(raw), now.date()), Import(now, "x", 0), force=force)
        except ImportRefused:
            assert not force
            continue
        for model in file.models if file else ():
            [same] = [other for other in after.models if other.model == model.model]
            assert [price for price in same.prices if price.since < now.date()] == model.prices
        file = after
