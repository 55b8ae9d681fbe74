"""The form of an answer: JSON, its end, its length, and how its tokens are drawn."""

# ruff: noqa: S101 - these are tests

import json

from omnix.completion.v1 import completion_pb2 as pb

from omnix_provider.conformance.asking import WEATHER, question, values
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Form and sampling")


@behaviour("plain text, asked for by name")
async def test_text_format(vendor: Vendor) -> None:
    request = question("Something.")
    request.response_format.kind = pb.ResponseFormat.KIND_TEXT
    answer = await vendor.answer(request)
    assert answer.prompt.schema is None


@behaviour("any JSON object")
async def test_json(vendor: Vendor) -> None:
    request = question("The weather as JSON.")
    request.response_format.kind = pb.ResponseFormat.KIND_JSON
    answer = await vendor.answer(request)
    assert isinstance(json.loads(answer.first.text), dict)


@behaviour("JSON by a schema")
async def test_json_schema(vendor: Vendor) -> None:
    request = question("The weather as JSON.")
    request.response_format.kind = pb.ResponseFormat.KIND_JSON_SCHEMA
    request.response_format.name = "weather"
    request.response_format.schema_json = json.dumps(WEATHER)
    request.response_format.strict = True
    answer = await vendor.answer(request)
    told = json.loads(answer.first.text)
    assert set(told) == {"city", "days"}
    assert 1 <= told["days"] <= 9
    assert answer.prompt.schema is not None
    assert dict(answer.prompt.schema)["required"] == WEATHER["required"]


@behaviour("several stop sequences")
async def test_stop_sequences(vendor: Vendor) -> None:
    request = question("[[echo]]one two three four")
    request.stop.extend(["five", " three"])
    answer = await vendor.answer(request)
    assert answer.prompt.stop == ("five", " three")
    assert answer.first.text == "one two"
    assert answer.first.finish == pb.FINISH_REASON_STOP


@behaviour("a limit of tokens, told as `length` when it is reached")
async def test_limit(vendor: Vendor) -> None:
    request = question("Tell everything. [[tokens=100]]")
    request.max_output_tokens = 17
    answer = await vendor.answer(request)
    assert answer.prompt.max_tokens == 17
    assert answer.first.finish == pb.FINISH_REASON_LENGTH
    assert answer.usage.output_tokens == 17


NUMBERS = {
    "temperature": 0.625,
    "top_p": 0.875,
    "top_k": 7,
    "frequency_penalty": 0.375,
    "presence_penalty": 0.25,
}


@behaviour("`{}`", list(NUMBERS))
async def test_sampling(vendor: Vendor, case: str) -> None:
    request = question("Something.")
    setattr(request.sampling, case, NUMBERS[case])
    answer = await vendor.answer(request)
    assert values(answer.body, case) == [NUMBERS[case]]


@behaviour("`seed`")
async def test_seed(vendor: Vendor) -> None:
    request = question("Something.")
    request.seed = 123_456
    answer = await vendor.answer(request)
    assert values(answer.body, "seed") == [123_456]


__all__ = [name for name in dir() if name.startswith("test_")]
