"""The load process: reads a ``LoadSpec``, says it is ready, waits for the word, loads, and answers a ``LoadResult``.

It is a process of its own so that its cost can be told from that of the gateway and so that nothing else delays its
clock readings.
"""

import asyncio
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
import uvloop
from omnix_sandbox import script

from bench.connection import STAMP, Answer, Connection, TokenTimes
from bench.messages import LoadResult, LoadSpec
from bench.spread import spread

_SYSTEM = (
    "You are the assistant of a large company. Answer briefly and in plain words, cite the internal handbook where it "
    "helps, never disclose personal data, and say so when you do not know. " * 3
)


def prompt(spec: LoadSpec) -> str:
    """The user's message, with what it asks of the upstream."""
    directives = f"[[tokens={spec.tokens}]]"
    if spec.pace:
        directives += f" [[pace={spec.pace:g}/s]]"
    if spec.clock:
        directives += " [[clock]]"
    return f"What does the handbook say about travel? {directives}"


def request_bytes(spec: LoadSpec) -> bytes:
    """The whole HTTP request, the same for every call of a load."""
    body: dict[str, object] = {
        "model": spec.model,
        "messages": [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": prompt(spec)}],
        "temperature": 0.2,
    }
    if spec.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    content = msgspec.json.encode(body)
    headers = {
        "host": f"{spec.host}:{spec.port}",
        "content-type": "application/json",
        "accept": "text/event-stream" if spec.stream else "application/json",
        "content-length": str(len(content)),
        **spec.headers,
    }
    head = f"POST {spec.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + content


def failure(answer: Answer, spec: LoadSpec, expected: str) -> str | None:
    """Why the answer is not whole; ``None`` if it is."""
    if answer.error is not None:
        return answer.error
    text = "".join(answer.text)
    if spec.clock:
        text = STAMP.sub("", text)
    if text != expected:
        return "cut text" if expected.startswith(text) else "wrong text"
    if answer.finish_reason != "stop":
        return f"finish reason {answer.finish_reason}"
    if spec.stream and not answer.end_marker:
        return "no end marker"
    return None


class Load:
    """One run of a spec."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._request = request_bytes(spec)
        self._times = TokenTimes()
        self._answers: list[Answer] = []
        self._asked = 0

    async def run(self) -> LoadResult:
        started, cpu = time.time(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for index in range(self._spec.concurrency):
                group.create_task(self._worker(started + self._spec.ramp * index / self._spec.concurrency, started))
        return self._result(time.time() - started, time.process_time() - cpu)

    async def _worker(self, start_at: float, started: float) -> None:
        spec = self._spec
        await asyncio.sleep(max(0.0, start_at - time.time()))
        connection: Connection | None = None
        while self._asked < spec.requests and time.time() < started + spec.seconds:
            self._asked += 1
            if connection is None or not connection.usable:
                connection = await self._connect()
            if connection is None:
                self._answers.append(Answer(asked_at=time.time(), ended_at=time.time(), error="cannot connect"))
                await asyncio.sleep(0.1)
                continue
            self._answers.append(await connection.ask(self._request, stream=spec.stream, timeout=spec.timeout))
        if connection is not None:
            connection.close()

    async def _connect(self) -> Connection | None:
        try:
            async with asyncio.timeout(self._spec.timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._times, clock=self._spec.clock), self._spec.host, self._spec.port
                )
                return connection
        except OSError:  # TimeoutError is one
            return None

    def _result(self, wall: float, cpu: float) -> LoadResult:
        expected = script.answer(script.user(prompt(self._spec), system=_SYSTEM)).text
        reasons = [failure(answer, self._spec, expected) for answer in self._answers]
        whole = [answer for answer, reason in zip(self._answers, reasons, strict=True) if reason is None]
        begun, ended = self._all_streaming()
        late: Sequence[float] = self._times.late
        if ended > begun:
            late = [
                late for sent, late in zip(self._times.sent, self._times.late, strict=True) if begun <= sent <= ended
            ]
        return LoadResult(
            asked=len(self._answers),
            whole=len(whole),
            failures=dict(Counter(reason for reason in reasons if reason is not None)),
            tokens=sum(
                self._spec.tokens if reason is None else answer.tokens
                for answer, reason in zip(self._answers, reasons, strict=True)
            ),
            events=sum(len(answer.text) for answer in self._answers),
            wall_seconds=wall,
            cpu_seconds=cpu,
            latency=spread(answer.ended_at - answer.asked_at for answer in whole),
            first_token=spread(a.first_at - a.asked_at for a in self._answers if a.first_at is not None),
            lateness=spread(late),
            all_streaming_seconds=max(0.0, ended - begun),
        )

    def _all_streaming(self) -> tuple[float, float]:
        """From when until when every connection was in its one stream; an empty span where that never was."""
        firsts = [answer.first_at for answer in self._answers if answer.first_at is not None]
        if len(self._answers) != self._spec.concurrency or len(firsts) != len(self._answers):
            return 0.0, 0.0
        return max(firsts), min(answer.ended_at for answer in self._answers)


def main() -> None:
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=LoadSpec)
    os.write(1, b"ready\n")
    if not sys.stdin.buffer.readline():
        return
    gc.disable()  # a run is short and its garbage little; a collection would show as lateness
    result = uvloop.run(Load(spec).run())
    os.write(1, msgspec.json.encode(result) + b"\n")


if __name__ == "__main__":
    main()
