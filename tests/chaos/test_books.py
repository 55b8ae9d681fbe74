"""The books balance whatever dies.

Mixed calls run while processes are killed at random, by a seed; then the ledger is held against the sandbox's own
record of what it was asked and what it produced.
``OMNIX_CHAOS_CALLS`` and ``OMNIX_CHAOS_SEED`` make the run longer and other.
"""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from omnix_cli.state import Phase
from omnix_kit.testing import eventually
from omnix_sandbox import script
from omnix_sandbox.record import Call
from support.suite import Reader, Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(3600)]

CALLS = int(os.environ.get("OMNIX_CHAOS_CALLS", "240"))
SEED = int(os.environ.get("OMNIX_CHAOS_SEED", "20261122"))
KILLS = max(8, CALLS // 25)
CLIENTS = 16
VICTIMS = ("adapter-openai", "router", "gateway", "usage-metering", "nats")
KINDS = ("plain", "stream", "abort", "plain-fault", "stream-fault", "broken")
FAULTS = ("500", "429-retry-1s", "reset", "503")
BREAKS = ("cut-after-5", "malformed-after-3", "no-finish", "stall-after-5-for-500ms")
ENDS_WITHIN = 60
"""Seconds after which a call without an end counts as hung."""
TOLERANCE = 64
"""Tokens by which an estimated entry may miss what the vendor produced."""


@dataclass
class Tally:
    made: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    lies: list[str] = field(default_factory=list)
    """Answers that looked whole and were not."""
    hung: list[str] = field(default_factory=list)
    """Calls that ended neither well nor in an error, and how far they had come."""
    kills: Counter[str] = field(default_factory=Counter)


async def test_ledger_equals_the_vendors_record(tmp_path: Path) -> None:
    # Half of the calls are made to fail; with circuits most would never reach the vendor.
    thresholds = {"OMNIX_CIRCUIT_FAILURES": "1000", "OMNIX_CIRCUIT_CALLS": "100000"}
    async with running_suite(tmp_path, **thresholds) as suite:
        tally = Tally()
        over = asyncio.Event()
        killer = asyncio.create_task(kill_at_random(suite, random.Random(SEED), tally, over))
        async with asyncio.TaskGroup() as group:
            for client in range(CLIENTS):
                group.create_task(call_at_random(suite, random.Random(SEED + 1 + client), tally))
        over.set()
        await killer
        await suite.settled(90)
        entries = await balanced(suite)
    print(f"\n{tally.made} calls {dict(tally.seen)}, kills {dict(tally.kills)}, {len(entries)} entries")
    assert tally.lies == []
    assert tally.hung == []
    assert tally.made >= CALLS
    assert tally.kills.total() >= KILLS


async def kill_at_random(suite: Suite, chance: random.Random, tally: Tally, over: asyncio.Event) -> None:
    """Kill whatever runs and is not being started again at the moment."""
    while not over.is_set():
        await asyncio.sleep(chance.uniform(0.3, 2.0))
        ready = [name for name in VICTIMS if suite.state().services[name].phase is Phase.READY]
        if ready:
            victim = chance.choice(ready)
            await suite.kill(victim)
            tally.kills[victim] += 1


async def call_at_random(suite: Suite, chance: random.Random, tally: Tally) -> None:
    while tally.made < CALLS or tally.kills.total() < KILLS:
        tally.made += 1
        number = tally.made
        kind = chance.choice(KINDS)
        question = f"[[tokens={chance.randint(5, 120)}]] [[pace=100/s]] call {number}"
        if kind in ("plain-fault", "stream-fault"):
            question = f"[[fault={chance.choice(FAULTS)}]] {question}"
        elif kind == "broken":
            question = f"[[fault={chance.choice(BREAKS)}]] {question}"
        watched = Watched()
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                outcome = await make(suite, kind, question, tally, watched)
        except httpx.ConnectError:
            tally.made -= 1  # the gateway is being started again: nobody was called
            await asyncio.sleep(0.2)
            continue
        except TimeoutError:
            outcome = "hung"
            tally.hung.append(f"{kind}, {question!r}: {watched}")
        except httpx.HTTPError as exc:
            outcome = type(exc).__name__
        tally.seen[f"{kind}: {outcome}"] += 1
        if outcome == "503":
            await asyncio.sleep(0.1)  # a part is away; other callers wait for it, too


@dataclass
class Watched:
    """A call under way, as its client sees it."""

    reader: Reader | None = None

    def __str__(self) -> str:
        if self.reader is None:
            return "no answer"
        seen = self.reader.seen
        return f"{self.reader.id}, {seen.status}, {len(seen.events)} events, finish reasons {seen.finish_reasons}"


async def make(suite: Suite, kind: str, question: str, tally: Tally, watched: Watched) -> str:
    expected = script.answer(script.user(question)).text
    if kind.startswith("plain"):
        answer = await suite.chat(question)
        if answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] != expected:
            tally.lies.append(question)
        return str(answer.status_code)
    async with suite.open_stream(question) as reader:
        watched.reader = reader
        if kind == "abort":
            await reader.read(until=lambda seen: len(seen.text) > 10)
            return "left"
        seen = await reader.read()
    if seen.status != 200:
        return str(seen.status)
    if seen.finish_reasons and seen.text != expected:
        tally.lies.append(question)
    if not expected.startswith(seen.text):
        tally.lies.append(question)
    return "error event" if seen.errors else "whole" if seen.finish_reasons else "broken off"


async def balanced(suite: Suite) -> list[dict[str, Any]]:
    """Hold the ledger against the record, once all calls have ended and their entries have arrived."""
    entries: list[dict[str, Any]] = []
    calls: dict[str, Call] = {}

    async def arrived() -> bool:
        nonlocal entries, calls
        calls = {call.request_id: call for call in suite.record() if call.request_id}
        if any(call.finished_time is None for call in calls.values()):
            return False
        entries = await suite.usage()
        return calls.keys() <= {entry["id"] for entry in entries}

    try:
        await eventually(arrived, 60)
    except TimeoutError:
        lost = calls.keys() - {entry["id"] for entry in entries}
        unfinished = [call.request_id for call in calls.values() if call.finished_time is None]
        pytest.fail(f"lost: {[calls[one] for one in lost]}; unfinished: {unfinished}")
    doubled = [one for one, count in Counter(entry["id"] for entry in entries).items() if count > 1]
    assert doubled == []
    problems: list[tuple[str, dict[str, Any], Call | None]] = []
    for entry in entries:
        call = calls.get(entry["id"])
        if call is None:
            # The adapter died after it noted the attempt and before, or while, the request left.
            if not (entry["estimated"] and entry["outcome"] == "interrupted"):
                problems.append(("never reached the vendor", entry, None))
        elif entry["estimated"]:
            # Of a whole answer that a process took to its grave nobody here knows the length.
            unseen = entry["outcome"] == "interrupted" and not entry["streamed"]
            if abs(entry["output_tokens"] - call.produced_tokens) > TOLERANCE and not unseen:
                problems.append(("estimate is far off", entry, call))
        elif entry["outcome"] == "succeeded" and (entry["input_tokens"], entry["output_tokens"]) != (
            call.input_tokens,
            call.output_tokens,
        ):
            problems.append(("exact entry differs", entry, call))
    if problems:
        pytest.fail("\n".join(map(repr, problems)))
    return entries
