"""The router of inference providers: chat completions in OpenAI's format, as providers speak it.

https://huggingface.co/docs/inference-providers/tasks/chat-completion (2026-11)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from omnix_sandbox.faults import Fault
from omnix_sandbox.formats import Making, Refusal
from omnix_sandbox.huggingface import errors
from omnix_sandbox.huggingface.chunks import AskedChunks, Chunks, encode
from omnix_sandbox.huggingface.models import find, provider_of, served_as
from omnix_sandbox.openai import continuing
from omnix_sandbox.openai.events import call_id, finish_of, logprob_of, usage_of
from omnix_sandbox.openai.request import ChatRequest, Message, prompt_of
from omnix_sandbox.script import Answer, tokenize

_PLACE: Final = re.compile(r" - at `\$\.?(.*?)`$")


class RoutedMessage(Message, forbid_unknown_fields=False):
    """OpenAI's, and what providers' own dialects have, such as `reasoning`."""


class RoutedRequest(ChatRequest, forbid_unknown_fields=False):
    """OpenAI's parameters; providers pass over what they do not know."""

    messages: Annotated[list[RoutedMessage], Meta(min_length=1)]  # type: ignore[assignment]  # it is only read


class AskedRouted(AskedChunks):
    """A chat completion that the router hands to a provider."""

    def __init__(self, request: ChatRequest, provider: str | None) -> None:
        """`provider` is the address's, which goes before the model's suffix."""
        base, _, suffix = request.model.partition(":")
        model = find(base)
        if model is None:
            raise errors.unknown_model(base)
        served_by = provider_of(model, provider or suffix)
        if served_by is None:
            raise errors.unserved_model(request.model)
        self.request = request
        self.model = request.model
        self.stream = bool(request.stream)
        if (wrong := continuing.complaint(request)) is not None:
            raise errors.enveloped(400, wrong)
        self.prompt = continuing.begun(request, replace(prompt_of(request), model=base))
        self._provider = served_by
        self._served_as = served_as(base, served_by)

    @property
    def reasoning(self) -> str | None:
        return self.request.reasoning_effort

    @property
    def shows_reasoning(self) -> bool:
        return not self.steering.redacted

    def head_fields(self, making: Making) -> Mapping[str, str]:
        return {"x-inference-provider": self._provider}

    def prefix_refused(self) -> Refusal:
        return errors.enveloped(400, "This model cannot continue the final message.")

    def error_event(self, fault: Fault) -> bytes:
        return errors.router_error_event(fault)

    def chunks(self, making: Making) -> "RoutedChunks":
        return RoutedChunks(
            making,
            self._served_as,
            with_usage=self.request.includes_usage,
            logprobs=(self.request.top_logprobs or 0) if self.request.logprobs else None,
        )


class RoutedChunks(Chunks):
    """A provider's dialect: reasoning in `reasoning_content`, log probabilities as OpenAI tells them."""

    text_delta = b'{"content":"'

    def unary(self) -> bytes:
        told: dict[str, Any] = {
            "id": self._making.answer_id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
            "choices": [self._choice(at, answer) for at, answer in enumerate(self._making.answers)],
        }
        if self._making.billing is not None:
            told["usage"] = usage_of(self._making.billing)
        return encode(told)

    def _choice(self, at: int, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None if answer.tool_calls else answer.text}
        if _shown(answer):
            message["reasoning_content"] = answer.reasoning_text
        if answer.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call_id(call, self._making.answer_id or "", number),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments or ""},
                }
                for number, call in enumerate(answer.tool_calls)
            ]
        odds = self._odds(answer.tokens) if self._logprobs is not None else None
        return {"index": at, "message": message, "logprobs": odds, "finish_reason": finish_of(answer)}

    def _start(self) -> bytes:
        head = {
            "id": self._making.answer_id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        return b"data: " + encode(head)[:-1] + b',"choices":['

    def _end(self) -> bytes:
        return b',"usage":null}\n\n' if self._with_usage else b"}\n\n"

    def _shows(self, answer: Answer) -> bool:
        return bool(answer.tool_calls or _shown(answer))

    def _opening(self, at: int, answer: Answer) -> bytes:
        return self.event(at, {"role": "assistant", "content": ""})

    def _deltas(self, answer: Answer) -> Iterator[dict[str, Any]]:
        for token in _shown(answer):
            yield {"reasoning_content": token}
        for number, call in enumerate(answer.tool_calls):
            id_ = call_id(call, self._making.answer_id or "", number)
            function = {"name": call.name, "arguments": ""}
            yield {"tool_calls": [{"index": number, "id": id_, "type": "function", "function": function}]}
            for piece in tokenize(call.arguments or ""):
                yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
        for token in answer.tokens:
            yield {"content": token}

    def _finish(self, at: int, answer: Answer) -> bytes:
        return self.event(at, {}, finish_of(answer))

    def _usage(self) -> bytes:
        billing = self._making.billing
        return b"" if billing is None else self._before + b'],"usage":' + encode(usage_of(billing)) + b"}\n\n"

    def _odds(self, tokens: Sequence[str]) -> dict[str, Any]:
        return {"content": [logprob_of(token, self._logprobs or 0) for token in tokens]}


def _shown(answer: Answer) -> Sequence[str]:
    """The thoughts that are told."""
    return () if answer.redacted else answer.reasoning


def asked(body: bytes, provider: str | None) -> AskedRouted:
    """Read a request's body.

    Raises:
        Refusal: neither the router nor its providers would take it.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise errors.enveloped(400, f"Invalid JSON: {exc}") from exc
    if isinstance(value, dict) and not isinstance(value.get("model"), str):
        raise errors.enveloped(400, "Missing required parameter: 'model'.", param="model")
    try:
        request = msgspec.convert(_with_schema(value), RoutedRequest)
    except msgspec.ValidationError as exc:
        found = _PLACE.search(str(exc))
        raise errors.invalid_body(found[1] if found else "", _PLACE.sub("", str(exc))) from exc
    return AskedRouted(request, provider)


def _with_schema(value: Any) -> Any:
    """The body with its schema where OpenAI has it; huggingface_hub sends some as TGI wants them."""
    wanted = value.get("response_format") if isinstance(value, dict) else None
    if not isinstance(wanted, dict) or not isinstance(schema := wanted.get("value"), dict):
        return value
    named = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return {**value, "response_format": named}
