"""Where a prompt may be cached and for how long, in either vendor's words."""

from typing import Any

from omnix.completion.v1 import completion_pb2 as pb

from .conftest import Gateway
from .contents import PNG, data_url
from .fakes import Backends, answer

PATH = "/v1/chat/completions"


def ttl(told: pb.Part | pb.Tool) -> tuple[bool, int | None]:
    return told.cache_breakpoint, told.cache_ttl.seconds if told.HasField("cache_ttl") else None


async def test_breakpoints_arrive_with_their_time(gateway: Gateway, behind: Backends) -> None:
    text: dict[str, Any] = {"type": "text", "text": "a"}
    explicit, ephemeral = {"mode": "explicit"}, {"type": "ephemeral"}
    parts: list[dict[str, Any]] = [
        text,
        {**text, "prompt_cache_breakpoint": explicit},
        {**text, "prompt_cache_breakpoint": {**explicit, "ttl": "30m"}},
        {**text, "prompt_cache_breakpoint": {**explicit, "ttl": "12h"}},
        {**text, "cache_control": ephemeral},
        {**text, "cache_control": {**ephemeral, "ttl": "5m"}},
        {
            "type": "image_url",
            "image_url": {"url": data_url(PNG, "image/png")},
            "cache_control": {**ephemeral, "ttl": "1h"},
        },
    ]
    tools = [
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "function": {"name": "g"}, "cache_control": {**ephemeral, "ttl": "1h"}},
        {"type": "function", "function": {"name": "h"}, "prompt_cache_breakpoint": explicit},
    ]
    messages = [{"role": "system", "content": [parts[5]]}, {"role": "user", "content": parts}]
    body = {"model": "m", "messages": messages, "tools": tools}
    taken = await gateway.http.post(PATH, json=body)
    assert taken.status_code == 200, taken.text
    request = behind.router.asked[0].request
    assert ttl(request.messages[0].parts[0]) == (True, 300)
    assert [ttl(part) for part in request.messages[1].parts] == [
        (False, None),
        (True, None),
        (True, 1800),
        (True, 43200),
        (True, None),
        (True, 300),
        (True, 3600),
    ]
    assert [ttl(tool) for tool in request.tools] == [(False, None), (True, 3600), (True, None)]


async def test_wishes_that_make_no_sense_are_named(gateway: Gateway) -> None:
    text = {"type": "text", "text": "a"}
    for wish, param in (
        ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "cache_control.ttl"),
        ({"cache_control": {"type": "for-ever"}}, "cache_control.type"),
        ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "5m"}}, "prompt_cache_breakpoint.ttl"),
        (
            {"prompt_cache_breakpoint": {"mode": "explicit"}, "cache_control": {"type": "ephemeral"}},
            "cache_control",
        ),
    ):
        messages = [{"role": "user", "content": [{**text, **wish}]}]
        refused = await gateway.http.post(PATH, json={"model": "m", "messages": messages})
        told = (refused.status_code, refused.json()["error"]["param"])
        assert told == (400, f"messages.0.content.0.{param}")


async def test_usage_tells_what_was_written(gateway: Gateway, behind: Backends) -> None:
    completion = answer("a")
    completion.usage.cache_write_input_tokens = 7
    completion.usage.long_cache_write_input_tokens = 5
    behind.router.completion = completion
    told = await gateway.http.post(PATH, json={"model": "m", "messages": [{"role": "user", "content": "a"}]})
    details = told.json()["usage"]["prompt_tokens_details"]
    assert (details["cached_tokens"], details["cache_write_tokens"], details["long_cache_write_tokens"]) == (4, 7, 5)
