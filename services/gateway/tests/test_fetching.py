"""Addresses in place of content: fetched through one guard, and the bytes passed on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from omnix_kit.guarded import FETCHES
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .contents import MP4, PDF, PNG
from .fakes import Backends
from .test_contents import PATH, asking, file, image, parts_of, video


class Site:
    """A web server on this machine."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            if self.hold is not None and path.startswith("/a.png"):
                await self.hold.wait()
            kind, body = self.pages.get(path, ("", b""))
            status = b"200 OK" if kind else b"404 Not Found"
            if kind.startswith("/"):
                status = b"302 Found\r\nlocation: " + body
            writer.write(
                b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
                % (status, kind.encode(), len(body), body)
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.pages = {
        "/a.png": ("image/png", PNG),
        "/a.mp4": ("video/mp4", MP4),
        "/a.pdf": ("application/octet-stream", PDF),
        "/page": ("text/html", b"<html>"),
        "/lie.png": ("image/png", b"<html>"),
        "/large.png": ("image/png", PNG + b"a" * 5000),
        "/inside": ("/", b"http://127.0.0.1:1/a.png"),
    }
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    site.url = f"http://localhost:{site.port}"
    async with server:
        yield site


async def allowing(start: Start, site: Site, **settings: object) -> Gateway:
    gateway: Gateway = await start(fetch_allowed_hosts=f"localhost:{site.port}", **settings)
    return gateway


async def refused(gateway: Gateway, part: dict[str, Any], **more: object) -> tuple[int, str, str]:
    answer = await gateway.http.post(PATH, json={**asking({"type": "text", "text": "a"}, part), **more})
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["message"]


IMAGE = "messages.0.content.1.image_url.url"


async def test_addresses_become_bytes(start: Start, site: Site, behind: Backends) -> None:
    gateway = await allowing(start, site)
    found = await parts_of(
        gateway,
        behind,
        image(f"{site.url}/a.png"),
        video(f"{site.url}/a.mp4"),
        file(file_url=f"{site.url}/a.pdf", filename="a.pdf"),
    )
    assert (found[0].image.data, found[0].image.media_type) == (PNG, "image/png")
    assert (found[1].file.data, found[1].file.media_type) == (MP4, "video/mp4")
    assert (found[2].file.data, found[2].file.media_type, found[2].file.filename) == (PDF, "application/pdf", "a.pdf")


async def test_one_address_is_fetched_once_and_counts_as_often_as_it_is_used(
    start: Start, site: Site, behind: Backends
) -> None:
    gateway = await allowing(start, site, media_limit=12_000)
    part = image(f"{site.url}/large.png")
    assert [each.image.data[:8] for each in await parts_of(gateway, behind, part, part)] == [PNG[:8]] * 2
    assert site.asked == ["/large.png"]
    assert (await gateway.http.post(PATH, json=asking(part, part, part))).status_code == 413


async def test_a_stream_has_its_addresses_fetched_too(start: Start, site: Site, behind: Backends) -> None:
    gateway = await allowing(start, site)
    answer = await gateway.http.post(PATH, json={**asking(image(f"{site.url}/a.png")), "stream": True})
    assert answer.text.endswith("data: [DONE]\n\n")
    assert behind.router.started[0].request.messages[0].parts[0].image.data == PNG


async def test_what_is_on_this_machine_is_refused_unless_it_is_allowed(
    gateway: Gateway, site: Site, behind: Backends
) -> None:
    before = FETCHES.labels("fetched")._value.get()
    for address in (
        site.url,
        f"http://127.0.0.1:{site.port}",
        "http://169.254.169.254",
        "http://[::1]",
        "http://a@b.c",
    ):
        status, param, _ = await refused(gateway, image(f"{address}/a.png"))
        assert (status, param) == (400, IMAGE)
    for kind, name in ((video(f"{site.url}/a"), "video_url.url"), (file(file_url=f"{site.url}/a"), "file.file_url")):
        assert (await refused(gateway, kind))[:2] == (400, f"messages.0.content.1.{name}")
    assert (site.asked, behind.router.asked, FETCHES.labels("fetched")._value.get()) == ([], [], before)


async def test_what_cannot_be_had_is_told_by_name_before_anybody_is_asked(
    start: Start, site: Site, behind: Backends
) -> None:
    gateway = await allowing(start, site, image_limit=4096)
    for path, status, says in (
        ("/nothing", 400, "status 404"),
        ("/page", 400, "'text/html'"),
        ("/lie.png", 400, "no PNG"),
        ("/a.pdf", 400, "no PNG"),
        ("/large.png", 413, "4096 bytes"),
        ("/inside", 400, "The port 1"),
    ):
        for stream in (False, True):
            told = await refused(gateway, image(f"{site.url}{path}"), stream=stream)
            assert told[:2] == (status, IMAGE)
            assert says in told[2]
    assert (behind.router.asked, behind.router.started) == ([], [])


async def test_one_that_fails_gives_up_the_others(start: Start, site: Site) -> None:
    gateway = await allowing(start, site)
    site.hold = asyncio.Event()
    before = FETCHES.labels("cancelled")._value.get()
    parts = [image(f"{site.url}/a.png?{number}") for number in range(3)]
    answer = await gateway.http.post(PATH, json=asking(*parts, image(f"{site.url}/nothing")))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages.0.content.3.image_url.url")
    assert FETCHES.labels("cancelled")._value.get() == before + 3


async def test_a_client_that_leaves_ends_the_fetching(start: Start, site: Site, behind: Backends) -> None:
    gateway = await allowing(start, site)
    site.hold = asyncio.Event()
    before = FETCHES.labels("cancelled")._value.get()
    leaving = asyncio.create_task(gateway.http.post(PATH, json=asking(image(f"{site.url}/a.png"))))
    await eventually(lambda: site.asked != [])
    leaving.cancel()
    await eventually(lambda: FETCHES.labels("cancelled")._value.get() == before + 1)
    assert behind.router.asked == []


async def test_what_is_fetched_counts_as_held(start: Start, site: Site, behind: Backends) -> None:
    gateway = await allowing(start, site, media_in_hand=2048)
    told = await gateway.http.post(PATH, json=asking(image(f"{site.url}/large.png")))
    assert (told.status_code, told.json()["error"]["code"]) == (503, "overloaded")
    await parts_of(gateway, behind, image(f"{site.url}/a.png"))


async def test_addresses_may_be_left_to_vendors_or_not_be_taken(start: Start, site: Site, behind: Backends) -> None:
    passing: Gateway = await start(fetch="pass")
    found = await parts_of(
        passing,
        behind,
        image("https://example.com/a.png"),
        video("https://example.com/a"),
        file(file_url="https://example.com/b"),
    )
    assert (found[0].image.url, found[1].file.url) == ("https://example.com/a.png", "https://example.com/a")
    assert (found[1].file.media_type, found[2].file.media_type) == ("video/*", "")
    assert (await refused(passing, image(f"{site.url}/a.png")))[:2] == (400, IMAGE)
    closed: Gateway = await start(fetch="refuse")
    status, param, message = await refused(closed, image("https://example.com/a.png"))
    assert (status, param) == (400, IMAGE)
    assert "data URL" in message
