"""Calls of tools and what they return."""

# ruff: noqa: S101 - these are tests

import json

from omnix.completion.v1 import completion_pb2 as pb

from omnix_provider.conformance.asking import PNG, conversation, holds, question, values, with_tools
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Answer, Vendor

behaviour = group("Tools")

ONE = '[[tool=weather {"city":"Zürich","days":3}]]'
TWO = ONE + '[[tool=tides {"city":"Genève","days":1}]]'


@behaviour("a call with its arguments, whole and streamed, to the byte")
async def test_call(vendor: Vendor) -> None:
    answer = await vendor.answer(with_tools(question(f"The weather? {ONE}"), "weather"))
    [call] = answer.first.calls
    assert call.id
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Zürich", "days": 3})
    assert answer.first.finish == pb.FINISH_REASON_TOOL_CALLS
    [tool] = answer.prompt.tools
    assert (tool.name, tool.description) == ("weather", "About weather.")
    assert tool.parameters is not None
    assert tool.parameters["required"] == ["city", "days"]


@behaviour("parallel calls with streamed arguments")
async def test_parallel_calls(vendor: Vendor) -> None:
    answer = await vendor.answer(with_tools(question(f"Weather and tides? {TWO}"), "weather", "tides"))
    calls = answer.first.calls
    assert [call.name for call in calls] == ["weather", "tides"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Zürich", "Genève"]
    assert len({call.id for call in calls}) == 2


@behaviour("a tool without parameters")
async def test_tool_without_parameters(vendor: Vendor) -> None:
    request = question("The time? [[tool=clock]]")
    request.tools.add(name="clock")
    answer = await vendor.answer(request)
    [call] = answer.first.calls
    assert json.loads(call.arguments or "{}") == {}


@behaviour("`tool_choice: none`")
async def test_choice_none(vendor: Vendor) -> None:
    request = with_tools(question(f"The weather? {ONE}"), "weather")
    request.tool_choice.mode = pb.ToolChoice.MODE_NONE
    answer = await vendor.answer(request)
    assert not answer.first.calls
    assert answer.first.text


@behaviour("`tool_choice: auto`")
async def test_choice_auto(vendor: Vendor) -> None:
    request = with_tools(question(f"The weather? {ONE}"), "weather")
    request.tool_choice.mode = pb.ToolChoice.MODE_AUTO
    answer = await vendor.answer(request)
    assert answer.prompt.must_call is None
    assert len(answer.first.calls) == 1


@behaviour("`tool_choice: required`")
async def test_choice_required(vendor: Vendor) -> None:
    request = with_tools(question("Do something."), "weather", "tides")
    request.tool_choice.mode = pb.ToolChoice.MODE_REQUIRED
    answer = await vendor.answer(request)
    assert answer.prompt.must_call == ""
    assert answer.first.calls
    assert answer.first.finish == pb.FINISH_REASON_TOOL_CALLS


@behaviour("`tool_choice` names a tool")
async def test_choice_named(vendor: Vendor) -> None:
    request = with_tools(question("Do something."), "weather", "tides")
    request.tool_choice.mode = pb.ToolChoice.MODE_NAMED
    request.tool_choice.name = "tides"
    answer = await vendor.answer(request)
    assert [call.name for call in answer.first.calls] == ["tides"]
    assert answer.first.finish == pb.FINISH_REASON_TOOL_CALLS


@behaviour("`parallel_tool_calls: false`")
async def test_one_call_at_a_time(vendor: Vendor) -> None:
    request = with_tools(question(f"Weather and tides? {TWO}"), "weather", "tides")
    request.parallel_tool_calls = False
    answer = await vendor.answer(request)
    assert [call.name for call in answer.first.calls] == ["weather"]


@behaviour("a result goes back to its call")
async def test_result(vendor: Vendor) -> None:
    answer = await vendor.answer(_answered(await _asked(vendor, ONE, "weather"), "12 °C, Föhn"))
    assert answer.first.text
    assert answer.first.finish == pb.FINISH_REASON_STOP


@behaviour("results of parallel calls, in another order")
async def test_results_of_parallel_calls(vendor: Vendor) -> None:
    request = await _asked(vendor, TWO, "weather", "tides")
    calls = list(request.messages[-1].tool_calls)
    for call, text in zip(calls, ("12 °C", "high"), strict=True):
        request.messages.add(role=pb.ROLE_TOOL, tool_call_id=call.id).parts.add(text=text)
    answer = await vendor.answer(request)
    assert answer.first.text


@behaviour("a result that says the tool failed")
async def test_failed_result(vendor: Vendor) -> None:
    """The proviso: the format has no mark for it, so the result's words alone tell."""
    request = _answered(await _asked(vendor, ONE, "weather"), "no such city")
    good = await vendor.whole(request)
    request.messages[-1].tool_failed = True
    failed = await vendor.answer(request)
    assert "no such city" in failed.body
    assert (failed.body == good.body) == vendor.has_proviso


@behaviour("a result with an image")
async def test_result_with_image(vendor: Vendor) -> None:
    request = _answered(await _asked(vendor, ONE, "weather"), "As on the picture.")
    request.messages[-1].parts.add(image=pb.Image(data=PNG, media_type="image/png"))
    answer = await vendor.answer(request)
    assert holds(answer.body, PNG)


@behaviour("results and a new question after them")
async def test_question_after_results(vendor: Vendor) -> None:
    request = _answered(await _asked(vendor, ONE, "weather"), "12 °C")
    request.messages.add(role=pb.ROLE_ASSISTANT).parts.add(text="It is 12 °C.")
    request.messages.add(role=pb.ROLE_USER).parts.add(text="And tomorrow?")
    await vendor.answer(request)


@behaviour("a call's signature goes back with it")
async def test_signature_of_a_call(vendor: Vendor) -> None:
    """Where the vendor signs calls; the sandbox refuses one that was changed."""
    request = _answered(await _asked(vendor, ONE, "weather"), "12 °C")
    [call] = request.messages[1].tool_calls
    answer = await vendor.answer(request)
    assert not call.signature or holds(answer.body, call.signature)


@behaviour("a conversation with calls that another vendor made")
async def test_calls_of_another_vendor(vendor: Vendor) -> None:
    request = with_tools(conversation(("user", "The weather?")), "weather")
    message = request.messages.add(role=pb.ROLE_ASSISTANT)
    message.tool_calls.add(id="functions.weather:0/ü", name="weather", arguments_json='{"city": "Bern", "days": 1}')
    request.messages.add(role=pb.ROLE_TOOL, tool_call_id="functions.weather:0/ü").parts.add(text="9 °C")
    await vendor.answer(request)


@behaviour("a tool whose schema the model is held to (`strict`)")
async def test_strict_tool(vendor: Vendor) -> None:
    request = with_tools(question(f"The weather? {ONE}"), "weather")
    request.tools[0].strict = True
    answer = await vendor.answer(request)
    assert True in values(answer.body, "strict") or "VALIDATED" in answer.body


async def _asked(vendor: Vendor, directives: str, *tools: str) -> pb.CompletionRequest:
    """A conversation up to the calls that the vendor made."""
    request = with_tools(question(f"The weather? {directives}"), *tools)
    first: Answer = await vendor.whole(request)
    request.messages.append(first.message)
    return request


def _answered(request: pb.CompletionRequest, text: str) -> pb.CompletionRequest:
    [call] = request.messages[-1].tool_calls
    request.messages.add(role=pb.ROLE_TOOL, tool_call_id=call.id).parts.add(text=text)
    return request


__all__ = [name for name in dir() if name.startswith("test_")]
