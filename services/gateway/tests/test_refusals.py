"""What is refused, and in whose words."""

import base64
from datetime import timedelta
from typing import Any

import openai
import pytest
from omnix_kit.errors import Reason, error_for

from .conftest import Gateway
from .contents import PNG
from .fakes import ADMIN, Backends

PATH = "/v1/chat/completions"
USER = {"role": "user", "content": "a"}


BAD: list[tuple[Any, str | None, str]] = [
    (b"", None, "invalid_request"),
    (b"{", None, "invalid_request"),
    (b"[]", None, "invalid_request"),
    (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', None, "invalid_request"),
    ({"messages": [USER]}, "model", "invalid_request"),
    ({"model": "m"}, "messages", "invalid_request"),
    ({"model": "m", "messages": []}, "messages", "invalid_request"),
    ({"model": "m", "messages": "hi"}, "messages", "invalid_request"),
    ({"model": "m", "messages": [{"role": "user", "content": 1}]}, "messages.0.content", "invalid_request"),
    ({"model": "m", "messages": [{"role": "king", "content": "a"}]}, "messages.0.role", "invalid_request"),
    ({"model": "m", "messages": [USER], "colour": 1}, "colour", "invalid_request"),
    ({"model": "m", "messages": [{**USER, "mood": 1}]}, "messages.0.mood", "invalid_request"),
    ({"model": "m", "messages": [USER], "temperature": 3}, "temperature", "invalid_request"),
    ({"model": "m", "messages": [USER], "max_tokens": 0}, "max_tokens", "invalid_request"),
    ({"model": "m", "messages": [USER], "max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_request"),
    ({"model": "m", "messages": [USER], "stream_options": {}}, "stream_options", "invalid_request"),
    ({"model": "m", "messages": [USER], "tool_choice": "auto"}, "tool_choice", "invalid_request"),
    ({"model": "m", "messages": [USER], "metadata": {"a": "b" * 513}}, "metadata.a", "invalid_request"),
    ({"model": "m", "messages": [USER], "top_logprobs": 2}, "top_logprobs", "invalid_request"),
    ({"model": "m", "messages": [USER], "top_logprobs": 2, "logprobs": False}, "top_logprobs", "invalid_request"),
    ({"model": "m", "messages": [USER], "top_logprobs": 21, "logprobs": True}, "top_logprobs", "invalid_request"),
    ({"model": "m", "messages": [USER], "audio": {"voice": "a"}}, "audio", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "modalities": ["audio"]}, "modalities", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "functions": []}, "functions", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "moderation": {"model": "x"}}, "moderation", "unsupported_parameter"),
    (
        {"model": "m", "messages": [USER], "tools": [{"type": "custom", "custom": {"name": "x"}}]},
        "tools.0.type",
        "unsupported_parameter",
    ),
    (
        {"model": "m", "messages": [{"role": "function", "name": "f", "content": "a"}]},
        "messages.0.role",
        "unsupported_parameter",
    ),
    *(
        (
            {
                "model": "m",
                "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}],
            },
            "messages.0.content.0.image_url.url",
            "invalid_request",
        )
        for url in (
            "file:///etc/passwd",
            "gopher://a/b",
            "http://",
            "http://169.254.169.254/latest/meta-data",
            "data:image/png;base64,%%%",
            "data:image/png,a",
        )
    ),
    (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', None, "invalid_request"),
    (b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "invalid_request"),
    (
        b'{"model":"m","messages":[{"role":"user","content":"a"}],"prediction":' + b'{"a":' * 5000,
        None,
        "invalid_request",
    ),
    (b'{"a":' * 200_000, None, "invalid_request"),
]


async def test_bad_requests_are_named(gateway: Gateway, behind: Backends) -> None:
    for body, param, code in BAD:
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        refused = await gateway.http.post(PATH, **sent)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"], error["code"]) == (400, param, code), (error, str(body)[:200])
        assert error["type"] == "invalid_request_error"
        assert len(error["message"]) < 300
    assert behind.router.asked == []
    assert (await gateway.http.get("/livez")).status_code == 200


async def test_large_bodies_are_refused_unless_they_carry_media(gateway: Gateway, behind: Backends) -> None:
    text = {"model": "m", "messages": [{"role": "user", "content": "a" * 2 * 1024 * 1024}]}
    hidden = {"model": "m", "messages": [{"role": "user", "content": ";base64," + "a" * 2 * 1024 * 1024}]}
    for body in (text, hidden):
        refused = await gateway.http.post(PATH, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large")

    async def endless() -> Any:
        for _ in range(64):
            yield b"a" * 65536

    refused = await gateway.http.post(PATH, content=endless())
    assert refused.status_code == 413
    png = base64.b64encode(PNG + b"ABC" * 1024 * 700).decode()
    url = f"data:image/png;base64,{png}"
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    taken = await gateway.http.post(PATH, json={"model": "m", "messages": [{"role": "user", "content": parts}]})
    assert taken.status_code == 200
    image = behind.router.asked[0].request.messages[0].parts[0].image
    assert (len(image.data), image.media_type, image.detail) == (1024 * 700 * 3 + len(PNG), "image/png", "low")
    for method, path in (("POST", "/v1/keys"),):
        refused = await gateway.http.request(
            method, path, content=b"a" * 2_000_000, headers={"authorization": f"Bearer {ADMIN}"}
        )
        assert refused.status_code == 413


async def test_errors_of_the_router_keep_their_meaning(gateway: Gateway, behind: Backends) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [USER]}
    wait = timedelta(seconds=2.5)
    behind.router.error = error_for(Reason.RATE_LIMITED, "Slow.", provider="openai", retry_after=wait)
    with pytest.raises(openai.RateLimitError) as told:
        await gateway.openai.chat.completions.create(**body)
    assert told.value.response.headers["retry-after"] == "3"
    assert told.value.code == "rate_limit_exceeded"
    assert told.value.response.headers["x-omnix-completion-id"].startswith("chatcmpl-")
    behind.router.error = error_for(Reason.CONTEXT_TOO_LONG, "Long.", param="messages")
    with pytest.raises(openai.BadRequestError) as long:
        await gateway.openai.chat.completions.create(**body)
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")


async def test_parameters_are_named_as_the_caller_wrote_them(gateway: Gateway, behind: Backends) -> None:
    for theirs, named in (
        ("compute_mode", "mode"),
        ("messages[0].content[12].signature", "messages.0.content.12.signature"),
        ("top_k", "top_k"),
    ):
        message = f"This provider cannot honour {theirs}."
        behind.router.error = error_for(Reason.UNSUPPORTED_PARAMETER, message, param=theirs)
        for stream in (False, True):
            refused = await gateway.http.post(PATH, json={"model": "m", "messages": [USER], "stream": stream})
            error = refused.json()["error"]
            told = (refused.status_code, error["param"], error["message"])
            assert told == (400, named, f"This provider cannot honour {named}.")
