"""What a schedule tells of its address, and when it asks."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from omnix_kit.testing import eventually
from omnix_router.catalogue.refreshing import refreshed
from omnix_router.catalogue.writing import Importer

from .price_server import PriceServer, content, price_server, status
from .test_catalogue_importing import entry

SOON = timedelta(milliseconds=20)


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with price_server() as server:
        yield server


async def test_token_in_the_address_is_neither_logged_nor_left_for_everybody_to_read(
    server: PriceServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "imported-catalogue.json"
    address = server.address("/map.json?token=hunter2")
    for answer, tells in (
        (content(json.dumps({"brand-new": entry()}).encode()), "was imported"),
        (content(json.dumps({"brand-new": entry(0, 0)}).encode()), "is refused"),
        (content(b"[]"), "is refused"),
        (status(500), "is refused"),
    ):
        server.answer = answer
        caplog.clear()

        def told(words: str = tells) -> bool:
            return any(words in record.message for record in caplog.records)

        async with refreshed(Importer(file), address, SOON):
            await eventually(told)
        assert "/map.json?…" in str([vars(record) for record in caplog.records])
        assert "hunter2" not in str([vars(record) for record in caplog.records])
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("year", [2099, 9999])
async def test_clock_that_was_ahead_puts_off_no_import(server: PriceServer, tmp_path: Path, year: int) -> None:
    file = tmp_path / "imported-catalogue.json"
    server.answer = content(json.dumps({"brand-new": entry()}).encode())
    ahead = datetime(year, 12, 31, 23, tzinfo=UTC)
    Importer(file).run(server.address(), ahead, lambda _, __: None)
    async with refreshed(Importer(file), server.address(), SOON * 10):
        await eventually(lambda: len(server.asked) > 1)
