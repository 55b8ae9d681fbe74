"""One vendor as a caller meets it, and what it heard of a question."""

# ruff: noqa: S101 - this is for tests

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import provider_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_sandbox import script
from omnix_sandbox.record import Call
from omnix_sandbox.testing import Sandbox

from omnix_provider.conformance.asking import in_script, question, spoken
from omnix_provider.conformance.behaviours import RefusedByName
from omnix_provider.profile import Profile, Refused, Told
from omnix_provider.testing import Place, Streamed, attempt

STEERED = "sandbox"
"""How the names of models begin that fail, dawdle and the like by their names, in every wire format of the sandbox."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a tool, as it was answered."""

    name: str
    arguments: str
    id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative, of a whole answer or put together from a stream."""

    text: str
    calls: tuple[Called, ...]
    finish: "pb.FinishReason.ValueType"
    reasoning: str
    refusal: str
    logprobs: tuple[tuple[str, float, tuple[str, ...]], ...]
    """Token, its logarithm, and the likeliest tokens."""
    signatures: frozenset[bytes]
    """Of reasoning, and reasoning that is sealed."""

    def same(self, other: "Choice") -> bool:
        """Ids and signatures are new in each answer."""
        return _meaning(self) == _meaning(other)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, what the vendor recorded of the call, and what was metered."""

    choices: tuple[Choice, ...]
    usage: pb.Usage
    call: Call
    event: usage_pb2.UsageRecorded
    message: pb.Message
    """The first alternative's, to go on with."""

    @property
    def first(self) -> Choice:
        return self.choices[0]

    @property
    def prompt(self) -> script.Prompt:
        """What the vendor understood."""
        if self.call.prompt is None:
            raise AssertionError("the vendor's record has no request")
        return self.call.prompt

    @property
    def body(self) -> str:
        """What the vendor was sent."""
        return self.call.body or ""


@dataclass(frozen=True)
class Vendor:
    """Asks one vendor through its adapter, in view of one behaviour."""

    profile: Profile
    place: Place
    sandbox: Sandbox
    behaviour: str = ""

    def in_view_of(self, behaviour: str) -> "Vendor":
        return replace(self, behaviour=behaviour)

    @property
    def refused(self) -> Refused | None:
        return self.profile.refused.get(self.behaviour)

    @property
    def told(self) -> Told | None:
        return self.profile.told.get(self.behaviour)

    @property
    def has_proviso(self) -> bool:
        return self.behaviour in self.profile.provisos

    def attempt(self, words: str = "", plan: pb.ReasoningPlan | None = None) -> provider_pb2.Attempt:
        """To the behaviour's model, or one whose name steers the sandbox by these words."""
        model = f"{STEERED}-{words}" if words else self.profile.models.get(self.behaviour, self.profile.model)
        made = attempt(model, self.profile.provider)
        made.max_output_tokens = 64_000
        if plan is not None:
            made.reasoning.CopyFrom(plan)
        return made

    async def answer(self, request: pb.CompletionRequest | None = None, plan: pb.ReasoningPlan | None = None) -> Answer:
        """Asked both ways, which mean the same; the answer is the whole one.

        The vendor understood the conversation as it was told, and what it answered and counted has arrived.

        :raises RefusedByName: when it is refused both ways, as the profile says.
        """
        request = question("Say something.") if request is None else request
        if self.refused is not None:
            await self._refusal(request, plan, self.refused)
        whole, streamed = await asyncio.gather(self.whole(request, plan), self.streamed(request, plan))
        for each in (whole, streamed):
            _faithful(request, each)
        assert len(whole.choices) == len(streamed.choices)
        for one, other in zip(whole.choices, streamed.choices, strict=True):
            assert one.same(other), f"streamed as {other}, whole as {one}"
        assert whole.usage == streamed.usage
        return whole

    async def whole(self, request: pb.CompletionRequest, plan: pb.ReasoningPlan | None = None) -> Answer:
        made = self.attempt(plan=plan)
        response = await self.place.adapter.complete(made, request)
        completion = response.completion
        choices = tuple(_choice_of_message(choice) for choice in completion.choices)
        return await self._answer(made, choices, completion.usage, completion.choices[0].message)

    async def streamed(self, request: pb.CompletionRequest, plan: pb.ReasoningPlan | None = None) -> Answer:
        made = self.attempt(plan=plan)
        streamed = await self.place.stream(made, request)
        if streamed.end is None or streamed.end.HasField("error"):
            raise AssertionError(f"the stream ended with {streamed.end}")
        choices = choices_of(streamed)
        return await self._answer(made, choices, streamed.end.usage, pb.Message())

    async def _answer(
        self, made: provider_pb2.Attempt, choices: Sequence[Choice], usage: pb.Usage, message: pb.Message
    ) -> Answer:
        event = await self.place.readers.usage_of(made)
        call = await self.sandbox.wait_for_call(request_id=made.attempt_id)
        return Answer(tuple(choices), usage, call, event, message)

    async def refusal(self, request: pb.CompletionRequest, plan: pb.ReasoningPlan | None = None) -> OmnixError:
        """The error before anything is sent, the same both ways."""
        errors = []
        for streamed in (False, True):
            made = self.attempt(plan=plan)
            errors.append(await self.place.refused(made, request, streamed=streamed))
            await self.unheard(made)
        whole, streamed_error = errors
        assert (whole.reason, whole.param) == (streamed_error.reason, streamed_error.param)
        return whole

    async def unheard(self, made: provider_pb2.Attempt) -> None:
        """The vendor has no call of the attempt, nothing was metered, and nothing published."""
        assert not await self.sandbox.calls(request_id=made.attempt_id)
        assert not self.place.readers.of(made)
        assert made.completion_id not in self.place.readers.begun

    async def _refusal(self, request: pb.CompletionRequest, plan: pb.ReasoningPlan | None, refused: Refused) -> None:
        error = await self.refusal(request, plan)
        expect_refusal(error, refused)


def expect_refusal(error: OmnixError, refused: Refused) -> None:
    """:raises RefusedByName: when it is refused as it should."""
    if (error.reason, error.param) != (Reason.UNSUPPORTED_PARAMETER, refused.param):
        raise AssertionError(f"refused as {error.reason} with {error.param}: {error}")
    raise RefusedByName


@pytest.fixture
def vendor(profile: Profile, place: Place, sandbox: Sandbox) -> Vendor:
    return Vendor(profile, place, sandbox)


def choices_of(streamed: Streamed) -> tuple[Choice, ...]:
    """The alternatives, put together as readers do."""
    chunks = [chunk for _, chunk in sorted(streamed.chunks.items())]
    indices = sorted({chunk.choice_index for chunk in chunks})
    return tuple(_choice_of_chunks([chunk for chunk in chunks if chunk.choice_index == index]) for index in indices)


def _choice_of_chunks(chunks: Sequence[pb.Chunk]) -> Choice:
    calls: dict[int, Called] = {}
    for chunk in chunks:
        for delta in chunk.tool_calls:
            call = calls.get(delta.index, Called("", "", "", b""))
            calls[delta.index] = Called(
                call.name + delta.name,
                call.arguments + delta.arguments_json,
                call.id + delta.id,
                call.signature + delta.signature,
            )
    assert list(calls) == list(range(len(calls)))
    finish = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert len(finish) == 1
    return Choice(
        text="".join(chunk.text for chunk in chunks),
        calls=tuple(calls.values()),
        finish=finish[0],
        reasoning="".join(chunk.reasoning.text for chunk in chunks),
        refusal="".join(chunk.refusal for chunk in chunks),
        logprobs=tuple(_logprob(each) for chunk in chunks for each in chunk.logprobs),
        signatures=frozenset(
            proof for chunk in chunks for proof in (chunk.reasoning.signature, chunk.reasoning.redacted) if proof
        ),
    )


def _choice_of_message(choice: pb.Choice) -> Choice:
    message = choice.message
    return Choice(
        text="".join(part.text for part in message.parts),
        calls=tuple(Called(call.name, call.arguments_json, call.id, call.signature) for call in message.tool_calls),
        finish=choice.finish_reason,
        reasoning="".join(piece.text for piece in message.reasoning),
        refusal=message.refusal,
        logprobs=tuple(_logprob(each) for each in choice.logprobs),
        signatures=frozenset(
            proof for piece in message.reasoning for proof in (piece.signature, piece.redacted) if proof
        ),
    )


def _logprob(told: pb.TokenLogprob) -> tuple[str, float, tuple[str, ...]]:
    return told.token, told.logprob, tuple(each.token for each in told.top)


def _meaning(choice: Choice) -> tuple[object, ...]:
    calls = tuple((call.name, call.arguments) for call in choice.calls)
    return choice.text, calls, choice.finish, choice.reasoning, choice.refusal, choice.logprobs, len(choice.signatures)


def _faithful(request: pb.CompletionRequest, answer: Answer) -> None:
    """The vendor understood what was said, and what it said and counted has arrived."""
    assert spoken(answer.prompt) == spoken(in_script(request))
    given = script.answers(answer.prompt)
    assert [choice.text or choice.refusal for choice in answer.choices] == [each.text for each in given]
    assert [[call.name for call in choice.calls] for choice in answer.choices] == [
        [call.name for call in each.tool_calls] for each in given
    ]
    call, usage = answer.call, answer.usage
    assert not usage.estimated
    assert (usage.input_tokens, usage.output_tokens) == (call.input_tokens, call.output_tokens)
    assert answer.event.usage == usage
    assert answer.event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
