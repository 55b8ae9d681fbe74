"""Measure durable inserts: rate, and CPU of the whole process for each.

python libs/store/bench/inserts.py [url] [documents] [concurrency]
"""

import asyncio
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omnix_store import Collection, Range, Totals, index, open_store, unique


def entry(n: int) -> dict[str, Any]:
    """Return a document of the size and shape of a ledger entry."""
    return {
        "id": str(uuid.uuid4()),
        "attempt_id": str(uuid.uuid4()),
        "completion_id": str(uuid.uuid4()),
        "tenant_id": f"tenant-{n % 7}",
        "key_id": f"key-{n % 31}",
        "model": "openai/gpt-4o",
        "usage": {"input_tokens": 812, "output_tokens": n, "cached_input_tokens": 0, "reasoning_tokens": 0},
        "cost_micros": 12345 + n,
        "estimated": False,
        "start_time": datetime.now(UTC),
        "end_time": datetime.now(UTC),
        "finish_reason": "stop",
    }


async def insert_all(ledger: Collection, documents: list[dict[str, Any]], concurrency: int) -> None:
    waiting = iter(documents)

    async def one_after_the_other() -> None:
        for document in waiting:
            await ledger.insert(document)

    await asyncio.gather(*(one_after_the_other() for _ in range(concurrency)))


async def main(url: str, count: int, concurrency: int) -> None:
    async with open_store(url) as store:
        ledger = store.collection(
            f"ledger_{uuid.uuid4().hex[:8]}",
            indexes=[unique("attempt_id"), index("tenant_id", "start_time"), index("start_time")],
        )
        await store.check()
        documents = [entry(n) for n in range(count)]
        wall, cpu = time.perf_counter(), time.process_time()
        await insert_all(ledger, documents, concurrency)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{concurrency:5} at once: {count / wall:8.0f} inserts/s, {cpu / count * 1e6:6.1f} µs CPU each")
        wall = time.perf_counter()
        await ledger.totals(Totals(group_by=["tenant_id"], sum=["cost_micros", "usage.output_tokens"]))
        print(f"      totals over {count}: {(time.perf_counter() - wall) * 1000:.1f} ms")
        wall = time.perf_counter()
        since = Range(gte=documents[0]["start_time"])
        page = await ledger.find({"tenant_id": "tenant-1", "start_time": since}, sort=["-start_time"], limit=100)
        print(f"      a page of {len(page.documents)}: {(time.perf_counter() - wall) * 1000:.1f} ms")


if __name__ == "__main__":
    url, count, concurrency = (*sys.argv[1:], *[""] * 3)[:3]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        for at_once in [int(concurrency)] if concurrency else [1, 32, 1000]:
            documents = int(count) if count else 10_000 if at_once > 1 else 500
            asyncio.run(main(url or f"sqlite://{directory}/bench.db", documents, at_once))
