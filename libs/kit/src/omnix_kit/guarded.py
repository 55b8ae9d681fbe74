"""The one way to fetch what a caller names by its address: images, files, and whatever else is to come.

Whoever names an address could have us call what only we can reach. So the address is checked as it is written
(``omnix_kit.addresses``), its host is looked up once, every answer is checked, and the connection goes to one of
exactly these; every redirect begins anew. Nothing tells who asks; no cookie, no credential and no proxy is used.

It needs aiohttp, which the extra ``fetch`` of this package brings.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from prometheus_client import Counter, Histogram
from yarl import URL

from omnix_kit.addresses import IPAddress, NotPublicError, Place, Rules
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason
from omnix_kit.metrics import SECONDS

FETCHES = Counter("omnix_fetches_total", "Addresses fetched for callers, by how it ended.", ["how"])
FETCH_SECONDS = Histogram("omnix_fetch_seconds", "Time to fetch an address for a caller.", buckets=SECONDS)

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "OmniX"}
_ADDRESSES_TRIED: Final = 8
_HEAD_LINE: Final = 8190

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""From a host's name to its addresses.

:raises OSError: when there are none.
"""
Take = Callable[[int], None]
"""Called with the size of each piece that arrives, before it is kept; may raise."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    rules: Rules = field(default_factory=Rules)
    timeout: timedelta = timedelta(seconds=10)
    """For everything: waiting for a turn, looking up, connecting, redirects, the body."""
    redirects: int = 3
    at_once: int = 64
    at_once_per_owner: int = 8


@dataclass(frozen=True, slots=True)
class Fetched:
    data: bytes
    media_type: str
    """As the server says, in lower case and without parameters; empty when it does not."""


class _Turns:
    """Of one owner, while it has any."""

    def __init__(self, owner: str, count: int) -> None:
        self.owner = owner
        self.room = asyncio.Semaphore(count)
        self.lookups = asyncio.Semaphore(count)
        """Threads that look up names for it. They cannot be interrupted, and may outlive the fetch."""
        self.users = 0


_turns_of_owner: ContextVar[_Turns] = ContextVar("turns_of_owner")
"""Whose turn it is, for what aiohttp calls on the way."""


class Fetcher:
    """Fetches for many owners, a bounded number at once."""

    def __init__(self, limits: FetchLimits, look_up: LookUp | None = None) -> None:
        """:param look_up: in place of the machine's own."""
        self._limits = limits
        self._room = asyncio.Semaphore(limits.at_once)
        self._turns: dict[str, _Turns] = {}
        # Threads of its own: a server of names that does not answer holds up no other work.
        self._threads = ThreadPoolExecutor(limits.at_once, "look-up")
        self._look_up = look_up or self._ask_the_machine
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Fetcher":
        connector = aiohttp.TCPConnector(
            resolver=_Checked(self._look_up, self._limits.rules), use_dns_cache=False, force_close=True, limit=0
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEAD_LINE,
            max_field_size=_HEAD_LINE,
            timeout=aiohttp.ClientTimeout(total=None),  # the whole fetch has one
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def fetch(
        self,
        url: str,
        *,
        owner: str,
        most: int,
        param: str,
        accepts: Callable[[str], bool] = lambda _: True,
        take: Take = lambda _: None,
    ) -> Fetched:
        """Fetch what is there, at most ``most`` bytes of it.

        :param owner: whose turn it is; nobody can take all of them.
        :param param: how errors name the address.
        :param accepts: asked with the media type before the body is read; empty when the server tells none.
        :raises CallerError: for an address that is not public, does not answer with what is accepted, or with too much.
        :raises PlatformError: ``OVERLOADED`` when no turn came in time.
        """
        began = time.perf_counter()
        how = "failed"
        waiting = True
        try:
            async with asyncio.timeout(self._limits.timeout.total_seconds()), self._turn(owner):
                waiting = False
                found = await self._follow(url, most, accepts, take)
            how = "fetched"
            return found
        except asyncio.CancelledError:
            how = "cancelled"
            raise
        except TimeoutError:
            how = "slow"
            if waiting:
                raise PlatformError(
                    "Too much is being fetched; come again in a moment.",
                    reason=Reason.OVERLOADED,
                    retry_after=timedelta(seconds=1),
                ) from None
            raise _failed("it did not answer in time", param) from None
        except NotPublicError as exc:
            how = "refused"
            raise CallerError(str(exc), reason=Reason.INVALID_REQUEST, param=param) from None
        except _FailedError as exc:
            raise _failed(str(exc), param) from exc
        except _TooLargeError:
            how = "too-large"
            raise CallerError(
                f"What is at the address is larger than {most} bytes.", reason=Reason.PAYLOAD_TOO_LARGE, param=param
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise _failed("it does not answer as a web server does", param) from exc
        finally:
            FETCHES.labels(how).inc()
            FETCH_SECONDS.observe(time.perf_counter() - began)

    @asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[None]:
        turns = self._turns.setdefault(owner, _Turns(owner, self._limits.at_once_per_owner))
        turns.users += 1
        token = _turns_of_owner.set(turns)
        try:
            async with turns.room, self._room:
                yield
        finally:
            _turns_of_owner.reset(token)
            self._leave(turns)

    def _leave(self, turns: _Turns) -> None:
        turns.users -= 1
        if not turns.users:
            del self._turns[turns.owner]

    async def _follow(self, url: str, most: int, accepts: Callable[[str], bool], take: Take) -> Fetched:
        for _ in range(self._limits.redirects + 1):
            place = self._limits.rules.place_of(url)
            async with self._ask(place) as response:
                if response.status in _REDIRECTS and "location" in response.headers:
                    url = urljoin(_written(place), response.headers["location"])
                    continue
                if response.status != 200:
                    raise _FailedError(f"it answers with status {response.status}")
                return await _body(response, most, accepts, take)
        raise _FailedError(f"it redirects more than {self._limits.redirects} times")

    @asynccontextmanager
    async def _ask(self, place: Place) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the fetcher is not open")
        async with self._session.get(
            URL(_written(place), encoded=True), headers=_HEADERS, allow_redirects=False
        ) as response:
            yield response

    async def _ask_the_machine(self, host: str) -> Sequence[str]:
        turns, loop = _turns_of_owner.get(), asyncio.get_running_loop()
        await turns.lookups.acquire()
        turns.users += 1

        def ended(_: object) -> None:
            with suppress(RuntimeError):  # the process ended meanwhile
                loop.call_soon_threadsafe(self._looked_up, turns)

        # Not by run_in_executor(): its future is done when the fetch is given up, and the thread is still busy then.
        asked = self._threads.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        asked.add_done_callback(ended)
        return [str(address[0]) for *_, address in await asyncio.wrap_future(asked)]

    def _looked_up(self, turns: _Turns) -> None:
        turns.lookups.release()
        self._leave(turns)


class _Checked(AbstractResolver):
    """Answers with addresses that may be called, and with none when one of them may not.

    The connection goes to what is answered here; nothing asks again.
    """

    def __init__(self, look_up: LookUp, rules: Rules) -> None:
        self._look_up = look_up
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            addresses = [ip_address(each) for each in await self._look_up(host)]
        except OSError:
            addresses = []
        # One sentence for both: who asks shall not learn which names there are inside.
        if not addresses or not all(self._rules.may_call(host, port, address) for address in addresses):
            raise NotPublicError("The host is not known, or not a public one.")
        return [_result(host, address, port) for address in addresses[:_ADDRESSES_TRIED]]

    async def close(self) -> None:
        """Nothing is open."""


def _result(host: str, address: IPAddress, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


async def _body(response: aiohttp.ClientResponse, most: int, accepts: Callable[[str], bool], take: Take) -> Fetched:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not accepts(media_type):
        raise _FailedError(f"it holds '{media_type[:80]}', which is not what is asked for here")
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _FailedError("its content is compressed, though that was not asked for")
    if (response.content_length or 0) > most:
        raise _TooLargeError
    data = bytearray()
    async for piece in response.content.iter_any():
        if len(data) + len(piece) > most:
            raise _TooLargeError
        take(len(piece))
        data += piece
    if not data:
        raise _FailedError("there is nothing at it")
    return Fetched(bytes(data), media_type)


def _written(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"{place.scheme}://{host}:{place.port}{place.target}"


class _FailedError(Exception):
    """Why there is no content."""


class _TooLargeError(Exception):
    """There is more than may be."""


def _failed(why: str, param: str) -> OmnixError:
    return CallerError(f"The address could not be fetched: {why}.", reason=Reason.INVALID_REQUEST, param=param)
