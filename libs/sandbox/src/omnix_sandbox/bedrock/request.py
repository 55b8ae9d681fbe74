"""Converse's request, checked as Bedrock checks it, and what it says in the script's words."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec

from omnix_sandbox import script
from omnix_sandbox.bedrock import models
from omnix_sandbox.bedrock.errors import Refusal, extraneous, invalid, invalid_for_model, no_prefill
from omnix_sandbox.bedrock.models import Family
from omnix_sandbox.bedrock.thinking import Thinking, thinking_of
from omnix_sandbox.bedrock.wire import Block, ConverseRequest, Message, ToolResult
from omnix_sandbox.signatures import is_sealed, is_signed

MOST_IMAGES: Final = 20
MOST_DOCUMENTS: Final = 5

_decoder = msgspec.json.Decoder(ConverseRequest)
_PLACE: Final = re.compile(r" - at `\$\.?(.*?)`$")
_FIELD: Final = re.compile(r"Object (?:contains unknown|missing required) field `(.*?)`")
_INDEX: Final = re.compile(r"\[(\d+)\]")
_DOCUMENT_NAME: Final = re.compile(r"[A-Za-z0-9()\[\]-]+(?:\s[A-Za-z0-9()\[\]-]+)*")


def parse(body: bytes, model: str, *, stream: bool) -> tuple[ConverseRequest, Thinking]:
    """Read a request's body for a model.

    Raises:
        Refusal: Bedrock, or the model, would not take it.
    """
    try:
        request = _decoder.decode(body or b"{}")
    except msgspec.ValidationError as exc:
        raise _invalid(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refusal(400, "SerializationException", "The request body is not valid JSON.") from exc
    base = models.base_of(model)
    if not request.messages:
        raise invalid("The messages field is required. Add at least one message, and try again.")
    _check_capabilities(request, base, stream=stream)
    _check_conversation(request)
    thinking = thinking_of(request, base)
    _check_reasoning(request, base, thinking)
    _check_prefix(request, base)
    return request, thinking


def _invalid(text: str) -> Refusal:
    """Say it as AWS does; the decoder tells the place in its message and nowhere else."""
    place = _PLACE.search(text)
    path = place[1] if place else ""
    found = _FIELD.search(text)
    if found is not None and "unknown" in found[0]:
        pointer = _INDEX.sub(r".\1", path).replace(".", "/")
        return extraneous(f"/{pointer}" if pointer else "", found[1])
    if found is not None:
        path = f"{path}.{found[1]}" if path else found[1]
        reason = "Member must not be null"
    else:
        reason = text[: place.start()] if place else text
    member = _INDEX.sub(lambda index: f".{int(index[1]) + 1}.member", path)
    value = "null" if found is not None else "given"
    return invalid(f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {reason}")


def _check_capabilities(request: ConverseRequest, base: str, *, stream: bool) -> None:
    if request.system and not models.takes_system(base):
        raise invalid(
            "This model doesn't support system messages. Try again without a system message or use a model that "
            "supports system messages."
        )
    if request.tool_config is not None:
        if not models.takes_tools(base):
            raise invalid("This model doesn't support tool use.")
        if stream and not models.streams_tools(base):
            raise invalid("This model doesn't support tool use in streaming mode.")
    kinds = {kind for message in request.messages for block in message.content for kind in block.kinds()}
    if "image" in kinds and not models.takes_images(base):
        raise invalid("This model doesn't support the image content block that you provided.")
    if "document" in kinds and not models.takes_documents(base):
        raise invalid("This model doesn't support documents.")
    if request.output_config is not None and request.output_config.text_format is not None:
        schema = request.output_config.text_format.structure.json_schema
        if schema is None:
            raise invalid("The structure field of outputConfig.textFormat must be set.")
        _schema(schema.schema)


def _check_conversation(request: ConverseRequest) -> None:
    turns = [message for message in request.messages if message.role != "system"]
    if not turns or turns[0].role != "user":
        raise invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user "
            "message."
        )
    for before, after in pairwise(turns):
        if before.role == after.role:
            raise invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
                "between user and assistant roles and try again."
            )
    asked: set[str] = set()
    for at, message in enumerate(request.messages):
        place = f"messages.{at}.content"
        if not message.content:
            raise invalid(f"The content field in the Message object at messages.{at} is empty.")
        for number, block in enumerate(message.content):
            _check_block(block, f"{place}.{number}", message.role)
        asked = _check_tools(request, message, asked, place)
    if asked:
        raise invalid(
            f"Expected toolResult blocks at messages.{len(request.messages)}.content for the following Ids: "
            f"{', '.join(sorted(asked))}"
        )


def _check_block(block: Block, place: str, role: str) -> None:
    kinds = block.kinds()
    if len(kinds) != 1:
        raise invalid(f"The ContentBlock object at {place} must set one of the following keys: text, image, ...")
    match block:
        case Block(text=str(text)) if not text.strip():
            raise invalid(
                f"The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try "
                "again."
            )
        case Block(document=document) if document is not None and not _DOCUMENT_NAME.fullmatch(document.name):
            raise invalid(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                "parentheses, and square brackets. The name can't contain more than one consecutive whitespace "
                "character."
            )
        case Block(reasoning_content=reasoning) if reasoning is not None and role == "user":
            raise invalid("User messages cannot contain reasoning content. Remove the reasoning content and try again.")
        case Block(tool_use=use) if use is not None and role != "assistant":
            raise invalid(f"The toolUse block at {place} is only allowed in messages of the assistant.")
        case Block(tool_result=result) if result is not None and role != "user":
            raise invalid(f"The toolResult block at {place} is only allowed in messages of the user.")
        case _:
            pass


def _check_tools(request: ConverseRequest, message: Message, asked: set[str], place: str) -> set[str]:
    """The ids of the calls of this message; `asked` are those of the one before, which it must answer."""
    uses = [block.tool_use.tool_use_id for block in message.content if block.tool_use is not None]
    results = {block.tool_result.tool_use_id for block in message.content if block.tool_result is not None}
    if (uses or results) and request.tool_config is None:
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    if message.role == "system":
        return asked
    if results - asked:
        raise invalid(
            f"The number of toolResult blocks at {place} exceeds the number of toolUse blocks of previous turn."
        )
    if asked - results:
        raise invalid(
            f"Expected toolResult blocks at {place} for the following Ids: {', '.join(sorted(asked - results))}"
        )
    if len(uses) != len(set(uses)):
        raise invalid(f"The toolUse blocks at {place} contain duplicate Ids: {', '.join(sorted(uses))}")
    images = sum(block.image is not None for block in message.content)
    documents = sum(block.document is not None for block in message.content)
    if images > MOST_IMAGES or documents > MOST_DOCUMENTS:
        raise invalid(f"A message can have up to {MOST_IMAGES} images and {MOST_DOCUMENTS} documents.")
    if documents and not any(block.text is not None for block in message.content):
        raise invalid("A text content block must be included in a message with documents.")
    return set(uses)


def _check_reasoning(request: ConverseRequest, base: str, thinking: Thinking) -> None:
    """Claude takes its thoughts back unchanged or not at all."""
    family = models.family(base)
    if family not in (Family.CLAUDE, Family.SANDBOX):
        return
    for at, message in enumerate(request.messages):
        for number, block in enumerate(message.content):
            if (reasoning := block.reasoning_content) is None:
                continue
            place = f"messages.{at}.content.{number}"
            if (sealed := reasoning.redacted_content) is not None and not is_sealed(sealed):
                raise invalid_for_model(f"{place}: Invalid `data` in `redacted_thinking` block")
            if (told := reasoning.reasoning_text) is not None:
                if not told.signature:
                    raise invalid_for_model(f"{place}.thinking.signature: Field required")
                if not is_signed(told.text, told.signature):
                    raise invalid_for_model(f"{place}: Invalid `signature` in `thinking` block")
    if family is Family.CLAUDE and thinking.signed and (thinking.asked or "").isdigit():
        _check_thoughts_come_first(request.messages)


def _check_prefix(request: ConverseRequest, base: str) -> None:
    """What Claude has against a last message that is its own.

    The words are those of https://github.com/aws/aws-sdk-net/pull/4015.
    """
    last = request.messages[-1]
    if last.role != "assistant" or models.family(base) not in (Family.CLAUDE, Family.SANDBOX):
        return
    if not models.takes_prefix(base):
        raise no_prefill()
    text = last.content[-1].text
    if text is not None and text != text.rstrip():
        raise invalid_for_model("messages: final assistant content cannot end with trailing whitespace")


def _check_thoughts_come_first(messages: Sequence[Message]) -> None:
    """With a budget, the turn that goes on, after a tool's result or of itself, must show how it began."""
    at = len(messages) - 1
    if messages[at].role != "assistant":
        if at < 1 or not any(block.tool_result is not None for block in messages[at].content):
            return
        at -= 1
    first = messages[at].content[0]
    if first.reasoning_content is None:
        kind = "tool_use" if first.tool_use is not None else "text"
        raise invalid_for_model(
            f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{kind}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block "
            "(preceeding the lastmost set of `tool_use` and `tool_result` blocks). To avoid this requirement, disable "
            "`thinking`."
        )


def prompt_of(request: ConverseRequest, model: str) -> script.Prompt:
    """The request in the script's words."""
    config = request.inference_config
    choice = request.tool_config.tool_choice if request.tool_config is not None else None
    must_call = None
    if choice is not None and choice.any is not None:
        must_call = ""
    elif choice is not None and choice.tool is not None:
        must_call = choice.tool.name
    own = _claudes_choice(request)
    if own is not None and own.type != "auto":
        must_call = {"any": "", "tool": own.name}.get(own.type)
    output = request.output_config
    schema = output.text_format.structure.json_schema if output is not None and output.text_format is not None else None
    system = [script.Message("system", block.text) for block in request.system if block.text is not None]
    prompt = script.Prompt(
        messages=(*system, *(said for message in request.messages for said in _messages(message))),
        model=models.base_of(model),
        max_tokens=config.max_tokens,
        stop=tuple(config.stop_sequences or ()),
        tools=tuple(script.Tool(tool.name, tool.description or "", tool.input_schema.json) for tool in request.tools),
        may_call=own is None or own.type != "none",
        must_call=must_call,
        parallel_calls=own is None or not own.disable_parallel_tool_use,
        schema=None if schema is None else _schema(schema.schema),
    )
    return script.continuing(prompt)


class _ClaudesChoice(msgspec.Struct, forbid_unknown_fields=True):
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-tool-use.html."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool = False


def _claudes_choice(request: ConverseRequest) -> _ClaudesChoice | None:
    """What Claude is told in its own words beside Converse's, which goes before them."""
    told = (request.additional_model_request_fields or {}).get("tool_choice")
    if told is None:
        return None
    try:
        return msgspec.convert(told, _ClaudesChoice)
    except msgspec.ValidationError as exc:
        raise invalid_for_model(f"tool_choice: {exc}") from exc


def prompt_of_body(body: dict[str, Any], model: str) -> script.Prompt:
    """The same for what a test sends: the keywords of `client.converse`, bytes and all."""
    request, _ = parse(msgspec.json.encode({k: v for k, v in body.items() if k != "modelId"}), model, stream=False)
    return prompt_of(request, model)


def _messages(message: Message) -> list[script.Message]:
    """A tool's results are messages of their own, before what the user says with them."""
    said = [_result(block.tool_result) for block in message.content if block.tool_result is not None]
    rest = [block for block in message.content if block.tool_result is None and block.cache_point is None]
    if rest or not said:
        said.append(
            script.Message(
                message.role,
                "".join(block.text for block in rest if block.text is not None),
                sum(any((block.image, block.document, block.video, block.audio)) for block in rest),
                tuple(
                    script.ToolCall(block.tool_use.name, msgspec.json.encode(block.tool_use.input).decode())
                    for block in rest
                    if block.tool_use is not None
                ),
            )
        )
    return said


def _result(result: ToolResult) -> script.Message:
    text = "".join(
        block.text if block.text is not None else msgspec.json.encode(block.json).decode()
        for block in result.content
        if block.text is not None or block.json is not None
    )
    return script.Message(
        "tool", text, sum(any((block.image, block.document, block.video)) for block in result.content)
    )


def _schema(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise invalid("The schema of outputConfig.textFormat is not a JSON schema.") from exc
