"""A conversation as Converse has it: system texts apart, roles in turn, results of tools in the user's.

https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import assert_never

from msgspec import Raw
from omnix_provider.errors import InvalidRequest
from omnix_provider.types import (
    Audio,
    CacheBreakpoint,
    File,
    Image,
    Message,
    Part,
    Reasoned,
    Role,
    Text,
    ToolCall,
)

from omnix_adapter_bedrock.families import Family, Kind
from omnix_adapter_bedrock.translate.media import Documents, audio_block, image_block
from omnix_adapter_bedrock.translate.saying import Body, json_text, unsupported

_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_MISTRALS_ID = re.compile(r"[a-zA-Z0-9]{9}")
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TIMES = {timedelta(minutes=5): "5m", timedelta(hours=1): "1h"}
_NOTHING = Raw(b"{}")


def cache_point(cache: CacheBreakpoint, family: Family, where: str) -> Body:
    """:raises UnsupportedParameter: for a time that Bedrock does not know."""
    point: Body = {"type": "default"}
    if cache.ttl is not None:
        word = _TIMES.get(cache.ttl)
        if word is None or (word != "5m" and not family.caches_tools):
            raise unsupported(f"{where}.prompt_cache_breakpoint.ttl")
        point["ttl"] = word
    return {"cachePoint": point}


class Conversation:
    """``system`` and ``messages`` of a body.

    Neighbours of one role become one message, as Converse demands, and blank texts, which it refuses, are left out.
    """

    def __init__(self, family: Family, provider: str) -> None:
        self.system: list[Body] = []
        self.messages: list[Body] = []
        self.called: dict[str, None] = {}
        """Names of the tools that were called, in order."""
        self._family = family
        self._provider = provider
        self._documents = Documents()

    def add(self, message: Message, where: str) -> None:
        if message.name and message.role is not Role.TOOL:
            raise unsupported(f"{where}.name")
        match message.role:
            case Role.SYSTEM | Role.DEVELOPER:
                self._system(message.parts, where)
            case Role.USER:
                self._append("user", self._parts(message.parts, where))
            case Role.TOOL:
                self._append("user", self._tool_result(message, where))
            case Role.ASSISTANT:
                self._append("assistant", self._assistant(message, where))
            case _:
                assert_never(message.role)

    def begin_answer(self, prefix: str) -> None:
        """Put down how the answer begins, behind what the conversation may have of it already."""
        self._append("assistant", [{"text": prefix}] if prefix else [])

    def _append(self, role: str, content: list[Body]) -> None:
        if not content:
            return  # nothing was said, which Converse has no form for
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += content
        else:
            self.messages.append({"role": role, "content": content})

    def _system(self, parts: Sequence[Part], where: str) -> None:
        for position, part in enumerate(parts):
            at = f"{where}.content.{position}"
            if not isinstance(part, Text):
                raise unsupported(at)
            if part.text.strip():
                self.system.append({"text": part.text})
            self._mark(self.system, part.cache, at)

    def _assistant(self, message: Message, where: str) -> list[Body]:
        content = [block for piece in message.reasoning if (block := self._reasoning(piece, where)) is not None]
        for position, part in enumerate(message.parts):
            at = f"{where}.content.{position}"
            if not isinstance(part, Text):
                raise unsupported(at)
            if part.text.strip():
                content.append({"text": part.text})
            self._mark(content, part.cache, at)
        if message.refusal.strip():
            content.append({"text": message.refusal})
        for position, call in enumerate(message.tool_calls):
            content.append(self._tool_use(call, f"{where}.tool_calls.{position}"))
        return content

    def _reasoning(self, piece: Reasoned, where: str) -> Body | None:
        """What Bedrock signed or sealed goes back as it came; what others thought is theirs to read and left out."""
        if piece.provider not in ("", self._provider):
            return None
        if piece.redacted:
            return {"reasoningContent": {"redactedContent": piece.redacted}}
        if not piece.signature:
            return None
        try:
            signature = piece.signature.decode()
        except UnicodeDecodeError as exc:
            param = f"{where}.reasoning_details"
            raise InvalidRequest("The signature is not Bedrock's.", param=param) from exc
        return {"reasoningContent": {"reasoningText": {"text": piece.text, "signature": signature}}}

    def _tool_use(self, call: ToolCall, where: str) -> Body:
        name = f"{where}.function.name"
        if not TOOL_NAME.fullmatch(call.name):
            raise unsupported(name, "A tool's name is 1 to 64 letters, digits, hyphens and underscores.")
        self.called[call.name] = None
        text = call.arguments_json
        return {
            "toolUse": {
                "toolUseId": self._tool_use_id(call.id, f"{where}.id"),
                "name": call.name,
                "input": json_text(text, f"{where}.function.arguments") if text.strip() else _NOTHING,
            }
        }

    def _tool_result(self, message: Message, where: str) -> list[Body]:
        content: list[Body] = []
        last: CacheBreakpoint | None = None
        for position, part in enumerate(message.parts):
            at = f"{where}.content.{position}"
            if isinstance(part, Audio):
                raise unsupported(at)
            if not isinstance(part, Text) or part.text:
                content.append(self._block(part, at))
            last = part.cache or last
        result: Body = {
            "toolUseId": self._tool_use_id(message.tool_call_id, f"{where}.tool_call_id"),
            "content": content,
        }
        if message.tool_failed:
            result["status"] = "error"
        blocks: list[Body] = [{"toolResult": result}]
        self._mark(blocks, last, where)
        return blocks

    def _parts(self, parts: Sequence[Part], where: str) -> list[Body]:
        content: list[Body] = []
        for position, part in enumerate(parts):
            at = f"{where}.content.{position}"
            if not isinstance(part, Text) or part.text.strip():
                content.append(self._block(part, at))
            self._mark(content, part.cache, at)
        return content

    def _block(self, part: Part, where: str) -> Body:
        match part:
            case Text():
                return {"text": part.text}
            case Image():
                return image_block(part, where)
            case Audio():
                return audio_block(part, where)
            case File():
                return self._documents.block(part, where)
            case _:
                assert_never(part)

    def _mark(self, blocks: list[Body], cache: CacheBreakpoint | None, where: str) -> None:
        """A model without cache points answers the same without them."""
        if cache is not None and blocks and "cachePoint" not in blocks[-1] and self._family.caches:
            blocks.append(cache_point(cache, self._family, where))

    def _tool_use_id(self, given: str, param: str) -> str:
        """An id that the model would not take gets one of ours in its place, the same for the call and its result.

        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html says what Bedrock takes.
        Mistral takes nothing but nine letters and digits, which even Bedrock's own ids are not:
        https://github.com/vercel/ai/issues/11802.
        """
        if not given:
            raise InvalidRequest(f"{param} is missing.", param=param)
        mistral = self._family.kind is Kind.MISTRAL
        if (_MISTRALS_ID if mistral else _TOOL_USE_ID).fullmatch(given):
            return given
        digest = sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
        return digest[:9] if mistral else f"call_{digest[:32]}"
