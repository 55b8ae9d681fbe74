"""What operators and the other services rely on."""

# ruff: noqa: S101 - these are tests

from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1.heartbeat_pb2 import SenderHeartbeat
from omnix_kit import subjects
from omnix_kit.errors import Reason
from omnix_kit.testing import eventually

from omnix_provider.conformance.asking import question
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Operation")


@behaviour("the vendor is told the attempt's id, and called once")
async def test_attempt_id(vendor: Vendor) -> None:
    answer = await vendor.answer()
    assert answer.call.request_id == answer.event.attempt_id
    assert answer.call.vendor == vendor.profile.provider
    assert len(await vendor.sandbox.calls(request_id=answer.event.attempt_id)) == 1


@behaviour("an answer of the sandbox is labelled, and so is what it cost")
async def test_sandbox_label(vendor: Vendor) -> None:
    made = vendor.attempt()
    response = await vendor.place.adapter.complete(made)
    assert response.sandbox
    assert (await vendor.place.readers.usage_of(made)).sandbox


@behaviour("models and providers are told")
async def test_models(vendor: Vendor) -> None:
    await eventually(vendor.place.knows_models)
    answer = await vendor.place.models()
    assert (vendor.profile.provider, True, "") in {(each.name, each.sandbox, each.problem) for each in answer.providers}


@behaviour("heartbeats name the sender of the chunks")
async def test_heartbeats(vendor: Vendor) -> None:
    beats: list[tuple[str, str]] = []

    async def on_beat(message: Msg) -> None:
        beat = SenderHeartbeat.FromString(message.data)
        beats.append((beat.sender_id, beat.address))

    subscription = await vendor.place.messaging.subscribe(subjects.SENDER_HEARTBEATS, on_beat)
    streamed = await vendor.place.stream(vendor.attempt("tokens-3"))
    await eventually(lambda: bool(beats))
    await subscription.unsubscribe()
    assert streamed.start is not None
    assert set(beats) == {(streamed.start.sender_id, vendor.place.adapter.address)}


@behaviour("a vendor parameter that nobody knows is refused by its name")
async def test_unknown_parameter(vendor: Vendor) -> None:
    request = question("Hello.")
    request.vendor_parameters["no_such_parameter"] = "1"
    error = await vendor.refusal(request)
    assert (error.reason, error.param) == (Reason.UNSUPPORTED_PARAMETER, "no_such_parameter")


@behaviour("a value that says nothing is refused by its place")
async def test_unspecified_value(vendor: Vendor) -> None:
    request = question("Hello.")
    request.messages[0].role = pb.ROLE_UNSPECIFIED
    error = await vendor.refusal(request)
    assert (error.reason, error.param) == (Reason.INVALID_REQUEST, "messages.0.role")


__all__ = [name for name in dir() if name.startswith("test_")]
