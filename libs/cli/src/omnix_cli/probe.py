"""Asks services whether they are ready, with as little work as possible."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from omnix_cli.suite import LOOPBACK, Service

_LONGEST_ANSWER = 64 * 1024


async def lacking(service: Service, ports: Mapping[str, int], url: str) -> str | None:
    """What the service lacks to be ready, in words; None when it lacks nothing.

    :param url: the gateway's; what is not public is on loopback.
    """
    public = urlsplit(url)
    for port, path in service.probes:
        where = public.hostname or LOOPBACK if ports[port] == public.port else LOOPBACK
        try:
            status, body = await get(where, ports[port], path)
        except (TimeoutError, OSError):
            return "does not answer"
        except ValueError:
            return f"does not speak HTTP on its port {ports[port]}"
        if status != 200:
            return _told(body) or f"answers {status} on {path}"
    return None


async def get(host: str, port: int, path: str, timeout: float = 2.0) -> tuple[int, bytes]:
    """Status and body of one HTTP GET on this machine.

    :raises ValueError: when the answer is not HTTP.
    """
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST_ANSWER)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = bytearray()
            while part := await reader.read(_LONGEST_ANSWER):
                answer += part
                if len(answer) > _LONGEST_ANSWER or _is_whole(answer):
                    break
        finally:
            writer.close()
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("not HTTP")
    return int(words[1]), body


def _is_whole(answer: bytearray) -> bool:
    """Whether the announced length has come; some servers keep the connection all the same."""
    head, gap, body = bytes(answer).partition(b"\r\n\r\n")
    lengths = (line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    announced = next(lengths, b"").strip()
    return bool(gap) and announced.isdigit() and len(body) >= int(announced)


def _told(body: bytes) -> str:
    """The needs that a service's ``/readyz`` names: ``{"lacking": {"nats": "NATS … is away"}}``."""
    try:
        answer: object = json.loads(body)
    except ValueError:
        return ""
    needs = answer.get("lacking") if isinstance(answer, dict) else None
    if not isinstance(needs, dict):
        return ""
    return "; ".join(_distinct(f"{name}: {problem}" for name, problem in needs.items()))


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
