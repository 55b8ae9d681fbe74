import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest
from omnix_sandbox.schema import SchemaError, value_of
from pydantic import BaseModel, Field


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Leaf(BaseModel):
    kind: Literal["leaf"]
    size: Annotated[int, Field(gt=3, le=9, multiple_of=2)]


class Node(BaseModel):
    name: Annotated[str, Field(min_length=12, max_length=40)]
    colour: Colour
    day: datetime.date
    ratio: Annotated[float, Field(ge=0.5, lt=2)]
    next: Optional["Node"]
    parts: Annotated[list["Node | Leaf"], Field(min_length=0, max_length=3)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+$")]
    flag: bool | None


@pytest.mark.parametrize("seed", range(40))
def test_values_fit_their_schema(seed: int) -> None:
    value = value_of(Node.model_json_schema(), seed)

    Node.model_validate(value)
    assert value == value_of(Node.model_json_schema(), seed)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^x{77}$"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "colour"},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"type": 5},
    ],
)
def test_a_schema_without_a_known_value_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        value_of(schema, 1)
