"""Each fault of each vendor ends as the table says: for the caller, in the ledger and at the vendor."""

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio
from e2e.fault_table import FAULTS, SHORT_LIMITS, Broken, Fault, Refused, Seen, Vendor, Whole
from omnix_kit.testing import eventually
from omnix_sandbox import script
from omnix_sandbox.record import Call, Outcome
from support.suite import Stream, Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]

T = TypeVar("T")

_AT_ONCE = 24
_COMPLETIONS_FOR_ONE_EXTRA_CALL = 5
"""The router's retry budget; the cell itself is one of them."""
_FILLER = "sandbox-tokens-1"
_ESTIMATE_WITHIN = 64
"""Tokens."""
_RESCUERS = dict(zip(Vendor, [*list(Vendor)[1:], *list(Vendor)[:1]], strict=True))
_RESCUER = "sandbox-chat"


@dataclass(frozen=True)
class Cell:
    """One fault of one vendor, unary or streamed; rescued where another vendor stands in.

    Each calls a model of its own, by which its calls are known, and whose circuit no other cell can open.
    """

    fault: Fault
    vendor: Vendor
    streamed: bool
    rescued: bool = False

    @property
    def model(self) -> str:
        return f"sandbox-{self.fault.words}-tokens-{1 + self.streamed + 2 * self.rescued}"

    @property
    def asked(self) -> str:
        route = "rescued-" if self.rescued else "impatient-" if self.fault.impatient else ""
        return f"{route}{self.vendor}/{self.model}"

    @property
    def question(self) -> str:
        return f"[[tokens=20]] {self}"

    @property
    def expected(self) -> Seen:
        return self.fault.seen(self.vendor, self.streamed)

    def __str__(self) -> str:
        return f"{self.fault.words} {self.vendor} {'streamed' if self.streamed else 'unary'}"


CELLS = [Cell(fault, vendor, streamed) for fault in FAULTS for vendor in Vendor for streamed in (False, True)]
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
async def routed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with routes for impatient callers, and with routes on which each vendor stands in for another."""
    folder = tmp_path_factory.mktemp("faults")
    routes = folder / "routes.toml"
    routes.write_text("".join(_routes(vendor) for vendor in Vendor))
    async with running_suite(folder / "suite", OMNIX_ROUTES_FILE=str(routes)) as suite:
        await suite.settled()
        yield suite


def _routes(vendor: Vendor) -> str:
    limits = "".join(f'{name} = "{limit}"\n' for name, limit in SHORT_LIMITS.items())
    return (
        f'[routes."impatient-{vendor}/*"]\ntargets = ["{vendor}/*"]\n{limits}'
        f'[routes."rescued-{vendor}/*"]\ntargets = ["{vendor}/*", "{_RESCUERS[vendor]}/{_RESCUER}"]\n'
        'first_content_timeout = "1s"\n'
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def table(routed: Suite) -> Mapping[Cell, Ended]:
    """Every cell, made side by side."""
    return await _made(routed, CELLS)


async def _made(suite: Suite, cells: Sequence[Cell]) -> Mapping[Cell, Ended]:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def make(cell: Cell) -> Stream:
        if cell.fault.impatient:
            return await _asked(suite, cell)
        async with at_once:
            await _pay_for(suite, cell.expected.calls - 1, cell.vendor)
            return await _asked(suite, cell)

    impatient_first = sorted(cells, key=lambda cell: not cell.fault.impatient)
    answers = dict(zip(impatient_first, await asyncio.gather(*map(make, impatient_first)), strict=True))
    calls: Mapping[str, list[Call]] = {}
    entries: Mapping[str, list[dict[str, Any]]] = {}

    async def told() -> bool:
        nonlocal calls, entries
        record = [call for call in suite.record() if call.model != _FILLER]
        if any(call.outcome is None for call in record):
            return False
        ledger = [entry for entry in await suite.usage() if entry["model"] != _FILLER]
        if len(ledger) < len(record):
            return False
        calls = _by_model((f"{call.vendor}/{call.model}", call) for call in record)
        entries = _by_model((f"{entry['provider']}/{entry['model']}", entry) for entry in ledger)
        return True

    await eventually(told, 30)
    ended = {}
    for cell in cells:
        model = f"{cell.vendor}/{cell.model}"
        ended[cell] = Ended(
            answers[cell],
            sorted(calls.get(model, ()), key=lambda call: call.accepted_time),
            sorted(entries.get(model, ()), key=lambda entry: int(entry["attempt"])),
        )
    return ended


async def _pay_for(suite: Suite, extra_calls: int, vendor: Vendor) -> None:
    for _ in range(extra_calls * (_COMPLETIONS_FOR_ONE_EXTRA_CALL - 1)):
        await suite.chat("x", model=f"{vendor}/{_FILLER}")


def _by_model(pairs: Iterable[tuple[str, T]]) -> Mapping[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


async def _asked(suite: Suite, cell: Cell) -> Stream:
    if cell.streamed:
        return await suite.stream(cell.question, model=cell.asked)
    answer = await suite.chat(cell.question, model=cell.asked)
    body = answer.json()
    if "choices" in body:
        [choice] = body["choices"]
        body["choices"] = [choice | {"delta": choice["message"]}]
    return Stream(answer.status_code, answer.headers, [body], done="choices" in body)


@every_cell
def test_fault_is_seen_as_the_table_says(table: Mapping[Cell, Ended], cell: Cell) -> None:
    ended = table[cell]
    assert _seen(cell, ended.answer, len(ended.calls)) == cell.expected
    if len(ended.calls) > 1 and isinstance(cell.expected, Refused):
        first, second = ended.calls
        assert second.accepted_time - first.accepted_time >= cell.expected.pause.total_seconds() * 0.95


def _seen(cell: Cell, answer: Stream, calls: int) -> Seen:
    text = script.answer(script.user(cell.question)).text
    if answer.status != 200:
        [error] = answer.errors
        assert error["message"]
        return Refused(answer.status, error["code"], _retry_after(answer.headers), calls)
    assert answer.headers["x-omnix-model"] == f"{cell.vendor}/{cell.model}"
    if answer.errors:
        [error] = answer.errors
        assert answer.text
        assert text.startswith(answer.text)
        assert (answer.finish_reasons, answer.done) == ([], False)
        return Broken(error["code"], calls)
    assert answer.headers["x-omnix-attempts"] == str(calls)
    assert answer.done
    assert answer.finish_reasons == ["stop"]
    if cell.fault.words == "huge":
        assert answer.text.endswith(text)
        assert len(answer.text.encode()) > 1024 * 1024
    else:
        assert answer.text == text
    return Whole(calls)


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    if "retry-after" not in headers:
        assert "retry-after-ms" not in headers
        return None
    delay = timedelta(milliseconds=int(headers["retry-after-ms"]))
    assert int(headers["retry-after"]) == math.ceil(delay.total_seconds())
    return delay


@every_cell
def test_ledger_has_one_entry_for_each_call(table: Mapping[Cell, Ended], cell: Cell) -> None:
    ended = table[cell]
    completion_id = ended.answer.headers["x-omnix-completion-id"]
    assert [entry["id"] for entry in ended.entries] == [call.request_id for call in ended.calls]
    for number, (entry, call) in enumerate(zip(ended.entries, ended.calls, strict=True), 1):
        assert (entry["completion_id"], entry["attempt"]) == (completion_id, number)
        assert (entry["requested_model"], entry["sandbox"]) == (cell.asked, True)
        assert (entry["outcome"], _code(entry)) == _written_down(cell.expected)
        _assert_metered(entry, call)


def _code(entry: Mapping[str, Any]) -> str | None:
    return None if entry["error"] is None else str(entry["error"]["code"])


def _written_down(seen: Seen) -> tuple[str, str | None]:
    match seen:
        case Whole():
            return "succeeded", None
        case Refused(code="deadline_exceeded"):
            return "cancelled", "deadline_exceeded"
        case Refused(code=code) | Broken(code=code):
            return "failed", code


def _assert_metered(entry: Mapping[str, Any], call: Call) -> None:
    """As the vendor counted, or near it where the vendor did not tell; a refusal by status costs nothing."""
    told = (entry["input_tokens"], entry["output_tokens"])
    if entry["estimated"]:
        assert call.status < 400
        assert not (call.usage_sent and entry["outcome"] == "succeeded")
        assert abs(entry["output_tokens"] - call.produced_tokens) <= _ESTIMATE_WITHIN
        assert entry["input_tokens"] > 0
    elif call.outcome is Outcome.REFUSED:
        counted = (call.input_tokens, 0)
        assert told == (0, 0) or (told == counted and call.status == 200)
    else:
        assert told == (call.input_tokens, call.output_tokens)


@every_cell
def test_nothing_is_left_open_at_the_vendor(table: Mapping[Cell, Ended], cell: Cell) -> None:
    """Whatever would never have ended was left by the adapter."""
    for call in table[cell].calls:
        if cell.fault.impatient:
            assert call.outcome is Outcome.LEFT
        else:
            assert call.outcome is not Outcome.STOPPED


RESCUED = {"401", "404", "429", "429-retry-30s", "500", "503-retry-30s", "quota", "reset", "silence", "cut", "html"}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.words in RESCUED], ids=lambda fault: fault.words)
@pytest.mark.asyncio(loop_scope="session")
async def test_another_vendor_answers_in_its_place(routed: Suite, fault: Fault) -> None:
    """The caller sees the same answer, and from whom it is."""

    async def rescue(cell: Cell) -> None:
        failed = cell.expected
        assert isinstance(failed, Refused)
        await _pay_for(routed, failed.calls, cell.vendor)
        answer = await _asked(routed, cell)
        assert (answer.status, answer.errors, answer.finish_reasons) == (200, [], ["stop"])
        assert answer.text == script.answer(script.user(cell.question)).text
        assert answer.headers["x-omnix-model"] == f"{_RESCUERS[cell.vendor]}/{_RESCUER}"
        assert answer.headers["x-omnix-attempts"] == str(failed.calls + 1)
        told = answer.headers["x-omnix-attempt-errors"].split(", ")
        assert len(told) == failed.calls
        assert {each.partition("=")[0] for each in told} == {f"{cell.vendor}/{cell.model}"}
        entries = await routed.usage_of(answer.headers["x-omnix-completion-id"], failed.calls + 1)
        assert [entry["outcome"] for entry in entries] == ["succeeded", *["failed"] * failed.calls]

    ways = (True,) if fault.impatient else (False, True)
    await asyncio.gather(
        *(rescue(Cell(fault, vendor, streamed, rescued=True)) for vendor in Vendor for streamed in ways)
    )


NOT_OF_EMBEDDINGS = {"filter"}
"""Gemini has none for them."""
TITAN = "bedrock/amazon.titan-embed-text-v2:0"


@pytest.mark.asyncio(loop_scope="session")
async def test_embeddings_fail_as_unary_answers_do(routed: Suite) -> None:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def make(fault: Fault, vendor: Vendor) -> tuple[str, Seen]:
        async with at_once:
            model = f"{vendor}/sandbox-{fault.words}-tokens-5"
            return f"{fault.words} {vendor}", await _embedded(routed, model, vendor, fault.seen(vendor, False).calls)

    cells = [
        (fault, vendor)
        for fault in FAULTS
        for vendor in Vendor
        # Bedrock's embedding models are told by their names, which cannot hold a fault.
        if vendor is not Vendor.BEDROCK and not fault.impatient and fault.words not in NOT_OF_EMBEDDINGS
    ]
    seen = dict(await asyncio.gather(*(make(*cell) for cell in cells)))
    assert seen == {f"{fault.words} {vendor}": fault.seen(vendor, False) for fault, vendor in cells}


@pytest.mark.asyncio(loop_scope="session")
async def test_embeddings_of_bedrock_fail_as_its_unary_answers_do(routed: Suite) -> None:
    faults = [fault for fault in FAULTS if fault.words in RESCUED and not fault.impatient]
    for fault in faults:
        expected = fault.seen(Vendor.BEDROCK, False)
        match = {"vendor": "bedrock", "operation": "embeddings"}
        await routed.order_fault(fault.words, match=match, count=expected.calls)
        assert await _embedded(routed, TITAN, Vendor.BEDROCK, expected.calls) == expected, fault.words
        for _ in range(3):  # so that the circuit stays closed
            assert await _embedded(routed, TITAN, Vendor.BEDROCK, 1) == Whole()
    await routed.clear_faults()


async def _embedded(suite: Suite, model: str, vendor: Vendor, calls: int) -> Seen:
    """What is seen, and how often the vendor was called, by the ledger and its own record."""
    await _pay_for(suite, calls - 1, vendor)
    body = {"model": model, "input": "Grüezi"}
    answer = await suite.http.post(f"{suite.url}/v1/embeddings", json=body, headers=suite.headers)
    entries = await suite.usage_of(answer.headers["x-omnix-completion-id"], calls)
    assert {entry["operation"] for entry in entries} == {"embeddings"}
    called = [await suite.vendor_call(entry["id"]) for entry in entries]
    assert {call.operation for call in called} == {"embeddings"}
    if answer.status_code != 200:
        error = answer.json()["error"]
        return Refused(answer.status_code, error["code"], _retry_after(answer.headers), len(called))
    assert answer.json()["data"][0]["embedding"]
    return Whole(len(called))
