"""Each fault with another target standing by ends as its table says: for the caller, the ledger and both vendors."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from e2e.rescue_table import RESCUES, End, Rescue, Standby
from omnix_kit.testing import eventually
from omnix_sandbox import script
from omnix_sandbox.record import Call
from support.suite import Stream, Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]

_FAILING, _STANDING_BY = "openai", "bedrock"
_STANDBYS = {
    Standby.RESTARTS: "sandbox-chat",
    Standby.CONTINUES: "sandbox-able",
    Standby.REFUSES: "sandbox-no-prefix",
    Standby.DEPARTS: "sandbox-depart-3",
}
_COMPLETIONS_FOR_ONE_EXTRA_CALL = 5
"""The router's retry budget; the cell itself is one of them."""
_FILLER = "sandbox-tokens-1"
_AT_ONCE = 8


@dataclass(frozen=True)
class Cell:
    """One fault, unary or streamed. Its question is its own, by which its calls are known."""

    rescue: Rescue
    streamed: bool

    @property
    def end(self) -> End:
        end = self.rescue.end if self.streamed else self.rescue.unary
        assert end is not None
        return end

    @property
    def model(self) -> str:
        return f"sandbox-{self.rescue.words}-tokens-20"

    @property
    def first(self) -> str:
        return f"{_FAILING}/{self.model}"

    @property
    def other(self) -> str:
        return f"{_STANDING_BY}/{_STANDBYS[self.rescue.standby]}"

    @property
    def question(self) -> str:
        return f"[[tokens=20]] {self}"

    def __str__(self) -> str:
        return f"{self.rescue.standby} {self.rescue.words} {'streamed' if self.streamed else 'unary'}"


CELLS = [Cell(rescue, True) for rescue in RESCUES] + [
    Cell(rescue, False) for rescue in RESCUES if rescue.unary is not None
]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=str)


@dataclass(frozen=True)
class Ended:
    """How one cell ended."""

    answer: Stream
    """A unary answer is told as a stream of one event."""
    calls: Sequence[Call]
    entries: Sequence[Mapping[str, Any]]
    """Both in the order of the attempts."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rescued(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    folder = tmp_path_factory.mktemp("rescue")
    async with running_suite(
        folder / "suite",
        OMNIX_ROUTES_FILE=str(_routes(folder / "routes.toml")),
        OMNIX_CATALOGUE_FILE=str(_catalogue(folder / "catalogue.toml")),
        OMNIX_CIRCUIT_FAILURES="1000",
        OMNIX_CIRCUIT_CALLS="100000",
        OMNIX_SANDBOX_KEEP_REQUESTS="true",
    ) as suite:
        await suite.settled()
        yield suite


def _routes(file: Path) -> Path:
    limits = 'first_content_timeout = "1s"\nidle_timeout = "1s"\n'
    file.write_text(
        "".join(
            f'[routes."{standby}/*"]\ntargets = ["{_FAILING}/*", "{_STANDING_BY}/{model}"]\n{limits}'
            for standby, model in _STANDBYS.items()
        )
        + f'[routes."hedged/*"]\ntargets = ["{_FAILING}/*", "{_STANDING_BY}/sandbox-chat"]\nhedge_after = "200ms"\n'
    )
    return file


def _catalogue(file: Path) -> Path:
    usual = 'capabilities = ["text", "system", "streaming"'
    models = [
        (_FAILING, next(cell.model for cell in CELLS if cell.rescue.words == "context"), 1_000, f"{usual}]"),
        (_STANDING_BY, _STANDBYS[Standby.RESTARTS], 100_000, f"{usual}]"),
        (_STANDING_BY, _STANDBYS[Standby.CONTINUES], 100_000, f'{usual}, "assistant_prefix"]'),
        (_STANDING_BY, _STANDBYS[Standby.REFUSES], 100_000, f'{usual}, "assistant_prefix"]'),
    ]
    file.write_text(
        "".join(
            f'[[models]]\nprovider = "{provider}"\nmodel = "{model}"\ncontext_window = {window}\n{capabilities}\n'
            for provider, model, window, capabilities in models
        )
    )
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def table(rescued: Suite) -> Mapping[Cell, Ended]:
    """Every cell, made side by side."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def make(cell: Cell) -> Stream:
        async with at_once:
            extra_calls = cell.rescue.calls + cell.rescue.others - 1
            for _ in range(extra_calls * (_COMPLETIONS_FOR_ONE_EXTRA_CALL - 1)):
                await rescued.chat("x", model=f"{_FAILING}/{_FILLER}")
            return await _asked(rescued, cell)

    answers = dict(zip(CELLS, await asyncio.gather(*map(make, CELLS)), strict=True))
    ids = {cell: _id(answer) for cell, answer in answers.items()}
    calls: list[Call] = []
    entries: list[dict[str, Any]] = []

    async def told() -> bool:
        nonlocal calls, entries
        calls = [call for call in rescued.record() if call.model != _FILLER]
        entries = [entry for entry in await rescued.usage() if entry["model"] != _FILLER]
        return all(call.outcome is not None for call in calls) and len(entries) >= len(calls)

    await eventually(told, 30)
    ended = {}
    for cell, answer in answers.items():
        own = [entry for entry in entries if entry["completion_id"] == ids[cell]]
        attempts = {entry["id"] for entry in own}
        ended[cell] = Ended(
            answer,
            sorted((call for call in calls if call.request_id in attempts), key=lambda call: call.accepted_time),
            sorted(own, key=lambda entry: int(entry["attempt"])),
        )
    return ended


async def _asked(suite: Suite, cell: Cell) -> Stream:
    asked = f"{cell.rescue.standby}/{cell.model}"
    if cell.streamed:
        return await suite.stream(cell.question, model=asked, stream_options={"include_usage": True})
    answer = await suite.chat(cell.question, model=asked)
    body = answer.json()
    if "choices" in body:
        [choice] = body["choices"]
        body["choices"] = [choice | {"delta": choice["message"]}]
    return Stream(answer.status_code, answer.headers, [body], done="choices" in body)


def _id(answer: Stream) -> str:
    return str(answer.headers["x-omnix-completion-id"])


@every_cell
def test_caller_has_the_whole_answer_or_a_clear_reason(table: Mapping[Cell, Ended], cell: Cell) -> None:
    answer = table[cell].answer
    text = script.answer(script.user(cell.question)).text
    if cell.end is End.REASON:
        [error] = answer.errors
        assert (answer.status, error["code"]) == (400, cell.rescue.code)
        return
    assert answer.status == 200
    if cell.end is End.BROKEN:
        [error] = answer.errors
        assert (error["code"], answer.finish_reasons, answer.done) == (cell.rescue.code, [], False)
        assert answer.text
        assert text.startswith(answer.text)
        return
    assert answer.errors == []
    assert answer.text == text
    assert (answer.finish_reasons, answer.done) == (["stop"], True)


@every_cell
def test_vendors_are_called_as_often_as_the_rules_say(table: Mapping[Cell, Ended], cell: Cell) -> None:
    ended = table[cell]
    assert [call.vendor for call in ended.calls] == [entry["provider"] for entry in ended.entries]
    asked = [f"{entry['provider']}/{entry['model']}" for entry in ended.entries]
    assert asked == [cell.first] * cell.rescue.calls + [cell.other] * cell.rescue.others
    if len(ended.calls) > 1:
        first, second, *_ = ended.calls
        assert second.accepted_time - first.accepted_time >= cell.rescue.pause.total_seconds() * 0.95


@every_cell
def test_answer_names_who_really_gave_it(table: Mapping[Cell, Ended], cell: Cell) -> None:
    answer = table[cell].answer
    if answer.status != 200:
        return
    named = [event["model"] for event in answer.events if event.get("choices")]
    began = {End.OTHER: cell.other}.get(cell.end, cell.first)
    ended = {End.OTHER: cell.other, End.BOTH: cell.other}.get(cell.end, cell.first)
    assert answer.headers["x-omnix-model"] == began
    assert named[0].endswith(began.partition("/")[2])
    assert named[-1].endswith(ended.partition("/")[2])


@every_cell
def test_each_call_is_an_entry_and_the_caller_is_told_their_sum(table: Mapping[Cell, Ended], cell: Cell) -> None:
    ended = table[cell]
    assert [entry["id"] for entry in ended.entries] == [call.request_id for call in ended.calls]
    assert [entry["attempt"] for entry in ended.entries] == list(range(1, len(ended.calls) + 1))
    whole = cell.end in (End.FIRST, End.OTHER, End.BOTH)
    assert [entry["outcome"] for entry in ended.entries] == ["failed"] * (len(ended.calls) - 1) + [
        "succeeded" if whole else "failed"
    ]
    if not whole:
        return
    [usage] = [event["usage"] for event in ended.answer.events if event.get("usage")]
    told = [entry for entry in ended.entries if entry["first_content_ms"]] if cell.streamed else ended.entries[-1:]
    assert usage["completion_tokens"] == sum(entry["output_tokens"] for entry in told)
    assert usage["prompt_tokens"] == sum(entry["input_tokens"] for entry in told)


@every_cell
def test_beginning_is_given_to_whoever_goes_on_with_it(table: Mapping[Cell, Ended], cell: Cell) -> None:
    able = cell.rescue.standby in (Standby.CONTINUES, Standby.REFUSES)
    # Of a call whose beginning was refused no prompt is recorded.
    given = [call.prompt is None or bool(call.prompt.prefix) for call in table[cell].calls]
    assert given == [False] * cell.rescue.calls + ([able] + [False] * (cell.rescue.others - 1))[: cell.rescue.others]


@pytest.mark.asyncio(loop_scope="session")
async def test_healthy_request_afterwards_succeeds(rescued: Suite, table: Mapping[Cell, Ended]) -> None:
    for standby in Standby:
        answer = await rescued.stream("Hello!", model=f"{standby}/sandbox-chat")
        assert (answer.errors, answer.text) == ([], script.answer(script.user("Hello!")).text)
        assert answer.headers["x-omnix-attempts"] == "1"


@pytest.mark.asyncio(loop_scope="session")
async def test_saying_again_what_the_caller_has_may_take_longer_than_any_silence(rescued: Suite) -> None:
    """A hundred tokens at twenty a second are five times the route's idle limit."""
    question = "[[tokens=110]] [[pace=20/s]] a long way back"
    answer = await rescued.stream(question, model=f"{Standby.RESTARTS}/sandbox-cut-after-100-once")
    assert answer.errors == []
    assert (answer.text, answer.done) == (script.answer(script.user(question)).text, True)
    assert len(await rescued.usage_of(_id(answer), 2)) == 2


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("streamed", [False, True])
async def test_quicker_one_of_two_answers_and_the_other_is_billed_apart(rescued: Suite, streamed: bool) -> None:
    question = f"[[tokens=30]] hedged {streamed}"
    text = script.answer(script.user(question)).text
    if streamed:
        answer = await rescued.stream(question, model="hedged/sandbox-slow-20s")
        assert (answer.errors, answer.text, answer.done) == ([], text, True)
        late = await rescued.resume(_id(answer))
        assert (late.errors, late.text, late.ids) == ([], text, answer.ids)
    else:
        whole = await rescued.chat(question, model="hedged/sandbox-slow-20s")
        assert whole.json()["choices"][0]["message"]["content"] == text
        answer = Stream(whole.status_code, whole.headers)
    assert answer.headers["x-omnix-model"] == f"{_STANDING_BY}/sandbox-chat"
    entries = {entry["model"]: entry for entry in await rescued.usage_of(_id(answer), 2)}
    slow, quick = entries["sandbox-slow-20s"], entries["sandbox-chat"]
    assert (slow["outcome"], slow["purpose"]) == ("cancelled", "hedge")
    assert (quick["outcome"], quick["purpose"]) == ("succeeded", None)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("streamed", [False, True])
async def test_of_two_that_answer_together_one_is_the_answer(rescued: Suite, streamed: bool) -> None:
    """The hedge is made after 200 ms; whoever is as slow answers with it."""

    async def ask(number: int) -> str:
        asked, model = f"[[tokens=2]] together {number} {streamed}", f"hedged/sandbox-slow-{195 + number}ms"
        if streamed:
            return _id(await rescued.stream(asked, model=model))
        answer = await rescued.chat(asked, model=model)
        return _id(Stream(answer.status_code, answer.headers))

    for _ in range(5 * 24):  # for the retry budget
        await rescued.chat("x", model=f"{_FAILING}/{_FILLER}")
    ids = [await ask(number) for number in range(24)]
    entries: list[dict[str, Any]] = []

    async def told() -> bool:
        nonlocal entries
        entries = await rescued.usage()
        calls = rescued.record()
        return all(call.outcome is not None for call in calls) and len(entries) == len(calls)

    await eventually(told, 20)
    for completion_id in ids:
        purposes = [entry["purpose"] for entry in entries if entry["completion_id"] == completion_id]
        assert sorted(purposes, key=str) in ([None], [None, "hedge"])
