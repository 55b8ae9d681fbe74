"""Requests over pooled connections, against a socket that answers byte by byte what the test says."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from omnix_provider.connections import Connections, Response, opened, unreached
from omnix_provider.errors import Unavailable

ID = "0" * 32
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Vendor:
    """Answers each request with the next of its answers, and hangs up after the last one."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self._answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self._answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.received.append(head + await reader.readexactly(2))
            writer.write(self._answers.pop(0))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def vendor(*answers: bytes) -> AsyncIterator[tuple[Vendor, Connections]]:
    made = Vendor(answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        opened(f"http://127.0.0.1:{port}/v1/x?y=1", {"Authorization": "Bearer k"}, timedelta(seconds=5)) as to,
    ):
        yield made, to


async def asked(connections: Connections, handed_over: Callable[[], None] = lambda: None) -> Response:
    async with asyncio.timeout(5):
        return await connections.post(b"{}", ID, handed_over)


async def read(response: Response) -> bytes:
    async with asyncio.timeout(5):
        body = await response.content.read()
    response.give_back()
    return body


async def test_head_and_body_arrive_as_given() -> None:
    async with vendor(OK) as (made, connections):
        assert await read(await asked(connections)) == b"ok"
    head, body = made.received[0].split(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /v1/x?y=1 HTTP/1.1"
    assert {"Authorization: Bearer k", f"X-Client-Request-Id: {ID}", "Content-Length: 2"} <= set(headers)
    assert body == b"{}"


async def test_connection_is_used_again_after_an_answer_was_read() -> None:
    async with vendor(OK, OK) as (made, connections):
        await read(await asked(connections))
        await read(await asked(connections))
    assert made.connections == 1


async def test_connection_of_an_unread_answer_is_closed() -> None:
    async with vendor(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok", OK) as (made, connections):
        (await asked(connections)).give_back()
        assert await read(await asked(connections)) == b"ok"
    assert made.connections == 2


async def test_early_hints_are_no_answer() -> None:
    async with vendor(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK) as (_, connections):
        response = await asked(connections)
        assert (response.status, await read(response)) == (200, b"ok")


async def test_compressed_and_chunked_answer_is_read() -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    async with vendor(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)) as (_, connections):
        assert await read(await asked(connections)) == b"hello"


async def test_what_is_no_http_is_a_client_error() -> None:
    async with vendor(b"SSH-2.0-x\r\n\r\n") as (_, connections):
        with pytest.raises(aiohttp.ClientError):
            await asked(connections)


async def test_request_counts_as_handed_over_only_with_a_connection(unused_tcp_port: int) -> None:
    handed_over: list[bool] = []
    async with opened(f"http://127.0.0.1:{unused_tcp_port}", {}, timedelta(seconds=5)) as connections:
        with pytest.raises(aiohttp.ClientConnectorError):
            await asked(connections, lambda: handed_over.append(True))
    assert handed_over == []
    async with vendor(OK) as (_, connections):
        await read(await asked(connections, lambda: handed_over.append(True)))
    assert handed_over == [True]


async def test_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        async with opened("http://127.0.0.1:1", {"X": "a\r\nY: b"}, timedelta(seconds=5)):
            pass


async def test_path_and_headers_of_one_request_are_its_own() -> None:
    async with vendor(OK, OK) as (made, connections):
        signed = {"X-Signature": "AWS4-HMAC-SHA256 x", "X-Amz-Date": "20261122T120000Z"}
        response = await connections.post(b"{}", ID, lambda: None, path="/model/a%3A0/converse?z=1", headers=signed)
        await read(response)
        await read(await asked(connections))
    first, second = (received.decode().split("\r\n") for received in made.received)
    assert first[0] == "POST /model/a%3A0/converse?z=1 HTTP/1.1"
    assert {"Authorization: Bearer k", "X-Signature: AWS4-HMAC-SHA256 x", "X-Amz-Date: 20261122T120000Z"} <= set(first)
    assert second[0] == "POST /v1/x?y=1 HTTP/1.1"
    assert "X-Amz-Date: 20261122T120000Z" not in second
    assert made.connections == 1


@pytest.mark.parametrize("path", ["", "model", "/a b", "/a\r\nX: y", "/é", "/a\tb"])
async def test_path_that_would_break_the_head_is_refused(path: str) -> None:
    async with vendor() as (made, connections):
        with pytest.raises(ValueError, match="path"):
            await connections.post(b"{}", ID, lambda: None, path=path)
    assert made.connections == 0


async def test_header_of_one_request_with_a_line_break_is_refused() -> None:
    async with vendor() as (made, connections):
        with pytest.raises(ValueError, match="line break"):
            await connections.post(b"{}", ID, lambda: None, headers={"X": "a\r\nY: b"})
    assert made.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    ],
)
async def test_body_is_read_up_to_a_bound(answer: bytes) -> None:
    async with vendor(answer, answer) as (_, connections):
        response = await asked(connections)
        assert await response.body(11) == b"hello world"
        response.give_back()
        response = await asked(connections)
        assert await response.body(10) is None
        response.give_back()


async def test_body_that_breaks_off_is_a_client_error() -> None:
    async with vendor(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello") as (_, connections):
        response = await asked(connections)
        with pytest.raises(aiohttp.ClientError):
            await response.body(100)
        response.give_back()


async def test_body_whose_chunks_cannot_be_told_apart_any_longer_is_a_client_error() -> None:
    begun = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await begun.wait()
        writer.write(b"no size\r\n")
        await reader.read()  # until the other side hangs up
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, opened(url, {}, timedelta(seconds=5)) as connections, asyncio.timeout(5):
        response = await asked(connections)
        assert await response.content.readany() == b"hello"
        begun.set()
        with pytest.raises(aiohttp.ClientError):
            await response.content.readany()
        response.give_back()


async def test_server_that_is_not_there_was_not_reached(unused_tcp_port: int) -> None:
    async with opened(f"http://127.0.0.1:{unused_tcp_port}", {}, timedelta(seconds=5)) as connections:
        with pytest.raises(aiohttp.ClientError) as refused:
            await asked(connections)
    error = unreached(refused.value, "openai")
    assert isinstance(error, Unavailable)
    assert not error.reached


async def test_server_that_hangs_up_was_reached() -> None:
    async with vendor(b"") as (_, connections):
        with pytest.raises(aiohttp.ClientError) as left:
            await asked(connections)
    error = unreached(left.value, "openai")
    assert isinstance(error, Unavailable)
    assert error.reached
