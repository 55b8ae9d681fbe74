"""What the adapter's process costs in CPU, with metering, journal, publishing and recording on.

``python services/adapter-gemini/bench/adapter.py`` starts NATS, the sandbox and the adapter and prints CPU of the
adapter's process a unary attempt, a chunk in bursts and a chunk that arrives alone.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from omnix_kit.testing import eventually, nats_server
from omnix_provider.testing import Place, attempt, scene
from omnix_sandbox.testing import running_sandbox

CONCURRENCY = 32


async def unary(place: Place, calls: int) -> None:
    async def worker() -> None:
        for _ in range(calls // CONCURRENCY):
            await place.adapter.complete(attempt("sandbox-tokens-60", "gemini"))

    began, wall = place.adapter.cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    seen = len(place.readers.usage)
    await eventually(lambda: len(place.readers.usage) >= seen)
    _tell("unary attempt", place.adapter.cpu_seconds() - began, calls // CONCURRENCY * CONCURRENCY, wall)


async def streams(place: Place, name: str, model: str, count: int) -> None:
    began, wall = place.adapter.cpu_seconds(), time.perf_counter()
    streamed = await asyncio.gather(
        *(place.start_stream(attempt(model, "gemini"), first_content=30) for _ in range(count))
    )
    await eventually(lambda: all(each.end is not None for each in streamed), 60)
    chunks = sum(len(each.chunks) for each in streamed)
    _tell(name, place.adapter.cpu_seconds() - began, chunks, wall)


def _tell(name: str, cpu: float, count: int, wall: float) -> None:
    seconds = time.perf_counter() - wall
    print(f"{name:34} {cpu / count * 1e6:7.1f} µs CPU  {count:6} in {seconds:5.1f} s  {cpu / seconds:4.0%} of a core")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, nats_server(Path(folder) / "nats") as nats:
        async with (
            running_sandbox(Path(folder) / "sandbox", fsync=False) as sandbox,
            scene("omnix_adapter_gemini", nats, Path(folder) / "data", {"OMNIX_SANDBOX_URL": sandbox.url}) as place,
        ):
            await unary(place, 320)
            await unary(place, 3200)
            await streams(place, "chunk, bursts", "sandbox-tokens-500", 40)
            await streams(place, "chunk, 20/s a stream, 100 streams", "sandbox-tokens-100-pace-20", 100)
            await streams(place, "chunk, 10/s a stream, 500 streams", "sandbox-tokens-60-pace-10", 500)
            await streams(place, "a stream of one token, by chunk", "sandbox-tokens-1", 100)


if __name__ == "__main__":
    asyncio.run(main())
