"""TGI's chat request, checked as TGI checks it.

Unknown fields are passed over; what is of the wrong type is a 422 of plain text, before anything else is looked at.
https://github.com/huggingface/text-generation-inference/blob/main/router/src/lib.rs,
https://github.com/huggingface/text-generation-inference/blob/main/router/src/validation.rs
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from omnix_sandbox import script
from omnix_sandbox.huggingface import errors

MAX_STOPS: Final = 4
MAX_ALTERNATIVES: Final = 5

Unsigned = Annotated[int, Meta(ge=0)]


class Url(msgspec.Struct):
    url: str


class Chunk(msgspec.Struct):
    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: Url | None = None


class Function(msgspec.Struct):
    """A function's declaration or call; `parameters` is another name for `arguments`."""

    name: str
    description: str | None = None
    arguments: Any = None
    parameters: Any = None


class ToolCall(msgspec.Struct):
    id: str
    type: str
    function: Function


class Message(msgspec.Struct):
    role: str
    content: str | list[Chunk] | None = None
    tool_calls: list[ToolCall] | None = None
    name: str | None = None


class Tool(msgspec.Struct):
    type: str
    function: Function


class NamedFunction(msgspec.Struct):
    name: str


class Choice(msgspec.Struct):
    type: Literal["function"]
    function: NamedFunction


class Grammar(msgspec.Struct):
    type: Literal["json", "json_object", "regex", "json_schema"]
    value: Any


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChatRequest(msgspec.Struct):
    messages: list[Message]
    model: str | None = None
    frequency_penalty: float | None = None
    logit_bias: list[float] | None = None
    logprobs: bool | None = None
    top_logprobs: Unsigned | None = None
    max_tokens: Unsigned | None = None
    max_completion_tokens: Unsigned | None = None
    n: Unsigned | None = None
    presence_penalty: float | None = None
    stop: list[str] | None = None
    stream: bool = False
    seed: Unsigned | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Tool] | None = None
    tool_prompt: str | None = None
    tool_choice: str | Choice | None = None
    response_format: Grammar | None = None
    stream_options: StreamOptions = msgspec.field(default_factory=StreamOptions)

    @property
    def limit(self) -> int | None:
        return self.max_tokens if self.max_tokens is not None else self.max_completion_tokens

    @property
    def chosen(self) -> str:
        """`auto`, `none`, `required`, or the name of a tool."""
        match self.tool_choice:
            case None:
                return "auto"
            case str(word):
                return word
            case Choice(function=NamedFunction(name=name)):
                return name

    def next_call(self) -> str:
        """The id of a streamed call: numbers go on from the conversation's."""
        numbers = [int(call.id) for message in self.messages for call in message.tool_calls or () if call.id.isdigit()]
        return str(max(numbers, default=-1) + 1)


_decoder = msgspec.json.Decoder(ChatRequest)


def parse(body: bytes) -> ChatRequest:
    """Read a request's body as far as its types go.

    Raises:
        Refusal: it is no request of TGI's.
    """
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise errors.plain(422, f"Failed to deserialize the JSON body into the target type: {exc}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise errors.plain(400, f"Failed to parse the request body as JSON: {exc}") from exc
    for at, message in enumerate(request.messages):
        if message.content is None and message.tool_calls is None:
            raise errors.plain(
                422,
                "Failed to deserialize the JSON body into the target type: "
                f"messages[{at}]: data did not match any variant of untagged enum MessageBody",
            )
    _check_tools(request)
    return request


def _check_tools(request: ChatRequest) -> None:
    if request.response_format is not None and request.tools is not None:
        raise errors.invalid_tools("Grammar and tools are mutually exclusive")
    names = {tool.function.name for tool in request.tools or ()}
    if request.tools and request.chosen not in ("auto", "none", "required", *names):
        raise errors.invalid_tools(f"Tool with name {request.chosen} not found")


def complaint(request: ChatRequest) -> str | None:
    """What TGI's validation has against a request; told as an event where it streams."""
    return next(_complaints(request), None)


def _complaints(request: ChatRequest) -> Iterator[str]:
    if not any(message.content or message.tool_calls for message in request.messages):
        yield "`inputs` cannot be empty"
    if request.temperature is not None and request.temperature < 0:
        yield "`temperature` must be strictly positive"
    if request.top_p is not None and not 0 < request.top_p < 1:
        yield "`top_p` must be > 0.0 and < 1.0"
    if request.frequency_penalty is not None and not -2 <= request.frequency_penalty <= 2:
        yield "`frequency_penalty` must be >= -2.0 and <= 2.0"
    if request.presence_penalty is not None and request.presence_penalty <= -2:
        yield "`repetition_penalty` must be strictly positive"
    if request.limit == 0:
        yield "`max_new_tokens` must be strictly positive"
    if (number := len(request.stop or ())) > MAX_STOPS:
        yield f"`stop` supports up to {MAX_STOPS} stop sequences. Given: {number}"
    if request.top_logprobs is not None and request.top_logprobs > MAX_ALTERNATIVES:
        yield f"`top_n_tokens` must be >= 0 and <= {MAX_ALTERNATIVES}. Given: {request.top_logprobs}"
    if request.response_format is not None and request.response_format.type == "regex":
        yield "grammar is not supported"
    if request.response_format is not None and _schema(request.response_format) is None:
        yield "grammar is not valid: the schema must be an object"


def _schema(grammar: Grammar) -> Mapping[str, Any] | None:
    value = grammar.value
    if grammar.type == "json_schema" and isinstance(value, dict):
        value = value.get("schema")
    return value if isinstance(value, dict) else None


def prompt_of(request: ChatRequest, model: str) -> script.Prompt:
    """The request in the script's words; TGI calls one tool at most and has no choices."""
    chosen = request.chosen
    tools = tuple(
        script.Tool(one.function.name, one.function.description or "", _parameters(one.function))
        for one in request.tools or ()
    )
    return script.Prompt(
        messages=tuple(_message(message) for message in request.messages),
        model=model,
        max_tokens=request.limit,
        stop=tuple(request.stop or ()),
        tools=tools,
        may_call=chosen != "none",
        must_call={"auto": None, "none": None, "required": ""}.get(chosen, chosen) if tools else None,
        parallel_calls=False,
        schema=_schema(request.response_format) if request.response_format is not None else None,
    )


def _parameters(function: Function) -> Mapping[str, Any] | None:
    given = function.arguments if function.arguments is not None else function.parameters
    return given if isinstance(given, dict) else None


def _message(message: Message) -> script.Message:
    calls = tuple(script.ToolCall(call.function.name, _arguments(call.function)) for call in message.tool_calls or ())
    if not isinstance(message.content, list):
        return script.Message(message.role, message.content or "", 0, calls)
    text = "".join(chunk.text or "" for chunk in message.content)
    return script.Message(message.role, text, sum(chunk.type == "image_url" for chunk in message.content), calls)


def _arguments(function: Function) -> str:
    given = _parameters(function) if not isinstance(function.arguments, str) else function.arguments
    return given if isinstance(given, str) else msgspec.json.encode(given or {}).decode()
