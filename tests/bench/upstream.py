"""A lean stand-in for a vendor: OpenAI's chat wire format, the sandbox's directives, and nothing else."""

import argparse
import asyncio
import re
import signal
import time
from dataclasses import dataclass
from typing import cast

import httptools
import msgspec
import uvloop

_DIRECTIVE = re.compile(r"\[\[(\w+)(?:=([\d.]+)(?:/s)?)?\]\]")
_HEAD = '{"id":"chatcmpl-BenchUpstream0000000000000000","object":"chat.completion%s","created":1764000000,"model":"%s",'
_TAIL = '"service_tier":"default","system_fingerprint":"fp_560af6e559"'
_WORDS = ("alpha ", "beta ", "gamma ", "delta ", "epsilon ", "zeta ", "eta ", "theta ", "iota ", "kappa ")


class _Message(msgspec.Struct):
    content: str | list[dict[str, str]]


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool = False
    stream_options: _StreamOptions | None = None


_decoder = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the caller's last message asked for."""

    tokens: int = 20
    pace: float = 0.0
    clock: bool = False

    @classmethod
    def read(cls, text: str) -> "Plan":
        found = {match[1]: match[2] for match in _DIRECTIVE.finditer(text)}
        return cls(tokens=int(found.get("tokens") or 20), pace=float(found.get("pace") or 0.0), clock="clock" in found)


def _token(index: int, plan: Plan) -> str:
    return f"{time.time() * 1e3:.1f} " if plan.clock else _WORDS[index % len(_WORDS)]


def _usage(tokens: int) -> str:
    return (
        f'{{"prompt_tokens":120,"completion_tokens":{tokens},"total_tokens":{120 + tokens},'
        '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
        '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}'
    )


class Stream:
    """Writes one streamed answer, each token at its due time reckoned from the start, so that delays do not add up."""

    def __init__(self, connection: "Connection", request: _Request, plan: Plan) -> None:
        self._connection = connection
        self._plan = plan
        self._usage = request.stream_options is not None and request.stream_options.include_usage
        self._event = "data: " + _HEAD % (".chunk", request.model) + _TAIL
        usage = ',"usage":null' if self._usage else ""
        self._before = self._event + ',"choices":[{"index":0,"delta":{"content":"'
        self._after = '"},"logprobs":null,"finish_reason":null}]' + usage + "}\n\n"
        self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._loop.time()
        connection.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
            b"transfer-encoding: chunked\r\nx-request-id: req_bench\r\n\r\n"
        )
        first = self._event + ',"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},'
        first += '"logprobs":null,"finish_reason":null}]' + usage + "}\n\n"
        if plan.pace:
            connection.write_chunk(first)
            self._tick()
        else:
            tokens = (self._before + _token(index, plan) + self._after for index in range(plan.tokens))
            connection.write_chunk(first + "".join(tokens))
            self._finish()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._connection.write_chunk(self._before + _token(self._sent, self._plan) + self._after)
        self._sent += 1
        if self._sent == self._plan.tokens:
            self._finish()
        else:
            self._timer = self._loop.call_at(self._started + self._sent / self._plan.pace, self._tick)

    def _finish(self) -> None:
        usage = ',"usage":null' if self._usage else ""
        last = (
            f'{self._event},"choices":[{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}]{usage}}}\n\n'
        )
        if self._usage:
            last += f'{self._event},"choices":[],"usage":{_usage(self._plan.tokens)}}}\n\n'
        self._connection.write_chunk(last + "data: [DONE]\n\n")
        self._connection.write(b"0\r\n\r\n")


class Connection(asyncio.Protocol):
    """One client of the upstream, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is not registered as one

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._stream is not None:
            self._stream.stop()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.abort()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write_chunk(self, text: str) -> None:
        data = text.encode()
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url.endswith(b"/models"):
            self._answer(b'{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1,"owned_by":"bench"}]}')
        elif self._url.endswith(b"/chat/completions"):
            self._complete()
        else:
            self._answer(b'{"error":{"message":"no such path","type":"invalid_request_error"}}', "404 Not Found")

    def _complete(self) -> None:
        try:
            request = _decoder.decode(self._body)
        except msgspec.DecodeError as exc:
            error = {"error": {"message": str(exc), "type": "invalid_request_error"}}
            self._answer(msgspec.json.encode(error), "400 Bad Request")
            return
        content = request.messages[-1].content
        plan = Plan.read(content if isinstance(content, str) else " ".join(p.get("text", "") for p in content))
        if request.stream:
            self._stream = Stream(self, request, plan)
            return
        text = "".join(_token(index, plan) for index in range(plan.tokens))
        choice = f'{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},'
        choice += '"logprobs":null,"finish_reason":"stop"}'
        head = _HEAD % ("", request.model)
        self._answer(f'{head}"choices":[{choice}],"usage":{_usage(plan.tokens)},{_TAIL}}}'.encode())

    def _answer(self, body: bytes, status: str = "200 OK") -> None:
        self.write(
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=2048)
    async with server:
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
