"""A request and its answer, against a socket that answers byte by byte what the test says."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError
from omnix_provider import connections
from omnix_provider.errors import Cut, InvalidRequest, Malformed, Unavailable
from omnix_provider.exchange import Answer, Exchange
from omnix_provider.types import Attempt

ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "openai", "m")
OK = b"HTTP/1.1 200 OK\r\nx-counted: 3\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"
NO = b"HTTP/1.1 422 No\r\nretry-after: 4\r\ncontent-length: 3\r\n\r\nno."


class Vendor:
    """Answers each request with the next of its answers, and hangs up after the last one."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.connections = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self._answers:
            try:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
            except asyncio.IncompleteReadError:
                self.left.set()
                break
            writer.write(self._answers.pop(0))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def exchange(vendor: Vendor) -> AsyncIterator[Exchange]:
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/x"
    async with server, connections.opened(url, {}, timedelta(seconds=5)) as pool, asyncio.timeout(10):
        yield Exchange("openai", pool)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> OmnixError:
    return InvalidRequest(f"{headers.get('Retry-After')} {body.decode()}", provider="openai", provider_status=status)


async def posted(to: Exchange) -> Answer:
    return await to.post(b"{}", ATTEMPT, lambda: None, refusal)


async def test_answer_is_read_whole_and_its_connection_used_again() -> None:
    vendor = Vendor(OK, OK)
    async with exchange(vendor) as to:
        for _ in range(2):
            with await posted(to) as answer:
                assert await answer.whole() == b"ok"
            assert answer.headers["X-Counted"] == "3"
    assert vendor.connections == 1


async def test_refusal_is_told_by_status_headers_and_body_and_its_connection_used_again() -> None:
    vendor = Vendor(NO, OK)
    async with exchange(vendor) as to:
        with pytest.raises(InvalidRequest, match=r"4 no\.") as refused:
            await posted(to)
        assert refused.value.provider_status == 422
        with await posted(to) as answer:
            assert await answer.whole() == b"ok"
    assert vendor.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 422 No\r\nretry-after: 4\r\ncontent-length: 30\r\n\r\nno.",  # and hangs up
        b"HTTP/1.1 422 No\r\nretry-after: 4\r\ncontent-length: 999999999\r\n\r\nno.",
    ],
)
async def test_refusal_whose_body_does_not_come_is_told_by_what_came(said: bytes) -> None:
    async with exchange(Vendor(said)) as to:
        with pytest.raises(InvalidRequest, match="4 ") as refused:
            await posted(to)
        assert refused.value.provider_status == 422


async def test_answer_that_breaks_off_is_cut() -> None:
    async with exchange(Vendor(HALF)) as to:
        with pytest.raises(Cut) as whole, await posted(to) as answer:
            await answer.whole()
        assert isinstance(whole.value.__cause__, aiohttp.ClientError)
    async with exchange(Vendor(HALF)) as to:
        received: list[bytes] = []

        async def read() -> None:
            with await posted(to) as answer:
                while piece := await answer.content.readany():
                    received.append(piece)

        with pytest.raises(Cut):
            await read()
        assert received == [b"ok"]


async def test_answer_that_is_too_large_is_malformed_and_its_connection_closed() -> None:
    vendor = Vendor(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\nok", OK)
    async with exchange(vendor) as to:
        with pytest.raises(Malformed, match="too large"), await posted(to) as answer:
            await answer.whole()
        await vendor.left.wait()


async def test_what_a_reader_raises_passes_and_the_connection_is_closed() -> None:
    vendor = Vendor(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", OK)
    async with exchange(vendor) as to:
        with pytest.raises(LookupError, match="mine"), await posted(to):
            raise LookupError("mine")
        await vendor.left.wait()


async def test_vendor_that_does_not_answer_is_unavailable() -> None:
    vendor = Vendor(b"")
    async with exchange(vendor) as to:
        with pytest.raises(Unavailable) as left:
            await posted(to)
        assert left.value.reached


async def test_vendor_that_is_not_there_was_not_reached(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with connections.opened(url, {}, timedelta(seconds=5)) as pool:
        with pytest.raises(Unavailable) as nobody:
            await posted(Exchange("openai", pool))
        assert not nobody.value.reached
