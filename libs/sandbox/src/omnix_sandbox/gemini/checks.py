"""What Google refuses in a request that it could read."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from omnix_sandbox.gemini import thinking, turns
from omnix_sandbox.gemini.errors import Refusal, invalid_argument
from omnix_sandbox.gemini.models import Model, is_third
from omnix_sandbox.gemini.request import (
    VERTEX_ONLY,
    Blob,
    Content,
    FunctionDeclaration,
    GenerateContentRequest,
    GenerationConfig,
)
from omnix_sandbox.gemini.wire import read
from omnix_sandbox.steering import MODEL_PREFIX

MAX_STOPS: Final = 5
MAX_CANDIDATES: Final = 8
MAX_LOGPROBS: Final = 20
MAX_DECLARATIONS: Final = 512

_MEDIA: Final = re.compile(
    r"image/(png|jpe?g|webp|heic|heif|bmp)|audio/[\w.+-]+|video/[\w.+-]+|text/[\w.+-]+|application/(pdf|json|xml)"
)
_FUNCTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_ANSWERS: Final = frozenset({"", "text/plain", "application/json"})
_CACHED: Final = re.compile(r"(projects/[^/]+/locations/[^/]+/)?cachedContents/[^/]+")


def parse(body: bytes, model: Model, *, vertex: bool) -> GenerateContentRequest:
    """Read a request's body.

    Raises:
        Refusal: it is not a request that Google would take.
    """
    request = read(body, GenerateContentRequest, frozenset() if vertex else VERTEX_ONLY)
    complaints = [*_contents(request.contents, "contents"), *_functions(request), *_config(request.generation_config)]
    if not request.contents:
        complaints.insert(0, "contents: contents is not specified")
    if complaints:
        raise invalid_argument("".join(f"* GenerateContentRequest.{complaint}\n" for complaint in complaints))
    _check_together(request, model)
    thinking.check(model, request.thinking)
    turns.check(request.contents, model.name, vertex=vertex)
    return request


def _contents(contents: Sequence[Content], place: str) -> Iterator[str]:
    for at, content in enumerate(contents):
        if not content.parts:
            yield f"{place}[{at}].parts: contents.parts must not be empty."
        for number, part in enumerate(content.parts):
            where = f"{place}[{at}].parts[{number}]"
            data = part.data()
            if len(data) > 1:
                message = f"Invalid value at '{where}' (oneof), oneof field 'data' is already set."
                raise invalid_argument(f"{message} Cannot set '{data[1]}'")
            if not data:
                yield f"{where}.data: required oneof field 'data' must have one initialized field"
            if part.inline_data is not None:
                _check_media(part.inline_data)
            if part.function_response is not None and not part.function_response.name:
                yield f"{where}.function_response.name: Name cannot be empty."
            if part.function_call is not None and not part.function_call.name:
                yield f"{where}.function_call.name: Name cannot be empty."


def _check_media(blob: Blob) -> None:
    if not blob.data:
        raise invalid_argument("Unable to process input image. Please retry or report in https://ai.google.dev.")
    if not _MEDIA.fullmatch(blob.mime_type):
        raise invalid_argument(f"Unsupported MIME type: {blob.mime_type}")


def _functions(request: GenerateContentRequest) -> Iterator[str]:
    for at, tool in enumerate(request.tools):
        for number, declaration in enumerate(tool.function_declarations):
            yield from _declaration(declaration, f"tools[{at}].function_declarations[{number}]")
    if len(request.declarations) > MAX_DECLARATIONS:
        yield f"tools: at most {MAX_DECLARATIONS} function declarations are allowed."


def _declaration(declaration: FunctionDeclaration, place: str) -> Iterator[str]:
    if not _FUNCTION.fullmatch(declaration.name):
        yield (
            f"{place}.name: Invalid function name. Must start with a letter or an underscore. Must be alphameric "
            "(a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128."
        )
    parameters = declaration.parameters
    if parameters is not None and declaration.parameters_json_schema is not None:
        yield f"{place}.parameters: only one of parameters and parameters_json_schema can be set."
    if parameters is not None and parameters.type == "OBJECT" and not parameters.properties:
        yield f"{place}.parameters.properties: should be non-empty for OBJECT type"


def _config(config: GenerationConfig) -> Iterator[str]:
    place = "generation_config"
    ranges: tuple[tuple[str, float | None, float, float], ...] = (
        ("temperature", config.temperature, 0, 2),
        ("top_p", config.top_p, 0, 1),
        ("top_k", config.top_k, 1, 2**31 - 1),
        ("candidate_count", config.candidate_count, 1, MAX_CANDIDATES),
        ("max_output_tokens", config.max_output_tokens, 1, 2**31 - 1),
        ("presence_penalty", config.presence_penalty, -2, 2),
        ("frequency_penalty", config.frequency_penalty, -2, 2),
        ("logprobs", config.logprobs, 0, MAX_LOGPROBS),
    )
    for name, value, least, most in ranges:
        if value is not None and not least <= value <= most:
            yield f"{place}.{name}: {name} must be in the range [{least:g}, {most:g}]."
    if len(config.stop_sequences) > MAX_STOPS:
        yield f"{place}.stop_sequences: at most {MAX_STOPS} stop sequences are allowed."
    if any(not stop for stop in config.stop_sequences):
        yield f"{place}.stop_sequences: stop sequences must not be empty."
    if config.logprobs is not None and not config.response_logprobs:
        yield f"{place}.logprobs: logprobs is only allowed when response_logprobs is true."
    if config.response_mime_type not in _ANSWERS:
        yield f"{place}.response_mime_type: allowed mimetypes are `text/plain` and `application/json`."
    if config.response_schema is not None and config.response_json_schema is not None:
        yield f"{place}.response_schema: only one of response_schema and response_json_schema can be set."
    schema = config.response_schema is not None or config.response_json_schema is not None
    if schema and config.response_mime_type != "application/json":
        yield f"{place}.response_schema: only allowed when response_mime_type is `application/json`."


def _check_together(request: GenerateContentRequest, model: Model) -> None:
    """What does not go together, or not with this model."""
    config, calling = request.generation_config, request.calling
    if request.tool_config is not None and request.tool_config.function_calling_config and not request.declarations:
        raise invalid_argument("Function calling config is set without function_declarations.")
    if calling.allowed_function_names and calling.mode not in ("ANY", "VALIDATED"):
        raise invalid_argument("Allowed function names should only be set when function calling mode is ANY.")
    declared = {declaration.name for declaration in request.declarations}
    if unknown := [name for name in calling.allowed_function_names if name not in declared]:
        raise invalid_argument(f"Allowed function name {unknown[0]} is not among the function_declarations.")
    wants_json = config.response_mime_type == "application/json"
    if request.declarations and wants_json and not (is_third(model.name) or model.name.startswith(MODEL_PREFIX)):
        raise invalid_argument("Function calling with a response mime type: 'application/json' is unsupported")
    if modalities := [one for one in config.response_modalities if one not in ("TEXT", "MODALITY_UNSPECIFIED")]:
        raise invalid_argument(
            f"The requested combination of response modalities ({', '.join(modalities)}) is not supported by the "
            f"model. models/{model.name} accepts the following combination of response modalities:\n* TEXT\n"
        )
    _check_cache(request)


def _check_cache(request: GenerateContentRequest) -> None:
    if not request.cached_content:
        return
    if not _CACHED.fullmatch(request.cached_content):
        raise invalid_argument("Invalid CachedContent name.")
    if request.cached_content.endswith("/missing"):
        raise Refusal(403, "CachedContent not found (or permission denied)", "PERMISSION_DENIED")
    if request.system_instruction is not None or request.tools or request.tool_config is not None:
        raise invalid_argument(
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or "
            "tool_config.\n\nProposed fix: move those values to CachedContent from GenerateContent request."
        )
