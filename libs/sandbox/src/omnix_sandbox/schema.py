"""A JSON value that fits a JSON Schema, made deterministically.

Understands what structured outputs allow: objects, arrays, strings with the common formats, numbers with bounds,
`enum`, `const`, `anyOf`, `oneOf`, `allOf` of objects, `$ref` into the same document, recursion.
"""

import math
import random
import re
from collections.abc import Mapping
from typing import Any, Final

MAX_DEPTH: Final = 32
MOST_VALUES: Final = 20_000
MOST_CHARACTERS: Final = 100_000
EASY_DEPTH: Final = 4  # from here on the shortest choice is taken, so that recursive schemas end

_FORMATS: Final = {
    "date-time": "2026-11-22T12:00:00Z",
    "date": "2026-11-22",
    "time": "12:00:00Z",
    "duration": "P1DT2H",
    "email": "anna@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/zürich",
    "uuid": "018f9c1e-7c3a-7b52-9d1f-2f6a1c0e4b77",
}
_CANDIDATES: Final = (
    "a",
    "A",
    "0",
    "1",
    "AB",
    "ABC",
    "abc",
    "12",
    "123",
    "1234",
    "12345",
    "abc-123",
    "ABC-123",
    "a@b.ch",
)
_WORDS: Final = ("Zürich", "naïve", "東京", "river 🚀", "größer", "plain", "你好", "café", 'with "quotes"')


class SchemaError(ValueError):
    """The schema asks for something no value is known for; the caller must use a simpler one."""


def value_of(schema: Mapping[str, Any], seed: int) -> Any:
    """Make a value that `schema` accepts.

    Raises:
        SchemaError: a pattern that cannot be met, a reference that leads nowhere, a schema without an end or sense.
    """
    try:
        return _Maker(schema, random.Random(seed)).make(schema, 0)  # noqa: S311 - a text is made, not a secret
    except SchemaError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, re.error) as exc:
        raise SchemaError(f"the schema makes no sense: {exc}") from exc


class _Maker:
    def __init__(self, root: Mapping[str, Any], rng: random.Random) -> None:
        self._root = root
        self._rng = rng
        self._made = 0

    def make(self, schema: Any, depth: int) -> Any:
        self._made += 1
        if depth > MAX_DEPTH or self._made > MOST_VALUES:
            raise SchemaError("the schema has no end, or asks for too much")
        if not isinstance(schema, Mapping):
            return None
        if isinstance(reference := schema.get("$ref"), str):
            return self.make(self._follow(reference), depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[self._draw(len(choices))]
        for key in ("anyOf", "oneOf"):
            if isinstance(options := schema.get(key), list) and options:
                return self._any(options, depth)
        if isinstance(parts := schema.get("allOf"), list) and parts:
            return self.make(self._all(schema, parts), depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "string")
        if isinstance(kind, list):
            return self._any([{**schema, "type": one} for one in kind], depth)
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return int(self._number(schema, 1))
            case "number":
                return self._number(schema, 0.25)
            case "boolean":
                return bool(self._draw(2))
            case "null":
                return None
            case _:
                raise SchemaError(f"type {kind!r} is not known")

    def _draw(self, number: int) -> int:
        return int(self._rng.random() * number)

    def _follow(self, reference: str) -> Any:
        node: Any = self._root
        for name in reference.removeprefix("#").split("/"):
            if name:
                node = node.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        if node is None:
            raise SchemaError(f"{reference!r} leads nowhere")
        return node

    def _any(self, options: list[Any], depth: int) -> Any:
        if depth < EASY_DEPTH:
            return self.make(options[self._draw(len(options))], depth + 1)
        for option in sorted(options, key=_weight):
            try:
                return self.make(option, depth + 1)
            except SchemaError:
                continue
        raise SchemaError("none of the alternatives has an end")

    @staticmethod
    def _all(schema: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in parts:
            if isinstance(part, Mapping):
                properties = {**merged.get("properties", {}), **part.get("properties", {})}
                merged |= part
                if properties:
                    merged["properties"] = properties
        return merged

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        return {
            name: self.make(part, depth + 1)
            for name, part in properties.items()
            if name in required or depth < EASY_DEPTH
        }

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(least, 3)))
        number = least if depth >= EASY_DEPTH else max(least, min(most, 1 + self._draw(3)))
        return [self.make(schema.get("items", {"type": "string"}), depth + 1) for _ in range(number)]

    def _string(self, schema: Mapping[str, Any]) -> str:
        least = int(schema.get("minLength", 0))
        most = int(schema.get("maxLength", max(least, 200)))
        if least > MOST_CHARACTERS:
            raise SchemaError(f"strings have at most {MOST_CHARACTERS} characters here")
        if isinstance(pattern := schema.get("pattern"), str):
            for candidate in (*_CANDIDATES, *_FORMATS.values(), *_WORDS):
                if re.search(pattern, candidate) and least <= len(candidate) <= most:
                    return candidate
            raise SchemaError(f"no text is known for the pattern {pattern!r}")
        if (known := _FORMATS.get(schema.get("format", ""))) is not None:
            return known
        text = _WORDS[self._draw(len(_WORDS))]
        while len(text) < least:
            text += " " + _WORDS[self._draw(len(_WORDS))]
        return text[:most]

    def _number(self, schema: Mapping[str, Any], step: float) -> float:
        step = schema.get("multipleOf", step)
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if low is None:
            low = min(0, high - 100 * step) if high is not None else 0
        if high is None:
            high = low + 100 * step
        first = math.ceil(low / step)
        last = math.floor(high / step)
        if first * step <= schema.get("exclusiveMinimum", -math.inf):
            first += 1
        if last * step >= schema.get("exclusiveMaximum", math.inf):
            last -= 1
        if first > last:
            raise SchemaError("no number fits the bounds")
        number: float = (first + self._draw(last - first + 1)) * step
        return number


def _weight(schema: Any) -> int:
    """How deep an alternative is likely to lead; null and plain values come first."""
    if not isinstance(schema, Mapping):
        return 0
    return {"null": 0, "boolean": 1, "integer": 1, "number": 1, "string": 1, "array": 2}.get(
        str(schema.get("type", "")), 3
    )
