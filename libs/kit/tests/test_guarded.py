"""Fetching what a caller names, from real servers on this machine."""

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from omnix_kit.addresses import Rules
from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_kit.guarded import Fetched, Fetcher, FetchLimits, LookUp
from omnix_kit.testing import eventually

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
MOST = 100_000


class Site:
    """A web server that answers each path as the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.pages: dict[str, bytes | Answer] = {}
        self.asked: list[bytes] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head)
            page = self.pages.get(head.split(b" ")[1].decode(), answer(b"", "404 Not Found"))
            if isinstance(page, bytes):
                writer.write(page)
                await writer.drain()
            else:
                await page(writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self.open -= 1
            writer.close()


def answer(body: bytes, status: str = "200 OK", kind: str = "image/png", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def to(address: str) -> bytes:
    return answer(b"", "302 Found", "text/html", f"location: {address}")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


class Names:
    """Answers for names, one after the other where there are several, and keeps what it was asked."""

    def __init__(self, **known: Sequence[Sequence[str]]) -> None:
        self._known = {name.replace("_", "."): list(answers) for name, answers in known.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answers = self._known.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@asynccontextmanager
async def fetching(
    site: Site, look_up: LookUp | None = None, *, allowed: Sequence[str] = (), seconds: float = 5, at_once: int = 8
) -> AsyncIterator[Callable[[str], Awaitable[Fetched]]]:
    limits = FetchLimits(Rules.of([80, 443, site.port], allowed), timedelta(seconds=seconds), at_once_per_owner=at_once)
    async with Fetcher(limits, look_up) as fetcher:

        async def fetch(url: str, owner: str = "a") -> Fetched:
            return await fetcher.fetch(
                url.replace("PORT", str(site.port)),
                owner=owner,
                most=MOST,
                param="here",
                accepts=lambda kind: kind in ("image/png", ""),
            )

        yield fetch


async def refused(fetch: Callable[[str], Awaitable[Fetched]], url: str, says: str = "") -> CallerError:
    with pytest.raises(CallerError) as told:
        await fetch(url)
    assert told.value.param == "here"
    assert says in told.value.message
    return told.value


async def test_what_is_on_this_machine_is_refused_and_not_called(site: Site) -> None:
    async with fetching(site) as fetch:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"):
            await refused(fetch, f"http://{host}:PORT/a")
    assert site.asked == []


async def test_an_allowed_host_is_fetched_without_telling_who_asks(site: Site) -> None:
    site.pages["/a?b=c"] = answer(b"PNG", "200 OK", "IMAGE/PNG; q=1", "set-cookie: a=b")
    async with fetching(site, allowed=["localhost"]) as fetch:
        for _ in range(2):
            assert await fetch("http://localhost:PORT/a?b=c") == Fetched(b"PNG", "image/png")
    for head in site.asked:
        sent = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
        assert set(sent) - {b"connection"} == {b"host", b"accept", b"accept-encoding", b"user-agent"}


async def test_the_machines_own_names_are_looked_up_and_checked(site: Site) -> None:
    async with fetching(site, allowed=["10.0.0.0/8"]) as fetch:
        await refused(fetch, "http://localhost.localtest.invalid:PORT/", "not known")
    async with fetching(site, allowed=["127.0.0.0/8", "::1/128"]) as fetch:
        await refused(fetch, "http://localhost:PORT/")  # a name is allowed by its name


async def test_a_name_that_leads_inside_is_refused_and_not_called(site: Site) -> None:
    names = Names(
        one_example=[["127.0.0.1"]],
        two_example=[["93.184.216.34", "127.0.0.1"]],
        six_example=[["::1"]],
        mapped_example=[["::ffff:127.0.0.1"]],
        none_example=[[]],
    )
    async with fetching(site, names) as fetch:
        told = {
            (await refused(fetch, f"http://{name}.example:PORT/")).message
            for name in ("one", "two", "six", "mapped", "none", "unknown")
        }
    assert len(told) == 1, "who asks does not learn which names there are"
    assert site.asked == []


async def test_a_name_that_changes_its_answer_is_asked_once(site: Site) -> None:
    """The connection goes to the address that was checked: the second answer would be an inner one."""
    site.pages["/a"] = answer(b"PNG")
    names = Names(files_example=[["127.0.0.2"], ["127.0.0.1"]])
    async with fetching(site, names, allowed=["127.0.0.2/32"], seconds=2) as fetch:
        await refused(fetch, "http://files.example:PORT/a", "could not be fetched")
        assert (names.asked, site.asked) == (["files.example"], [])
        await refused(fetch, "http://files.example:PORT/a", "not a public one")
    assert site.asked == []


async def test_redirects_are_followed_and_each_is_checked(site: Site) -> None:
    site.pages["/a"] = answer(b"PNG")
    site.pages["/one"] = to("/a")
    site.pages["/three"] = to("/two")
    site.pages["/two"] = to(f"http://files.example:{site.port}/one")
    names = Names(files_example=[["127.0.0.1"]])
    async with fetching(site, names, allowed=["files.example"]) as fetch:
        assert (await fetch("http://files.example:PORT/three")).data == b"PNG"
        assert len(names.asked) == 4
        for inner in (
            f"http://127.0.0.1:{site.port}/a",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "//a:1",
        ):
            site.pages["/inside"] = to(inner)
            before = len(site.asked)
            await refused(fetch, "http://files.example:PORT/inside")
            assert len(site.asked) == before + 1
        site.pages["/round"] = to("/round")
        await refused(fetch, "http://files.example:PORT/round", "more than 3 times")


async def test_a_name_behind_a_redirect_cannot_change_either(site: Site) -> None:
    site.pages["/a"] = to("/b")
    site.pages["/b"] = answer(b"PNG")
    names = Names(files_example=[["127.0.0.1"], ["10.0.0.1"]])
    async with fetching(site, names, allowed=["127.0.0.1/32"]) as fetch:
        await refused(fetch, "http://files.example:PORT/a", "not a public one")


async def test_other_answers_than_success_are_told_by_status(site: Site) -> None:
    async with fetching(site, allowed=["localhost"]) as fetch:
        await refused(fetch, "http://localhost:PORT/nothing", "status 404")
        site.pages["/empty"] = answer(b"")
        await refused(fetch, "http://localhost:PORT/empty", "nothing at it")
        site.pages["/nonsense"] = b"\x00\x01\r\n\r\n"
        await refused(fetch, "http://localhost:PORT/nonsense", "web server")


async def test_content_of_another_kind_is_not_read(site: Site) -> None:
    async def page(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n\r\n<html>")
        await writer.drain()
        await asyncio.sleep(60)

    site.pages["/page"] = page
    async with fetching(site, allowed=["localhost"]) as fetch:
        await refused(fetch, "http://localhost:PORT/page", "'text/html'")
    async with asyncio.timeout(5):
        await eventually(lambda: site.asked != [])


async def test_too_much_is_cut_off_whatever_was_announced(site: Site) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"8000\r\n" + b"a" * 0x8000 + b"\r\n")
            await writer.drain()

    site.pages["/endless"] = endless
    site.pages["/announced"] = answer(b"a" * (MOST + 1))
    site.pages["/exactly"] = answer(b"a" * MOST)
    async with fetching(site, allowed=["localhost"]) as fetch:
        for path in ("endless", "announced"):
            told = await refused(fetch, f"http://localhost:PORT/{path}", "larger than 100000 bytes")
            assert told.reason is Reason.PAYLOAD_TOO_LARGE
        assert len((await fetch("http://localhost:PORT/exactly")).data) == MOST
        await eventually(lambda: site.open == 0)


async def test_compressed_content_is_refused_and_never_unpacked(site: Site) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    site.pages["/bomb"] = answer(bomb, "200 OK", "image/png", "content-encoding: gzip")
    async with fetching(site, allowed=["localhost"]) as fetch:
        await refused(fetch, "http://localhost:PORT/bomb", "compressed")


async def test_slow_servers_are_given_up(site: Site) -> None:
    async def head(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def body(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n")
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def never(host: str) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    site.pages["/head"], site.pages["/body"] = head, body
    async with fetching(site, allowed=["localhost"], seconds=0.4) as fetch:
        await refused(fetch, "http://localhost:PORT/head", "in time")
        await refused(fetch, "http://localhost:PORT/body", "in time")
    async with fetching(site, never, seconds=0.2) as fetch:
        await refused(fetch, "http://files.example/", "in time")


async def test_one_owner_cannot_take_all_turns(site: Site) -> None:
    go = asyncio.Event()

    async def held(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(answer(b"PNG"))

    site.pages["/held"] = held
    site.pages["/a"] = answer(b"PNG")
    limits = FetchLimits(Rules.of([site.port], ["localhost"]), timedelta(seconds=1), at_once_per_owner=1)
    url = f"http://localhost:{site.port}"
    async with Fetcher(limits) as fetcher:
        first = asyncio.create_task(fetcher.fetch(f"{url}/held", owner="a", most=9, param="p"))
        await eventually(lambda: len(site.asked) == 1)
        waiting = asyncio.create_task(fetcher.fetch(f"{url}/a", owner="a", most=9, param="p"))
        assert (await fetcher.fetch(f"{url}/a", owner="b", most=9, param="p")).data == b"PNG"
        go.set()
        assert [(await each).data for each in (first, waiting)] == [b"PNG", b"PNG"]
    short = FetchLimits(limits.rules, timedelta(seconds=0.2), at_once_per_owner=1)
    async with Fetcher(short) as fetcher, fetcher._turn("a"):
        with pytest.raises(PlatformError) as told:
            await fetcher.fetch(f"{url}/a", owner="a", most=9, param="p")
        assert (told.value.reason, told.value.retry_after) == (Reason.OVERLOADED, timedelta(seconds=1))


async def test_one_owner_cannot_take_all_lookups(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup cannot be interrupted: it goes on in its thread when the fetch was given up long ago."""
    real, go, stuck = socket.getaddrinfo, threading.Event(), []

    def slow(host: str, *words: Any, **more: Any) -> Any:
        if host.endswith(".example"):
            stuck.append(host)
            go.wait(30)
            raise OSError
        return real(host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    site.pages["/a"] = answer(b"PNG")
    limits = FetchLimits(Rules.of([site.port], ["localhost"]), timedelta(seconds=0.3), at_once=3, at_once_per_owner=2)
    url = f":{site.port}/a"
    try:
        async with Fetcher(limits) as fetcher:
            for _ in range(3):
                asked = [fetcher.fetch(f"http://{n}.example{url}", owner="a", most=9, param="p") for n in range(2)]
                assert all(isinstance(e, CallerError) for e in await asyncio.gather(*asked, return_exceptions=True))
            assert len(stuck) == 2
            assert (await fetcher.fetch(f"http://localhost{url}", owner="b", most=9, param="p")).data == b"PNG"
            go.set()
            await eventually(lambda: not fetcher._turns)
            assert (await fetcher.fetch(f"http://localhost{url}", owner="a", most=9, param="p")).data == b"PNG"
    finally:
        go.set()


async def test_pieces_are_counted_before_they_are_kept(site: Site) -> None:
    site.pages["/a"] = answer(b"a" * 1000)
    limits = FetchLimits(Rules.of([site.port], ["localhost"]))
    counted: list[int] = []
    async with Fetcher(limits) as fetcher:
        await fetcher.fetch(f"http://localhost:{site.port}/a", owner="a", most=MOST, param="p", take=counted.append)
    assert sum(counted) == 1000
