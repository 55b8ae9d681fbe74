"""Google's schema as JSON Schema."""

from collections.abc import Mapping
from typing import Any, Final

from omnix_sandbox.gemini.request import FunctionDeclaration, GenerationConfig, Schema

_SAME: Final = (
    ("format", "format"),
    ("title", "title"),
    ("description", "description"),
    ("enum", "enum"),
    ("required", "required"),
    ("pattern", "pattern"),
    ("default", "default"),
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("additional_properties", "additionalProperties"),
    ("ref", "$ref"),
)


def json_schema(schema: Schema) -> dict[str, Any]:
    """The same in JSON Schema's words."""
    told: dict[str, Any] = {}
    if schema.type is not None and schema.type != "TYPE_UNSPECIFIED":
        kind = schema.type.lower()
        told["type"] = [kind, "null"] if schema.nullable else kind
    told |= {name: value for field, name in _SAME if (value := getattr(schema, field)) is not None}
    if schema.properties is not None:
        told["properties"] = {name: json_schema(child) for name, child in schema.properties.items()}
    if schema.items is not None:
        told["items"] = json_schema(schema.items)
    if schema.any_of is not None:
        told["anyOf"] = [json_schema(child) for child in schema.any_of]
    if schema.prefix_items is not None:
        told["prefixItems"] = [json_schema(child) for child in schema.prefix_items]
    if schema.defs is not None:
        told["$defs"] = {name: json_schema(child) for name, child in schema.defs.items()}
    return told


def of_declaration(declaration: FunctionDeclaration) -> Mapping[str, Any] | None:
    """The schema of a function's arguments; None where it takes none."""
    if declaration.parameters_json_schema is not None:
        return declaration.parameters_json_schema
    return json_schema(declaration.parameters) if declaration.parameters is not None else None


def of_answer(config: GenerationConfig) -> Mapping[str, Any] | None:
    """What the answer must be: None for a text, an empty schema for any JSON object."""
    if config.response_json_schema is not None:
        return config.response_json_schema
    if config.response_schema is not None:
        return json_schema(config.response_schema)
    return {} if config.response_mime_type == "application/json" else None
