"""What the adapter's process costs in CPU beside adapter-openai's, with metering, journal, publishing and recording on.

``python services/adapter-bedrock/bench/adapter.py [rounds]`` starts NATS, the sandbox and both adapters, takes turns
between them and prints the least CPU of each process a unary attempt, a chunk in bursts and a chunk that arrives alone.
"""

import asyncio
import sys
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

from omnix_kit.testing import eventually, nats_server
from omnix_provider.testing import Place, attempt, scene
from omnix_sandbox.testing import running_sandbox

CONCURRENCY = 32
CALLS = 1600
PROVIDERS = ("openai", "bedrock")


async def unary(place: Place, provider: str) -> float:
    async def worker() -> None:
        for _ in range(CALLS // CONCURRENCY):
            await place.adapter.complete(attempt("sandbox-tokens-60", provider))

    began = place.adapter.cpu_seconds()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return (place.adapter.cpu_seconds() - began) / CALLS


async def streams(place: Place, provider: str, model: str, count: int) -> float:
    began = place.adapter.cpu_seconds()
    started = (place.start_stream(attempt(model, provider), first_content=30) for _ in range(count))
    streamed = await asyncio.gather(*started)
    await eventually(lambda: all(each.end is not None for each in streamed), 60)
    return (place.adapter.cpu_seconds() - began) / sum(len(each.chunks) for each in streamed)


async def main(rounds: int) -> None:
    least: dict[tuple[str, str], float] = defaultdict(lambda: float("inf"))
    with tempfile.TemporaryDirectory() as folder, nats_server(Path(folder) / "nats") as nats:
        async with AsyncExitStack() as stack:
            sandbox = await stack.enter_async_context(running_sandbox(Path(folder) / "sandbox", fsync=False))
            places = {
                provider: await stack.enter_async_context(
                    scene(
                        f"omnix_adapter_{provider}", nats, Path(folder) / provider, {"OMNIX_SANDBOX_URL": sandbox.url}
                    )
                )
                for provider in PROVIDERS
            }
            for turn in range(rounds + 1):
                for provider, place in places.items():
                    for name, cost in (
                        ("unary attempt", await unary(place, provider)),
                        ("chunk, bursts", await streams(place, provider, "sandbox-tokens-500", 40)),
                        ("chunk, alone", await streams(place, provider, "sandbox-tokens-60-pace-10", 200)),
                    ):
                        if turn:  # the first warms up
                            least[name, provider] = min(least[name, provider], cost)
    for name in ("unary attempt", "chunk, bursts", "chunk, alone"):
        openai, bedrock = (least[name, provider] * 1e6 for provider in PROVIDERS)
        print(f"{name:15} openai {openai:7.1f} µs  bedrock {bedrock:7.1f} µs  ratio {bedrock / openai:.2f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
