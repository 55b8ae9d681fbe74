"""From OmniX's words to Gemini's: pure functions, with a table of cases each beside them in the tests.

What Gemini cannot say is refused by name. Four things are honoured without a word on the wire: a cache breakpoint,
because Gemini caches prefixes by itself; a file's name; ``end_user``, for which Gemini has no field; and labels that
Google Cloud's rules for labels do not allow, which are kept with the usage entry all the same.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, assert_never

import msgspec
from omnix_provider.beginning import prefix_of, unsupported_prefix
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    CompletionRequest,
    FormatKind,
    Message,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolChoice,
    ToolMode,
)

from omnix_adapter_gemini.contents import contents, instruction
from omnix_adapter_gemini.dialect import Service, continues, takes_alternatives
from omnix_adapter_gemini.media import unsupported
from omnix_adapter_gemini.thinking import thinking_config

Body = dict[str, Any]

_encode = msgspec.json.Encoder().encode

_SEEDS = range(-(2**31), 2**31)


def request_body(request: CompletionRequest, attempt: Attempt, service: Service) -> bytes:
    """The JSON body, the same for whole and streamed answers.

    :raises UnsupportedParameter: naming what Gemini, this service of it or this model cannot honour.
    :raises InvalidRequest: when JSON text in the request is none, or a tool's result has no call.
    """
    model = attempt.model
    told = instruction(request.messages)
    body: Body = {"contents": contents(_begun(request, attempt), model)}
    if told is not None:
        body["systemInstruction"] = told
    if request.tools:
        body["tools"] = [
            {"functionDeclarations": [_tool(tool, f"tools.{at}") for at, tool in enumerate(request.tools)]}
        ]
    choice = _tool_config(request)
    if choice is not None:
        body["toolConfig"] = {"functionCallingConfig": choice}
    config = _generation_config(request, attempt)
    if config:
        body["generationConfig"] = config
    if service is Service.CLOUD:
        labels = {name: value for name, value in request.metadata.items() if _LABEL.fullmatch(f"{name}={value}")}
        if labels:
            body["labels"] = labels
    _add_vendor_parameters(body, request, service)
    try:
        return _encode(body)
    except RecursionError as exc:
        raise InvalidRequest("The request is nested too deep.") from exc


def _begun(request: CompletionRequest, attempt: Attempt) -> Sequence[Message]:
    """The conversation, with the beginning of the answer at its end where the model is given one."""
    prefix = prefix_of(request, attempt)
    if not prefix:
        return request.messages
    if not continues(attempt.model):
        raise unsupported_prefix("This model continues no answer.")
    return (*request.messages, Message(Role.ASSISTANT, (Text(prefix),)))


_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}")
"""https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/add-labels-to-api-calls"""


def _generation_config(request: CompletionRequest, attempt: Attempt) -> Body:
    config: Body = {}
    sampling = request.sampling
    for name, value in (
        ("maxOutputTokens", request.max_output_tokens),
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("topK", sampling.top_k),
        ("frequencyPenalty", sampling.frequency_penalty),
        ("presencePenalty", sampling.presence_penalty),
        ("seed", request.seed),
    ):
        if value is not None:
            config[name] = value
    if request.seed is not None and request.seed not in _SEEDS:
        raise UnsupportedParameter("This provider takes a seed of 32 bits.", param="seed")
    if request.candidate_count is not None and request.candidate_count != 1:
        if not takes_alternatives(attempt.model):
            raise unsupported("n")
        config["candidateCount"] = request.candidate_count
    if request.stop:
        config["stopSequences"] = list(request.stop)
    if request.logprobs:
        config["responseLogprobs"] = True
        if request.top_logprobs is not None:
            config["logprobs"] = request.top_logprobs
    elif request.top_logprobs is not None:
        raise UnsupportedParameter("top_logprobs needs logprobs.", param="top_logprobs")
    if request.response_format is not None:
        _add_format(config, request.response_format)
    thinking = thinking_config(request, attempt)
    if thinking:
        config["thinkingConfig"] = thinking
    return config


def _add_format(config: Body, form: ResponseFormat) -> None:
    match form.kind:
        case FormatKind.TEXT:
            return
        case FormatKind.JSON:
            config["responseMimeType"] = "application/json"
        case FormatKind.JSON_SCHEMA:
            config["responseMimeType"] = "application/json"
            if form.schema_json:
                schema = decoded(form.schema_json, "response_format.json_schema.schema")
                if form.description and isinstance(schema, dict):
                    schema.setdefault("description", form.description)
                config["responseJsonSchema"] = schema
        case _:
            assert_never(form.kind)


def _tool(tool: Tool, where: str) -> Body:
    function: Body = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parametersJsonSchema"] = decoded(tool.parameters_json, f"{where}.function.parameters")
    return function


def _tool_config(request: CompletionRequest) -> Body | None:
    if request.parallel_tool_calls is False and request.tools:
        raise unsupported("parallel_tool_calls")
    # VALIDATED is AUTO held to the schemas, as ANY always is: https://ai.google.dev/api/caching#Mode
    held = any(tool.strict for tool in request.tools)
    choice = request.tool_choice
    if choice is None:
        return {"mode": "VALIDATED"} if held else None
    return _choice(choice, held=held)


def _choice(choice: ToolChoice, *, held: bool) -> Body:
    match choice.mode:
        case ToolMode.AUTO:
            return {"mode": "VALIDATED" if held else "AUTO"}
        case ToolMode.NONE:
            return {"mode": "NONE"}
        case ToolMode.REQUIRED:
            return {"mode": "ANY"}
        case ToolMode.NAMED:
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case _:
            assert_never(choice.mode)


_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "safetySettings": "safetySettings",
        "safety_settings": "safetySettings",
        "cachedContent": "cachedContent",
        "cached_content": "cachedContent",
    }
)
"""Vendor parameters that are passed on as they are, to both services."""
_TIERS: Mapping[object, str | None] = MappingProxyType(
    {"auto": None, "default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
)
"""https://ai.google.dev/gemini-api/docs/flex-inference; ``auto`` leaves it to the project."""


def _add_vendor_parameters(body: Body, request: CompletionRequest, service: Service) -> None:
    for name, text in request.vendor_parameters.items():
        value = decoded(text, name)
        field = _PARAMETERS.get(name)
        match name:
            case _ if field is not None:
                if field in body:
                    raise unsupported(name)
                body[field] = value
            case "service_tier" if isinstance(value, str) and value in _TIERS:
                tier = _TIERS[value]
                if tier is not None:
                    body["serviceTier"] = tier
            case "store" if service is Service.DEVELOPER and isinstance(value, bool):
                body["store"] = value
            case "store" if value is False:
                pass  # Google Cloud keeps no exchange for later use, and has no field to say so
            case _:
                raise unsupported(name)


def decoded(text: str, param: str) -> object:
    """Decoded and not spliced in as it is: what is no JSON must not break the body around it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidRequest(f"{param} is not valid JSON.", param=param) from exc
