"""Reads JSON as Google reads it into its messages.

Every name may be written in camel case or as in the proto, which google-genai mixes in one body; a null counts as
absent; all unknown names are refused together, each with its place; bytes are base64 of either alphabet; a whole number
may be a string or end in `.0`.
https://protobuf.dev/programming-guides/json/
"""

import re
import types
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from omnix_sandbox.gemini.errors import BadRequest, Refusal, invalid_argument

MAX_DEPTH: Final = 100

_PLACE = re.compile(r" - at `\$\.?(.*?)`$")
_TYPES: Final = {"int": "TYPE_INT32", "float": "TYPE_FLOAT", "str": "TYPE_STRING", "bool": "TYPE_BOOL"}
_ALPHABET: Final = str.maketrans("-_", "+/")

Base64 = Annotated[str, "base64"]
"""Bytes; left as they came, but refused if they can't be decoded."""


class Message(msgspec.Struct, rename="camel"):
    """A message of Google's; a field's Python name is the proto's."""


M = TypeVar("M", bound=Message)


def decoded(text: str) -> bytes:
    """Read base64 of either alphabet, with its padding or without.

    Raises:
        binascii.Error: it is neither.
    """
    return b64decode(text.translate(_ALPHABET) + "=" * (-len(text) % 4), validate=True)


def read(body: bytes, kind: type[M], hidden: frozenset[str] = frozenset()) -> M:
    """Read a body into a message; `hidden` are proto names that this surface does not know.

    Raises:
        Refusal: 400, as Google words it.
    """
    try:
        value = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise invalid_argument(f"Invalid JSON payload received. {exc}.") from exc
    walk = _Walk(hidden)
    named = walk.message(value, kind, "", 0)
    if walk.violations:
        raise BadRequest(walk.violations)
    try:
        return msgspec.convert(named, kind)
    except msgspec.ValidationError as exc:
        raise _invalid(str(exc), named) from exc


class _Field(NamedTuple):
    encoded: str
    proto: str
    message: type[Message] | None
    is_map: bool
    is_enum: bool
    is_number: bool
    is_base64: bool


@cache
def _fields(kind: type[Message]) -> Mapping[str, _Field]:
    """A message's fields by either of their names."""
    found: dict[str, _Field] = {}
    for info in msgspec.structs.fields(kind):
        leaves = list(_leaves(info.type))
        message = next((leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, Message)), None)
        field = _Field(
            info.encode_name,
            info.name,
            message,
            is_map=any(get_origin(part) is dict for part in _parts(info.type)),
            is_enum=any(get_origin(leaf) is Literal for leaf in leaves),
            is_number=int in leaves,
            is_base64=any(get_origin(part) is Annotated and "base64" in get_args(part) for part in _parts(info.type)),
        )
        found[info.encode_name] = found[info.name] = field
    return found


def _parts(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) in (Union, types.UnionType):
        return get_args(kind)
    return (kind,)


def _leaves(kind: Any) -> Iterator[Any]:
    """The types at the bottom of unions, lists and maps."""
    for part in _parts(kind):
        origin = get_origin(part)
        if origin in (list, tuple, Annotated):
            yield from _leaves(get_args(part)[0])
        elif origin is dict:
            yield from _leaves(get_args(part)[1])
        else:
            yield part


class _Walk:
    """Renames a body's fields and finds the unknown ones."""

    def __init__(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden
        self.violations: list[tuple[str, str]] = []

    def message(self, value: Any, kind: type[Message], place: str, depth: int) -> Any:
        if not isinstance(value, dict):
            return value  # of the wrong type, as will be told
        if depth > MAX_DEPTH:
            raise invalid_argument("Invalid JSON payload received. Message too deep. Max recursion depth reached.")
        fields = _fields(kind)
        renamed: dict[str, Any] = {}
        for name, child in value.items():
            field = fields.get(name)
            if field is None or field.proto in self._hidden:
                where = f" at '{place}'" if place else ""
                text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
                self.violations.append((place, text))
            elif child is not None:
                inner = f"{place}.{field.proto}" if place else field.proto
                renamed[field.encoded] = self._child(child, field, inner, depth + 1)
        return renamed

    def _child(self, value: Any, field: _Field, place: str, depth: int) -> Any:
        if field.is_map and field.message is not None and isinstance(value, dict):
            return {
                key: self.message(child, field.message, f"{place}[{at}].value", depth)
                for at, (key, child) in enumerate(value.items())
            }
        if isinstance(value, list) and (field.message is not None or field.is_enum):
            return [self._child(child, field, f"{place}[{at}]", depth) for at, child in enumerate(value)]
        if field.message is not None:
            return self.message(value, field.message, place, depth)
        if field.is_enum and isinstance(value, str):
            return value.upper()
        if field.is_number and isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value):
            return int(value)
        if field.is_number and isinstance(value, float) and value.is_integer():
            return int(value)
        if field.is_base64 and isinstance(value, str):
            try:
                decoded(value)
            except (Error, ValueError):
                text = f"Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed for \"{value[:64]}\""
                self.violations.append((place, text))
        return value


def _invalid(text: str, value: Any) -> Refusal:
    """Word a type error as Google does; the decoder tells the place in its message and nowhere else."""
    found = _PLACE.search(text)
    place = found[1] if found else ""
    wrong = value
    for step in re.findall(r"[^.\[\]]+", place):
        wrong = wrong[int(step)] if isinstance(wrong, list) else wrong.get(step) if isinstance(wrong, dict) else None
    proto = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", place)
    expected = re.match(r"Expected `(\w+)", text)
    type_ = _TYPES.get(expected[1], "type.googleapis.com/google.protobuf.Struct") if expected else "TYPE_ENUM"
    shown = msgspec.json.encode(wrong).decode()[:200]
    return BadRequest([(proto, f"Invalid value at '{proto}' ({type_}), {shown}")])
