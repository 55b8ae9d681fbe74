"""What one unary call costs in CPU by each way of going below the OpenAI SDK.

Run it alone: ``python services/adapter-openai/bench/transports.py [calls]``. The upstream is a process of its own, so
the figures are the client's.
"""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx2
import msgspec
import uvloop
from aiohttp import web
from openai import AsyncOpenAI, DefaultAioHttpClient

ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "word " * 60}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 60, "total_tokens": 70},
    }
)
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello " * 20}]}
CONCURRENCY = 32


def _upstream(port: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


async def _measure(name: str, call: Callable[[], Awaitable[object]], calls: int) -> None:
    async def worker(count: int) -> None:
        for _ in range(count):
            await call()

    await asyncio.gather(*(worker(5) for _ in range(CONCURRENCY)))
    began, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker(calls // CONCURRENCY) for _ in range(CONCURRENCY)))
    done = calls // CONCURRENCY * CONCURRENCY
    cpu = (time.process_time() - began) / done * 1e6
    print(f"{name:58} {cpu:7.0f} µs CPU {done / (time.perf_counter() - wall):7.0f} calls/s")


async def main(port: int, calls: int) -> None:
    base = f"http://127.0.0.1:{port}/v1"
    async with (
        AsyncOpenAI(base_url=base, api_key="sk-x", max_retries=0, http_client=DefaultAioHttpClient()) as client,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session,
    ):

        async def parsed() -> object:
            return await client.chat.completions.create(**BODY)

        async def raw() -> object:
            response = await client.chat.completions.with_raw_response.create(**BODY)
            return msgspec.json.decode(response.content)

        async def post() -> object:
            response = await client.post(
                "/chat/completions", cast_to=httpx2.Response, content=msgspec.json.encode(BODY)
            )
            return msgspec.json.decode(response.content)

        async def http_client() -> object:
            response = await client._client.post(
                f"{base}/chat/completions",
                content=msgspec.json.encode(BODY),
                headers={"Authorization": "Bearer sk-x", "Content-Type": "application/json"},
            )
            return msgspec.json.decode(response.content)

        async def transport() -> object:
            request = httpx2.Request(
                "POST",
                f"{base}/chat/completions",
                content=msgspec.json.encode(BODY),
                headers={"Authorization": "Bearer sk-x", "Content-Type": "application/json"},
            )
            response = await client._client._transport.handle_async_request(request)
            return msgspec.json.decode(await response.aread())

        async def bare() -> object:
            async with session.post(
                f"{base}/chat/completions",
                data=msgspec.json.encode(BODY),
                headers={"Authorization": "Bearer sk-x", "Content-Type": "application/json"},
            ) as response:
                return msgspec.json.decode(await response.read())

        for name, call in {
            "SDK, parsed": parsed,
            "SDK, with_raw_response + msgspec": raw,
            "SDK client.post(content=bytes, cast_to=Response)": post,
            "the SDK's HTTP client": http_client,
            "the SDK's aiohttp transport, no HTTP client": transport,
            "aiohttp + msgspec": bare,
        }.items():
            await _measure(name, call, calls)


if __name__ == "__main__":
    port = 18_571
    upstream = multiprocessing.Process(target=_upstream, args=(port,), daemon=True)
    upstream.start()
    time.sleep(1)
    try:
        uvloop.run(main(port, int(sys.argv[1]) if len(sys.argv) > 1 else 1600))
    finally:
        upstream.terminate()
