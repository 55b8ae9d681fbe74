"""How likely tokens were, whole and streamed."""

from typing import Any

from omnix.completion.v1 import completion_pb2 as pb
from openai.types.chat import ChatCompletionMessageParam

from .conftest import Gateway
from .fakes import Backends, answer
from .publisher import Publisher

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


def token(text: str, logprob: float, *top: pb.TokenLogprob) -> pb.TokenLogprob:
    return pb.TokenLogprob(token=text, logprob=logprob, token_bytes=text.encode(), top=top)


NO_BYTES = pb.TokenLogprob(token="x", logprob=-9999)
TOLD: dict[str, Any] = {
    "content": [
        {
            "token": "Hé",
            "logprob": -0.25,
            "bytes": [72, 195, 169],
            "top_logprobs": [
                {"token": "Hé", "logprob": -0.25, "bytes": [72, 195, 169]},
                {"token": "x", "logprob": -9999.0, "bytes": None},
            ],
        }
    ],
    "refusal": None,
}


async def test_a_whole_answer_tells_them(gateway: Gateway, behind: Backends) -> None:
    completion = answer("Hé")
    completion.choices[0].logprobs.append(token("Hé", -0.25, token("Hé", -0.25), NO_BYTES))
    behind.router.completion = completion
    told = await gateway.openai.chat.completions.create(model="m", messages=HELLO, logprobs=True, top_logprobs=2)
    assert told.choices[0].to_dict()["logprobs"] == TOLD
    assert (behind.router.asked[0].request.logprobs, behind.router.asked[0].request.top_logprobs) == (True, 2)


async def test_a_stream_tells_them_with_the_chunk_they_belong_to(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        told = [token("Hé", -0.25, token("Hé", -0.25), NO_BYTES)]
        await publisher.chunks(pb.Chunk(text="Hé", logprobs=told))
        await publisher.chunks(pb.Chunk(refusal="No", refusal_logprobs=[NO_BYTES]))
        await publisher.finish()

    behind.router.play = play
    stream = await gateway.openai.chat.completions.create(
        model="m", messages=HELLO, stream=True, logprobs=True, top_logprobs=0
    )
    found = [chunk.choices[0].to_dict()["logprobs"] async for chunk in stream]
    refusal = {"token": "x", "logprob": -9999.0, "bytes": None, "top_logprobs": []}
    assert found == [None, TOLD, {"content": None, "refusal": [refusal]}, None]
    assert behind.router.started[0].request.HasField("top_logprobs")
