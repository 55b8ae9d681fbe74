"""A chat over a gateway that says what the test tells it to."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from omnix_cli.api import ApiError, Gateway
from omnix_cli.chat import Chat, once, server_sent
from omnix_cli.errors import CommandError

HEADERS = {"x-omnix-model": "openai/gpt-4o", "x-omnix-sandbox": "true"}


@dataclass
class Script:
    """Answers in the order in which they are given; ``cut`` ends the connection without the rest."""

    answers: list[tuple[int, bytes, bool]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], object]] = field(default_factory=list)
    url: str = ""

    def answer(self, body: bytes, status: int = 200, *, cut: bool = False) -> None:
        self.answers.append((status, body, cut))


@contextmanager
def gateway_of(script: Script) -> Iterator[Script]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
            status, content, cut = script.answers.pop(0)
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + cut))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def script() -> Iterator[Script]:
    with gateway_of(Script()) as found:
        yield found


Make = Callable[..., Chat]


@pytest.fixture
def chat(script: Script) -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda streamed=True, system=None: Chat(
            stack.enter_context(Gateway(script.url, "sk-omnix-test")), "gpt-4o", system, streamed
        )


def event(number: int, content: str = "", **more: object) -> bytes:
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": None}] if content else []
    data = {"id": "chatcmpl-1", "model": "gpt-4o", "choices": choices, **more}
    return f"id: {number}\ndata: {json.dumps(data)}\n\n".encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "cost": "0.000028", "currency": "USD"}
DONE = b"data: [DONE]\n\n"


def test_streamed_answer_is_written_with_its_summary(
    script: Script, chat: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    script.answer(b": keep-alive\n\n" + event(0, "Hél") + event(1, "lo") + event(2, usage=USAGE) + DONE)
    once(chat(system="Be brief."), "Hi")
    written = capsys.readouterr()
    assert written.out == "Héllo\n"
    assert written.err == "openai/gpt-4o · SANDBOX · 3 + 2 tokens · 0.000028 USD\n"
    [(_, path, headers, body)] = script.asked
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer sk-omnix-test")
    assert body == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_broken_stream_is_taken_up_where_it_broke(
    script: Script, chat: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    script.answer(event(0, "one ") + event(1, "two "), cut=True)
    script.answer(event(2, "three "), cut=True)
    script.answer(event(3, "four") + event(4, usage=USAGE) + DONE)
    once(chat(), "Count!")
    assert capsys.readouterr().out == "one two three four\n"
    resumed = [(method, path, headers.get("Last-Event-ID")) for method, path, headers, _ in script.asked[1:]]
    assert resumed == [
        ("GET", "/v1/streams/chatcmpl-1?include_usage=true", "1"),
        ("GET", "/v1/streams/chatcmpl-1?include_usage=true", "2"),
    ]


def test_answer_that_stays_broken_is_never_passed_off_as_whole(script: Script, chat: Make) -> None:
    for number in range(5):
        script.answer(event(number, "more "), cut=True)
    with pytest.raises(CommandError, match="the answer is not whole"):
        once(chat(), "Count!")


def test_error_event_ends_the_answer_with_its_words(script: Script, chat: Make) -> None:
    script.answer(event(0, "one") + b'data: {"error": {"message": "The provider broke off."}}\n\n')
    with pytest.raises(ApiError, match=r"The provider broke off\."):
        once(chat(), "Count!")


def test_refusal_is_told_with_its_status(script: Script, chat: Make) -> None:
    script.answer(b'{"error": {"message": "The model does not exist.", "type": "x"}}', status=404)
    with pytest.raises(ApiError, match=r"The model does not exist\. \(HTTP 404\)"):
        once(chat(streamed=False), "Hi")


def test_whole_answer_without_streaming(script: Script, chat: Make, capsys: pytest.CaptureFixture[str]) -> None:
    choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "length"}
    script.answer(json.dumps({"id": "chatcmpl-1", "choices": [choice], "usage": {**USAGE, "cost": None}}).encode())
    once(chat(streamed=False), "Hi")
    written = capsys.readouterr()
    assert written.out == "Hello\n"
    assert written.err == "openai/gpt-4o · SANDBOX · 3 + 2 tokens · unpriced · ended by length\n"


def test_away_gateway_is_told_with_what_to_do() -> None:
    with Gateway("http://127.0.0.1:1", "key") as gateway, pytest.raises(CommandError, match="omnix up"):
        once(Chat(gateway, "gpt-4o", None, True), "Hi")


def test_events_are_read_as_the_standard_says() -> None:
    lines = ["id: 1", "data: a", "data:b", "", ": comment", "", "data: c", "", "event: x", "", "data: unfinished"]
    assert list(server_sent(lines)) == [("1", "a\nb"), ("", "c")]
