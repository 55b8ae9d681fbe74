"""Which rollups an attempt is part of, and what a batch of attempts changes in them.

Each rollup is one document: a resolution, the beginning of its bucket, a view, and the view's value. Inside are cells
by model, and in the rollups of a key by team and user too. So a question that is about one of the views' own dimensions
and models reads few documents, and any other is answered from those of the keys. A further dimension is a further view
and a field of ``Fact``.
"""

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


_decoder = msgspec.msgpack.Decoder(list[Row])
_encoder = msgspec.msgpack.Encoder()


def rows_from_bytes(data: bytes) -> list[Row]:
    return _decoder.decode(data)


def rows_to_bytes(rows: Iterable[Row]) -> bytes:
    return _encoder.encode(list(rows))


Changes = Mapping[RollupKey, Mapping[CellKey, Cell]]


def changes_of(batch: Iterable[Counted]) -> Changes:
    """What a batch adds to each cell of each rollup; numbers below 0 are taken out."""
    changes: dict[RollupKey, dict[CellKey, Cell]] = {}
    for counted in batch:
        _add(changes, counted.fact, 1)
        if counted.instead_of is not None:
            _add(changes, counted.instead_of, -1)
    return changes


def changed(data: bytes | None, change: Mapping[CellKey, Cell]) -> bytes:
    """Return a rollup's rows with the change in them. The order of the rows tells nothing."""
    cells = {} if data is None else {row.key: row.cell for row in rows_from_bytes(data)}
    for key, cell in change.items():
        now = cells.setdefault(key, Cell())
        now.merge(cell)
        users.settle(now.active)
    return rows_to_bytes(Row(*key, cell) for key, cell in cells.items() if cell.attempts)


def _add(changes: dict[RollupKey, dict[CellKey, Cell]], fact: Fact, times: int) -> None:
    for rollup, key in _places(fact):
        cells = changes.setdefault(rollup, {})
        if key not in cells:
            cells[key] = Cell()
        cells[key].add(fact, times)


def _places(fact: Fact) -> Iterator[tuple[RollupKey, CellKey]]:
    ended = time_of(fact.end_ms)
    model = CellKey(fact.provider, fact.model)
    cube = CellKey(fact.provider, fact.model, fact.team_id, fact.user_id)
    for resolution in Resolution:
        start = floor(ended, resolution.length)
        yield RollupKey(fact.tenant_id, resolution, start, View.ALL, ""), model
        yield RollupKey(fact.tenant_id, resolution, start, View.TEAM, fact.team_id), model
        yield RollupKey(fact.tenant_id, resolution, start, View.USER, fact.user_id), model
        yield RollupKey(fact.tenant_id, resolution, start, View.KEY, fact.key_id), cube
