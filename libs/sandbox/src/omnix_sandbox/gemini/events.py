"""The bytes of generated content: one object, or the events of a stream.

A stream has no end marker: its last event tells the finish reason and the whole usage, and an empty text with it.
Events are glued from prepared pieces, because encoding JSON for each token would cost more than sending it.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from itertools import zip_longest
from typing import Any, Final

import msgspec

from omnix_sandbox.formats import Making, StreamBytes
from omnix_sandbox.gemini import turns
from omnix_sandbox.gemini.frames import Frames
from omnix_sandbox.gemini.models import Model, is_second, is_third, version_of
from omnix_sandbox.gemini.usage import usage_of
from omnix_sandbox.openai.events import logprob_of
from omnix_sandbox.script import Answer, FinishReason, ToolCall, count_tokens
from omnix_sandbox.steering import MODEL_PREFIX
from omnix_sandbox.words import ring_tokens

Step = str | list[dict[str, Any]]
"""What one event adds to a candidate: a token of text, or parts."""

_FINISHES: Final = {
    FinishReason.STOP: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
}
_MESSAGES: Final = {
    "MALFORMED_FUNCTION_CALL": "Malformed function call: print(default_api.get_weather(city=",
    "UNEXPECTED_TOOL_CALL": "Unexpected tool call: default_api:get_weather",
}
UNSAFE: Final = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}

_ESCAPED: Final = [(mark.encode(), b"\\u%04x" % ord(mark)) for mark in "<>&'="]


def escaped(data: bytes) -> bytes:
    """JSON with what HTML could take for its own written as Google writes it; only texts have such marks."""
    for mark, code in _ESCAPED:
        if mark in data:
            data = data.replace(mark, code)
    return data


def dumped(value: object) -> bytes:
    """JSON on one line, spaced as Google spaces it."""
    return escaped(json.dumps(value, ensure_ascii=False, separators=(",", ": ")).encode())


def pretty(value: object) -> bytes:
    return escaped(msgspec.json.format(msgspec.json.encode(value), indent=2)) + b"\n"


def _inside(text: str) -> bytes:
    """The text as it stands between the quotes of a JSON string."""
    return escaped(msgspec.json.encode(text)[1:-1])


@cache
def _ring() -> Mapping[str, bytes]:
    return {token: _inside(token) for token in set(ring_tokens())}


def call_id(answer_id: str, choice: int, at: int) -> str:
    return blake2b(f"{answer_id}/{choice}/{at}".encode(), digest_size=4).hexdigest()


class Events:
    """Makes the bytes of one answer."""

    def __init__(
        self,
        model: Model,
        making: Making,
        media: Mapping[str, int],
        *,
        vertex: bool,
        shows_thoughts: bool,
        thinks: bool,
        logprobs: int | None,
    ) -> None:
        self._model = model
        self._making = making
        self._media = media
        self._vertex = vertex
        self._shows_thoughts = shows_thoughts
        self._thinks = thinks
        self._logprobs = logprobs
        self._answer_id = making.answer_id or ""
        self._has_ids = is_third(model.name) or model.name.startswith(MODEL_PREFIX)

    def unary(self) -> bytes:
        candidates = [self._candidate(at, answer) for at, answer in enumerate(self._making.answers)]
        return pretty({"candidates": candidates, **self._usage(), **self._rest()})

    def stream(self, frames: Frames) -> StreamBytes:
        answers = self._making.answers
        is_text = not any(answer.tool_calls for answer in answers)
        tails = list(self._tails(frames, is_text))
        finish = {"candidates": [self._last(at, answer) for at, answer in enumerate(answers)]}
        return StreamBytes(
            content_type=frames.content_type,
            opening=frames.opening,
            prefix=frames.before + _BEFORE_TEXT if is_text else b"",
            tails=tails,
            finish=frames.final(dumped({**finish, **self._usage(), **self._rest()})),
            done=frames.done,
            tells_usage=self._making.billing is not None,
            stampable=is_text,
        )

    def _rest(self) -> dict[str, Any]:
        rest: dict[str, Any] = {"modelVersion": version_of(self._model.name)}
        if self._vertex:
            rest["createTime"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {**rest, "responseId": self._answer_id}

    def _usage(self) -> dict[str, Any]:
        billing = self._making.billing
        return {} if billing is None else {"usageMetadata": usage_of(billing, self._media, vertex=self._vertex)}

    def _signature(self, choice: int, answer: Answer) -> str | None:
        """The signature of an answer's thought, where its model gives one."""
        if answer.tool_calls:
            return turns.sign(self._answer_id, choice) if self._thinks else None
        if is_third(self._model.name) or (answer.reasoning and not is_second(self._model.name)):
            return turns.sign(self._answer_id, choice)
        return None

    def _calls(self, choice: int, answer: Answer) -> list[dict[str, Any]]:
        """The parts of an answer's calls; the first of parallel ones has the signature."""
        parts = [self._call(choice, at, call) for at, call in enumerate(answer.tool_calls)]
        if parts and (signature := self._signature(choice, answer)) is not None:
            parts[0]["thoughtSignature"] = signature
        return parts

    def _call(self, choice: int, at: int, call: ToolCall) -> dict[str, Any]:
        told: dict[str, Any] = {"name": call.name, "args": msgspec.json.decode(call.arguments or "{}")}
        if self._has_ids:
            told["id"] = call_id(self._answer_id, choice, at)
        return {"functionCall": told}

    def _finish(self, answer: Answer) -> dict[str, Any]:
        reason = answer.finish_as or _FINISHES[answer.finish]
        told: dict[str, Any] = {"finishReason": reason}
        if reason in _MESSAGES:
            told["finishMessage"] = _MESSAGES[reason]
        if reason == "SAFETY":
            told["safetyRatings"] = [UNSAFE]
        return told

    def _candidate(self, at: int, answer: Answer) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        if self._shows_thoughts and answer.reasoning:
            parts.append({"text": answer.reasoning_text, "thought": True})
        parts += self._calls(at, answer)
        if answer.text:
            parts.append({"text": answer.text})
        if not answer.tool_calls and (signature := self._signature(at, answer)) is not None:
            if not answer.text:
                parts.append({"text": ""})
            parts[-1]["thoughtSignature"] = signature
        content: dict[str, Any] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
        candidate = {"content": content, **self._finish(answer), "index": at}
        if self._logprobs is not None and answer.tokens:
            candidate |= self._probabilities(answer.tokens)
        return candidate

    def _last(self, at: int, answer: Answer) -> dict[str, Any]:
        """What a stream's last event tells of a candidate."""
        part: dict[str, Any] = {"text": ""}
        if not answer.tool_calls and (signature := self._signature(at, answer)) is not None:
            part["thoughtSignature"] = signature
        return {"content": {"parts": [part], "role": "model"}, **self._finish(answer), "index": at}

    def _probabilities(self, tokens: Sequence[str]) -> dict[str, Any]:
        chosen, top = [], []
        for token in tokens:
            told = logprob_of(token, self._logprobs or 0)
            others = [_probability(other) for other in told["top_logprobs"]]
            chosen.append(_probability(told))
            top.append({"candidates": others} if others else {})
        total = sum(one["logProbability"] for one in chosen)
        result = {"topCandidates": top, "chosenCandidates": chosen, "logProbabilitySum": total}
        return {"avgLogprobs": total / len(tokens), "logprobsResult": result}

    def _steps(self, choice: int, answer: Answer) -> Iterator[tuple[int, Step, int, bool]]:
        """Each event's choice, what it adds, how many tokens that is, and whether it is thought."""
        if self._shows_thoughts:
            for token in answer.reasoning:
                yield choice, token, 1, True
        calls = self._calls(choice, answer)
        sizes = [1 + count_tokens(call.arguments or "") for call in answer.tool_calls]
        if calls and is_second(self._model.name):
            yield choice, calls, sum(sizes), False
        else:
            for part, size in zip(calls, sizes, strict=True):
                yield choice, [part], size, False
        for token in answer.tokens:
            yield choice, token, 1, False

    def _tails(self, frames: Frames, is_text: bool) -> Iterator[bytes]:
        """The events; without what is in front of the text where all of them are texts."""
        ring = _ring()
        steps = [self._steps(at, answer) for at, answer in enumerate(self._making.answers)]
        rest = b"," + dumped(self._rest())[1:-1] + b"}"
        said = thought = 0
        for row in zip_longest(*steps):
            for choice, step, size, is_thought in (one for one in row if one is not None):
                said, thought = (said, thought + size) if is_thought else (said + size, thought)
                after = b'"index": %d}]%b%b%b' % (choice, self._running(said, thought), rest, frames.after)
                if not isinstance(step, str):
                    candidate = b'{"candidates": [{"content": ' + dumped({"parts": step, "role": "model"})
                    yield frames.before + candidate + b"," + after
                    continue
                found = ring.get(step)
                inside = _inside(step) if found is None else found
                flag = b',"thought": true' if is_thought else b""
                odds = b""
                if self._logprobs is not None and not is_thought:
                    odds = dumped(self._probabilities([step]))[1:-1] + b","
                tail = b'%b"%b}],"role": "model"},%b%b' % (inside, flag, odds, after)
                yield tail if is_text else frames.before + _BEFORE_TEXT + tail

    def _running(self, said: int, thought: int) -> bytes:
        """The usage so far, of what was shown; Vertex AI tells none before the end."""
        billing = self._making.billing
        if billing is None:
            return b""
        if self._vertex:
            return b',"usageMetadata": {"trafficType": "ON_DEMAND"}'
        parts = [b'"promptTokenCount": %d' % billing.input_tokens]
        if said:
            parts.append(b'"candidatesTokenCount": %d' % said)
        parts.append(b'"totalTokenCount": %d' % (billing.input_tokens + said + thought))
        if thought:
            parts.append(b'"thoughtsTokenCount": %d' % thought)
        return b',"usageMetadata": {' + b",".join(parts) + b"}"


_BEFORE_TEXT: Final = b'{"candidates": [{"content": {"parts": [{"text": "'


def _probability(told: Mapping[str, Any]) -> dict[str, Any]:
    token = told["token"]
    number = int.from_bytes(blake2b(token.encode(), digest_size=2).digest(), "big")
    return {"token": token, "tokenId": number, "logProbability": told["logprob"]}
