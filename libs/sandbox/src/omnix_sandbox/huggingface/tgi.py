"""TGI's chat completions, a dialect of its own.

A stream has no opening, repeats the role in each delta and tells a usage of null in each event; there is one tool call
at most, whose stream ends without a finish reason and whose finish reason otherwise is `stop`; what comes too late to
be a status is an event with an error and 200.
https://github.com/huggingface/text-generation-inference/blob/main/router/src/chat.rs, with recorded streams in
https://github.com/huggingface/text-generation-inference/tree/main/integration-tests/models/__snapshots__/test_tools_llama
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from omnix_sandbox import script
from omnix_sandbox.faults import Fault
from omnix_sandbox.formats import Making, Refusal
from omnix_sandbox.huggingface import errors
from omnix_sandbox.huggingface.chunks import EVENT_STREAM, AskedChunks, Chunks, encode
from omnix_sandbox.huggingface.models import HOSTED
from omnix_sandbox.huggingface.tgi_request import ChatRequest, prompt_of
from omnix_sandbox.openai.events import DONE, logprob_of
from omnix_sandbox.script import Answer, FinishReason, tokenize

FINGERPRINT: Final = "3.3.6-sha-4c3b1ce"
COMPUTE: Final = "1-nvidia-l4"

_FINISHES: Final = {FinishReason.LENGTH: "length"}
_KEEP_ALIVE: Final = b":\n\n"


class AskedTgi(AskedChunks):
    """A chat completion of a server that hosts one model, whatever name the request has.

    A last message of the assistant's is gone on with, unasked.
    """

    def __init__(self, request: ChatRequest, hosted: str) -> None:
        self.request = request
        self.model = hosted if request.model in (None, "tgi", "dummy") else request.model or hosted
        self.stream = request.stream
        self.prompt = script.continuing(prompt_of(request, self.model))

    def head_fields(self, making: Making) -> Mapping[str, str]:
        fields = {
            "x-compute-type": COMPUTE,
            "x-compute-time": f"{making.latency_ms / 1000:.9f}",
            "x-compute-characters": str(sum(len(message.text) for message in self.prompt.messages)),
            "x-total-time": str(making.latency_ms),
        }
        if making.billing is not None:
            fields |= {
                "x-prompt-tokens": str(making.billing.input_tokens),
                "x-generated-tokens": str(making.billing.output_tokens),
            }
        return fields

    def prefix_refused(self) -> Refusal:
        """As a model's chat template does that insists on a last message of the user's."""
        message = "Template error: syntax error: After the optional system message, the user speaks last"
        return errors.typed(422, message, "template_error")

    def error_event(self, fault: Fault) -> bytes:
        """TGI ends the stream as if nothing had been."""
        return errors.tgi_error_event(fault) + DONE

    def chunks(self, making: Making) -> "TgiChunks":
        request = self.request
        return TgiChunks(
            making,
            self.model,
            with_usage=request.stream_options.include_usage,
            logprobs=(request.top_logprobs or 0) if request.logprobs else None,
            call=request.next_call(),
        )


class TgiChunks(Chunks):
    text_delta = b'{"role":"assistant","content":"'

    def __init__(self, making: Making, model: str, *, with_usage: bool, logprobs: int | None, call: str) -> None:
        self._call = call
        super().__init__(making, model, with_usage=with_usage, logprobs=logprobs)

    def unary(self) -> bytes:
        answer = self._making.answers[0]
        message: dict[str, Any] = {"role": "assistant"}
        if answer.tool_calls:
            call = answer.tool_calls[0]
            function = {"description": None, "name": call.name, "arguments": call.arguments or "{}"}
            # Numbered from 0 in each whole answer, unlike in a stream.
            message["tool_calls"] = [{"id": "0", "type": "function", "function": function}]
        else:
            message["content"] = answer.text
        odds = self._odds(answer.tokens) if self._logprobs is not None else None
        choice = {"index": 0, "message": message, "logprobs": odds, "finish_reason": self._reason(answer)}
        told = {
            "object": "chat.completion",
            "id": "",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": [choice],
        }
        if self._making.billing is not None:
            told["usage"] = self._counts()
        return encode(told)

    def _reason(self, answer: Answer) -> str:
        return answer.finish_as or _FINISHES.get(answer.finish, "stop")

    def _counts(self) -> dict[str, int]:
        billing = self._making.billing
        asked, answered = (0, 0) if billing is None else (billing.input_tokens, billing.output_tokens)
        return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}

    def _start(self) -> bytes:
        head = {
            "object": "chat.completion.chunk",
            "id": "",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
        }
        return b"data: " + encode(head)[:-1] + b',"choices":['

    def _end(self) -> bytes:
        return b',"usage":null}\n\n'

    def _opening(self, at: int, answer: Answer) -> bytes:
        return _KEEP_ALIVE

    def _deltas(self, answer: Answer) -> Iterator[dict[str, Any]]:
        for call in answer.tool_calls:
            first, *rest = tokenize(call.arguments or "{}")
            for name, piece in ((call.name, first), *((None, piece) for piece in rest)):
                function = {"name": name, "arguments": piece}
                told = {"index": 0, "id": self._call, "type": "function", "function": function}
                yield {"role": "assistant", "tool_calls": [told]}
        for token in answer.tokens:
            yield {"role": "assistant", "content": token}

    def _finish(self, at: int, answer: Answer) -> bytes:
        if answer.tool_calls:
            return b""
        return self.event(at, {"role": "assistant", "content": ""}, self._reason(answer))

    def _usage(self) -> bytes:
        return self._before + b'],"usage":' + encode(self._counts()) + b"}\n\n"

    def _odds(self, tokens: Sequence[str]) -> dict[str, Any]:
        return {"content": [_without_bytes(logprob_of(token, self._logprobs or 0)) for token in tokens]}


def _without_bytes(told: Mapping[str, Any]) -> dict[str, Any]:
    others = [{"token": other["token"], "logprob": other["logprob"]} for other in told["top_logprobs"]]
    return {"token": told["token"], "logprob": told["logprob"], "top_logprobs": others}


def too_late(message: str) -> Refusal:
    """What TGI finds wrong once a stream has begun."""
    return Refusal(200, errors.tgi_event(message) + DONE, content_type=EVENT_STREAM)


def described(hosted: str = HOSTED) -> dict[str, Any]:
    """What `/info` tells."""
    return {
        "model_id": hosted,
        "model_sha": "0e9e39f249a16976918f6564b8830bc894c89659",
        "model_pipeline_tag": "text-generation",
        "max_concurrent_requests": 128,
        "max_best_of": 2,
        "max_stop_sequences": 4,
        "max_input_tokens": 131_071,
        "max_total_tokens": 131_072,
        "validation_workers": 2,
        "max_client_batch_size": 4,
        "router": "text-generation-router",
        "version": "3.3.6",
        "sha": "4c3b1ce",
        "docker_label": "sha-4c3b1ce",
    }
