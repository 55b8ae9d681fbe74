"""Which rollups an attempt is part of, and what a batch of attempts changes in them.

Each rollup is one document: a resolution, the beginning of its bucket, a view, and the view's value. Inside are cells
by model, and in the rollups of a key by team and user too. So a question that is about one of the views' own dimensions
and models reads few documents, and any other is answered from those of the keys. A further dimension is a further view
and a field of ``Fact``.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import Struct

from omnix_analytics import users
from omnix_analytics.cells import Cell
from omnix_analytics.facts import Fact
from omnix_analytics.spans import EPOCH, MINUTE, Resolution, floor, time_of


class View(StrEnum):
    """What the rollups of a bucket are told apart by."""

    ALL = "all"
    TEAM = "team"
    USER = "user"
    KEY = "key"


class RollupKey(NamedTuple):
    tenant_id: str
    resolution: Resolution
    start: datetime
    view: View
    value: str

    @property
    def id(self) -> str:
        names = blake2b(f"{self.tenant_id}\0{self.value}".encode(), digest_size=16).hexdigest()
        return f"{self.resolution}-{(self.start - EPOCH) // MINUTE}-{self.view}-{names}"


class CellKey(NamedTuple):
    provider: str
    model: str
    team_id: str = ""
    user_id: str = ""


MOST_CELLS = 256
"""In one rollup, so that it fits into a document whatever callers name as models."""
OTHERS = CellKey("", "others")
"""What is counted together when there are so many."""


class Row(Struct, array_like=True):
    """A cell with what it is about, as it is stored."""

    provider: str
    model: str
    team_id: str
    user_id: str
    cell: Cell

    @property
    def key(self) -> CellKey:
        return CellKey(self.provider, self.model, self.team_id, self.user_id)


class Counted(Struct, frozen=True, array_like=True):
    """An attempt to be counted, and what was counted of it before and has to go."""

    fact: Fact
    instead_of: Fact | None = None


class Rollup(NamedTuple):
    """What a document holds, as it is stored: in base64, which is read only where it is needed."""

    rows: str
    sum: str
    """All cells together, for questions that tell nothing inside of the rollup apart: a tenth of the work."""


_decoder = msgspec.msgpack.Decoder(list[Row])
_cell_decoder = msgspec.msgpack.Decoder(Cell)
_encoder = msgspec.msgpack.Encoder()


def rows_from_text(text: str) -> list[Row]:
    return _decoder.decode(a2b_base64(text))


def cell_from_text(text: str) -> Cell:
    return _cell_decoder.decode(a2b_base64(text))


def _text(value: list[Row] | Cell) -> str:
    return b2a_base64(_encoder.encode(value), newline=False).decode()


def rollup_of(cells: Mapping[CellKey, Cell]) -> Rollup:
    return changed(None, cells)


Changes = Mapping[RollupKey, Mapping[CellKey, Cell]]


def changes_of(batch: Iterable[Counted]) -> Changes:
    """What a batch adds to each cell of each rollup; numbers below 0 are taken out."""
    changes: dict[RollupKey, dict[CellKey, Cell]] = {}
    for counted in batch:
        _add(changes, counted.fact, 1)
        if counted.instead_of is not None:
            _add(changes, counted.instead_of, -1)
    # Hours and days are added up from minutes, of which there are fewer than attempts.
    for rollup, cells in list(changes.items()):
        for resolution in (Resolution.HOUR, Resolution.DAY):
            start = floor(rollup.start, resolution.length)
            coarser = changes.setdefault(rollup._replace(resolution=resolution, start=start), {})
            for key, cell in cells.items():
                coarser.setdefault(key, Cell()).merge(cell)
    return changes


def changed(rollup: Rollup | None, change: Mapping[CellKey, Cell]) -> Rollup:
    """Return a rollup with the change in it. The order of the rows tells nothing."""
    cells = {} if rollup is None else {row.key: row.cell for row in rows_from_text(rollup.rows)}
    whole = Cell() if rollup is None else cell_from_text(rollup.sum)
    for key, cell in change.items():
        now = cells.setdefault(key if key in cells or len(cells) < MOST_CELLS else OTHERS, Cell())
        now.merge(cell)
        users.settle(now.active)
        whole.merge(cell)
    users.settle(whole.active)
    rows = [Row(*key, cell) for key, cell in cells.items() if cell.attempts > 0]
    return Rollup(_text(rows), _text(whole))


def _add(changes: dict[RollupKey, dict[CellKey, Cell]], fact: Fact, times: int) -> None:
    one = Cell()
    one.add(fact, times)
    for rollup, key in _places(fact):
        changes.setdefault(rollup, {}).setdefault(key, Cell()).merge(one)


def _places(fact: Fact) -> Iterator[tuple[RollupKey, CellKey]]:
    start = floor(time_of(fact.end_ms), MINUTE)
    model = CellKey(fact.provider, fact.model)
    cube = CellKey(fact.provider, fact.model, fact.team_id, fact.user_id)
    for view, value, key in (
        (View.ALL, "", model),
        (View.TEAM, fact.team_id, model),
        (View.USER, fact.user_id, model),
        (View.KEY, fact.key_id, cube),
    ):
        yield RollupKey(fact.tenant_id, Resolution.MINUTE, start, view, value), key
