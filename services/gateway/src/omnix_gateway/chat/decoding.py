"""From the bytes of a body to a checked request, with every mistake named."""

import re
from typing import Final, TypeVar

import msgspec
from omnix_kit.errors import CallerError

from omnix_gateway.errors import invalid

T = TypeVar("T")

# Possessive, and content with an end that is missing: each byte is looked at once, whatever the body.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_OPENING_TO_ROUND: Final = bytes.maketrans(b"[{]}", b"(())")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))
_AT: Final = re.compile(r" - at `(key in )?\$(.*)`$")
_INDEX: Final = re.compile(r"\[(\d+|\.\.\.)\]")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(.*)`$", re.DOTALL)


def check_depth(body: bytes | bytearray, limit: int) -> None:
    """Refuse nesting deeper than ``limit`` without recursion and without decoding.

    Innermost pairs are removed ``limit`` times; what still pairs up was deeper.
    """
    if body.count(b"{") + body.count(b"[") <= limit:
        return
    brackets = _STRINGS.sub(b"", body).translate(_OPENING_TO_ROUND, _NOT_BRACKETS)
    for _ in range(limit):
        fewer = brackets.replace(b"()", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    if b"()" in brackets or brackets.count(b"(") > limit:
        raise invalid(f"The JSON is nested deeper than {limit} levels.")


def decode(body: bytes | bytearray, decoder: msgspec.json.Decoder[T], depth: int) -> T:
    """Decode a body.

    :raises CallerError: naming the field as OpenAI does, ``messages.0.content``.
    """
    check_depth(body, depth)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise named(str(exc)) from None
    except RecursionError:
        raise invalid(f"The JSON is nested deeper than {depth} levels.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise invalid(f"The body is not valid JSON: {exc}.") from None


def named(message: str) -> CallerError:
    """Tell a validation error with the path of the field in OpenAI's form."""
    path = ""
    found = _AT.search(message)
    if found is not None:
        path = _INDEX.sub(r".\1", found[2]).removeprefix(".")
        message = message[: found.start()]
    if unknown := _UNKNOWN.match(message):
        param = _joined(path, unknown[1])
        return invalid(f"Unknown parameter: '{param}'.", param)
    if missing := _MISSING.match(message):
        param = _joined(path, missing[1])
        return invalid(f"Missing required parameter: '{param}'.", param)
    where = f" for '{path}'" if path else ""
    return invalid(f"Invalid value{where}: {message.replace('`', chr(39))}.", path or None)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name[:100]}" if path else name[:100]
