"""How much a model reasons, whether it shows it, and what of it goes back."""

# ruff: noqa: S101 - these are tests

from omnix.completion.v1 import completion_pb2 as pb
from omnix_sandbox import script

from omnix_provider.conformance.asking import holds, question, with_tools
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Reasoning")

Effort = pb.Reasoning
Plan = pb.ReasoningPlan
SECRET = "what the other one thought"  # noqa: S105 - no credential

EFFORTS = {
    "minimal": Effort.EFFORT_MINIMAL,
    "low": Effort.EFFORT_LOW,
    "medium": Effort.EFFORT_MEDIUM,
    "high": Effort.EFFORT_HIGH,
    "xhigh": Effort.EFFORT_EXTRA_HIGH,
    "max": Effort.EFFORT_MAX,
}


@behaviour("an effort by the router's plan: {}", list(EFFORTS))
async def test_planned_effort(vendor: Vendor, case: str) -> None:
    """The proviso: the vendor's strongest word is ``xhigh``."""
    plan = Plan(control=Plan.CONTROL_EFFORT, effort=EFFORTS[case])
    answer = await vendor.answer(question("Think. [[reasoning=20]]"), plan)
    assert (answer.call.reasoning or "").lower() == ("xhigh" if vendor.has_proviso else case)


@behaviour("a budget by the router's plan")
async def test_planned_budget(vendor: Vendor) -> None:
    answer = await vendor.answer(
        question("Think. [[reasoning=20]]"), Plan(control=Plan.CONTROL_BUDGET, budget_tokens=2_048)
    )
    assert answer.call.reasoning == "2048"


OFF = {
    "effort": Plan(control=Plan.CONTROL_EFFORT, effort=Effort.EFFORT_NONE),
    "budget": Plan(control=Plan.CONTROL_BUDGET, budget_tokens=0),
    "switch": Plan(control=Plan.CONTROL_SWITCH, effort=Effort.EFFORT_NONE),
}


@behaviour("reasoning off by the router's plan, for a model with: {}", list(OFF))
async def test_planned_off(vendor: Vendor, case: str) -> None:
    answer = await vendor.answer(question("Do not think."), OFF[case])
    assert (answer.call.reasoning or "off").lower() in ("off", "none", "0")
    assert answer.first.reasoning == ""
    assert answer.usage.reasoning_tokens == 0


@behaviour("a model that cannot be told is told nothing, whatever is asked for")
async def test_untold(vendor: Vendor) -> None:
    request = question("Think. [[reasoning=20]]")
    request.reasoning.effort = Effort.EFFORT_HIGH
    for control in (Plan.CONTROL_FIXED, Plan.CONTROL_NONE):
        answer = await vendor.answer(request, Plan(control=control))
        assert answer.call.reasoning is None


@behaviour("an explicit effort, of a model that the catalogue does not know")
async def test_wished_effort(vendor: Vendor) -> None:
    request = question("Think. [[reasoning=20]]")
    request.reasoning.effort = Effort.EFFORT_LOW
    answer = await vendor.answer(request)
    assert (answer.call.reasoning or "").lower() == "low"


@behaviour("an explicit budget, of a model that the catalogue does not know")
async def test_wished_budget(vendor: Vendor) -> None:
    request = question("Think. [[reasoning=20]]")
    request.reasoning.budget_tokens = 2_048
    answer = await vendor.answer(request)
    assert answer.call.reasoning == "2048"


@behaviour("a compute mode, of a model that the catalogue does not know")
async def test_wished_mode(vendor: Vendor) -> None:
    request = question("Think.")
    request.compute_mode = pb.COMPUTE_MODE_THINK
    await vendor.answer(request)


@behaviour("reasoning is shown to who wants to see it")
async def test_shown(vendor: Vendor) -> None:
    """The proviso: the vendor does not show it."""
    answer = await vendor.answer(_shown("Think aloud. [[reasoning=30]]"), HOW)
    expected = "" if vendor.has_proviso else script.answer(answer.prompt).reasoning_text
    assert answer.first.reasoning == expected
    streamed = await vendor.place.stream(vendor.attempt(plan=HOW), _shown("Think aloud. [[reasoning=30]]"))
    kinds = ["thought" if chunk.HasField("reasoning") else "text" for _, chunk in sorted(streamed.chunks.items())]
    assert "thought" not in kinds[kinds.index("text") : -1]


@behaviour("reasoning goes back with its signatures, and the vendor knows it for its own")
async def test_sent_back(vendor: Vendor) -> None:
    """The proviso: the vendor takes none back, and none is sent."""
    request = with_tools(
        _shown('Think and call. [[reasoning=12]] [[tool=weather {"city":"Bern","days":1}]]'), "weather"
    )
    first = await vendor.whole(request, HOW)
    request.messages.append(first.message)
    [call] = first.message.tool_calls
    request.messages.add(role=pb.ROLE_TOOL, tool_call_id=call.id).parts.add(text="9 °C")
    answer = await vendor.answer(request, HOW)
    pieces = list(first.message.reasoning)
    assert all(piece.provider == vendor.profile.provider for piece in pieces if piece.signature or piece.redacted)
    for piece in pieces:
        proof = piece.redacted or piece.signature
        assert holds(answer.body, proof or piece.text.encode()) != vendor.has_proviso
    assert answer.first.text


@behaviour("reasoning without its text goes back as it came")
async def test_redacted_sent_back(vendor: Vendor) -> None:
    request = _shown("Think in secret. [[reasoning=12]] [[redacted]]")
    first = await vendor.whole(request, HOW)
    request.messages.append(first.message)
    request.messages.add(role=pb.ROLE_USER).parts.add(text="Go on.")
    answer = await vendor.answer(request, HOW)
    assert all(holds(answer.body, piece.redacted) for piece in first.message.reasoning if piece.redacted)


@behaviour("another vendor's reasoning is not sent")
async def test_of_another_vendor(vendor: Vendor) -> None:
    request = question("Hello.")
    message = request.messages.add(role=pb.ROLE_ASSISTANT)
    message.reasoning.add(text=SECRET, signature=b"c2lnbmF0dXJl", provider="another")
    message.reasoning.add(redacted=b"c2VhbGVk", provider="another")
    message.parts.add(text="Hello!")
    request.messages.add(role=pb.ROLE_USER).parts.add(text="Go on.")
    answer = await vendor.answer(request)
    for what in (SECRET.encode(), b"c2lnbmF0dXJl", b"c2VhbGVk"):
        assert not holds(answer.body, what)


HOW = Plan(control=Plan.CONTROL_EFFORT, effort=Effort.EFFORT_LOW)


def _shown(text: str) -> pb.CompletionRequest:
    request = question(text)
    request.reasoning.include = True
    return request


__all__ = [name for name in dir() if name.startswith("test_")]
