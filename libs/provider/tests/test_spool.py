"""Events on disk: in order, bounded, whole."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from omnix_provider.spool import Record, Spool, SpoolFull, read_segment, write_at_once


def record(number: int, size: int = 100) -> Record:
    return Record("a.subject", f"id-{number}", bytes([number % 256]) * size)


async def drained(spool: Spool) -> list[Record]:
    records: list[Record] = []
    while found := await spool.oldest():
        records += found
        await spool.forget_oldest()
    return records


async def test_records_leave_in_order_and_survive_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000)
    await asyncio.gather(*(spool.append(record(number)) for number in range(50)))
    await spool.close()
    write_at_once(tmp_path, [record(50)])
    spool = Spool(tmp_path, 10_000_000)
    assert spool.filled.is_set()
    await spool.append(record(51))
    assert await drained(spool) == [record(number) for number in range(52)]
    assert not spool.filled.is_set()
    assert spool.size == 0
    await spool.append(record(52))
    assert await drained(spool) == [record(52)]
    await spool.close()


async def test_segments_are_rotated_and_what_comes_meanwhile_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000)
    for number in range(5):
        await spool.append(record(number, 600_000))
    assert len(list(tmp_path.glob("*.spool"))) == 5
    first = await spool.oldest()
    await spool.append(record(5))
    assert first == [record(0, 600_000)]
    assert await spool.oldest() == first
    assert [each.message_id for each in await drained(spool)] == [f"id-{number}" for number in range(6)]
    await spool.close()


async def test_full_spool_refuses_until_it_is_drained(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    while not spool.full():
        await spool.append(record(0))
    with pytest.raises(SpoolFull):
        await spool.append(record(1))
    assert spool.lacking() is not None
    await drained(spool)
    assert not spool.full()
    await spool.append(record(1))
    await spool.close()


async def test_damaged_tail_costs_only_the_damaged_record(tmp_path: Path) -> None:
    write_at_once(tmp_path, [record(1), record(2)])
    [segment] = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes()[:-1])
    assert read_segment(segment) == [record(1)]


@pytest.mark.parametrize("before", [0, 1])
async def test_records_after_a_write_that_could_not_be_taken_back_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    spool = Spool(tmp_path, 10_000_000)
    for number in range(before):
        await spool.append(record(number))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        patch.setattr(os, "ftruncate", broken)
        patch.setattr("omnix_provider.spool._pack", lambda _: b"garbage")
        for _ in range(3):
            with pytest.raises(SpoolFull):
                await spool.append(record(9))
    await spool.append(record(before))
    assert await drained(spool) == [record(number) for number in range(before + 1)]
    assert spool.size == 0
    assert list(tmp_path.iterdir()) == []
    await spool.close()
