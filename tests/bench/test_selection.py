"""The promise of ``auto``: the workload for a fifth less than one strong model asks, at the same floors."""

from datetime import UTC, datetime

import pytest

from .selection import DoesNotFit, candidates, replay, table, workload

# Prices and models of the package as of the day of its files.
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_workload_is_a_thousand_requests_of_all_sizes() -> None:
    kinds = workload()
    assert sum(kind.requests for kind in kinds) == 1_000
    assert {need for kind in kinds for need in kind.needs} == {"tools", "image", "file", "json_schema"}
    assert {str(kind.mode) for kind in kinds} == {"None", "flash", "think", "ultra-think"}


@pytest.mark.parametrize("floor", [None, 80])
def test_auto_saves_a_fifth_against_the_cheapest_model_that_can_do_everything(floor: float | None) -> None:
    result = replay(workload(), candidates(NOW), NOW, floor)
    assert result.saving >= 0.20
    for row in result.rows:
        assert row.choice.model.quality is not None
        assert row.choice.model.quality.score >= row.floor
        assert set(row.kind.needs) <= set(row.choice.model.capabilities)
        assert row.choice.model.context_window > row.kind.input_tokens
        assert row.auto <= row.fixed
    assert result.fixed.model.quality is not None
    assert result.fixed.model.quality.score >= max(row.floor for row in result.rows)


def test_table_tells_every_kind_and_the_saving() -> None:
    result = replay(workload(), candidates(NOW), NOW)
    lines = list(table(result))
    assert len(lines) == len(workload()) + 3
    assert lines[-1].endswith(f"less than {result.fixed.model.id} for everything")


def test_floor_that_no_model_reaches_is_told() -> None:
    with pytest.raises(DoesNotFit, match="at a quality of 99"):
        replay(workload(), candidates(NOW), NOW, 99)
