"""A request in the script's words.

An answer depends on roles and texts alone, so a conversation has the same one here as in any other vendor's format:
`model` is the assistant, a function's response is a message of the tool with what it returned, thoughts do not count.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from omnix_sandbox import script
from omnix_sandbox.gemini import schemas
from omnix_sandbox.gemini.request import Content, FunctionResponse, GenerateContentRequest, Part

_ONLY_RESULT: Final = ("result", "output", "error")

_json = msgspec.json.Encoder(order="sorted").encode


def prompt_of(request: GenerateContentRequest, model: str) -> script.Prompt:
    config, calling = request.generation_config, request.calling
    declared = request.declarations
    must_call: str | None = None
    if calling.mode == "ANY":
        if calling.allowed_function_names:
            declared = [one for one in declared if one.name in calling.allowed_function_names]
        must_call = declared[0].name if len(declared) == 1 else ""
    return script.Prompt(
        messages=tuple(_messages(request)),
        model=model,
        max_tokens=config.max_output_tokens,
        stop=tuple(config.stop_sequences),
        choices=config.candidate_count or 1,
        tools=tuple(script.Tool(one.name, one.description, schemas.of_declaration(one)) for one in declared),
        may_call=calling.mode != "NONE",
        must_call=must_call,
        schema=schemas.of_answer(config),
    )


def text_of(content: Content) -> str:
    return "".join(part.text or "" for part in content.parts if not part.thought)


def is_media(part: Part) -> bool:
    return part.inline_data is not None or part.file_data is not None


def returned(response: FunctionResponse) -> str:
    """What a function returned: the text where it is wrapped as Google advises, otherwise all of it as JSON."""
    told = response.response or {}
    if len(told) == 1:
        [(name, value)] = told.items()
        if name in _ONLY_RESULT and isinstance(value, str):
            return value
    return _json(told).decode()


def _messages(request: GenerateContentRequest) -> Iterator[script.Message]:
    if request.system_instruction is not None:
        yield script.Message("system", text_of(request.system_instruction))
    for content in request.contents:
        yield from _of_content(content)


def _of_content(content: Content) -> Iterator[script.Message]:
    responses = [part.function_response for part in content.parts if part.function_response is not None]
    for response in responses:
        yield script.Message("tool", returned(response), len(response.parts))
    text, media = text_of(content), sum(is_media(part) for part in content.parts)
    if responses and not text and not media:
        return
    calls = tuple(
        script.ToolCall(call.name, msgspec.json.encode(call.args or {}).decode())
        for part in content.parts
        if (call := part.function_call) is not None
    )
    yield script.Message("assistant" if content.role == "model" else "user", text, media, calls)
