"""Chat completions through the official SDK and bare HTTP."""

from .conftest import Gateway
from .fakes import Backends

HELLO = [{"role": "user", "content": "Hello"}]


async def test_unary_answer_has_openais_shape_and_omnix_headers(gateway: Gateway, behind: Backends) -> None:
    raw = await gateway.openai.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)  # type: ignore[arg-type]
    answer = raw.parse()
    print(raw.headers, answer)
    assert answer.choices[0].message.content == "Hello!"


async def test_streamed_answer(gateway: Gateway, behind: Backends) -> None:
    stream = await gateway.openai.chat.completions.create(
        model="gpt-4o",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},  # type: ignore[arg-type,call-overload]
    )
    text = ""
    async for chunk in stream:
        print(chunk)
        for choice in chunk.choices:
            text += choice.delta.content or ""
    assert text == "Hello wörld 🌍."
