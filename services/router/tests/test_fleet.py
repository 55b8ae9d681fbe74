"""Many routers and one failing target: who knows what, who probes, how many calls are extra. All in simulated time."""

import heapq
import random
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_router.health import fleet
from omnix_router.health.circuits import Rules
from omnix_router.health.fleet import Record
from omnix_router.health.state import Gate, Health
from omnix_router.policies import Failure, GiveUp, Limits, RetryBudget, decide
from omnix_router.routing import Target

START = 1_800_000_000.0
RULES = Rules()
TARGET = Target("openai", "gpt-4.1")
KEY = TARGET.id
DOWN = error_for(Reason.PROVIDER_UNAVAILABLE, "down", provider="openai", provider_status=503)
REFUSED = error_for(Reason.INVALID_REQUEST, "bad", provider="openai")


class Broker:
    """The record that all routers share: writes are conditional, so here they simply come one after another."""

    def __init__(self) -> None:
        self.record = Record("openai")

    def write(self, health: Health, edits: list[fleet.Edit], now: float) -> Record:
        record = self.record
        for edit in (fleet.swept(now), *edits):
            record = edit(record)
        if record is not self.record:
            self.record = record.after(self.record.revision)
        health.adopt(self.record, now)
        return self.record

    def tell(self, health: Health, now: float) -> None:
        for provider, untold in list(health.pending.items()):
            told = dict(untold)
            self.write(health, list(told.values()), now)
            health.told(provider, told)

    def claim(self, health: Health, now: float) -> bool:
        outage = health.claim(KEY, now)
        untold = dict(health.pending.get("openai", {}))
        record = self.write(health, [*untold.values(), fleet.claimed(outage, RULES, now)], now)
        health.told("openai", untold)
        known = record.outages.get(outage.model)
        if known is not None and known.prober == health.router and known.until == outage.until:
            return True
        health.yield_to(KEY, known, now)
        return False


def opened(broker: Broker, health: Health, now: float = START, error: OmnixError = DOWN) -> None:
    for _ in range(RULES.in_a_row):
        health.failed(TARGET, error, now, now)
    broker.tell(health, now)


def test_one_opens_and_the_others_skip() -> None:
    broker, one, two = Broker(), Health(RULES, "one"), Health(RULES, "two")
    opened(broker, one)
    two.adopt(broker.record, START)
    assert [each.gate(KEY, START + 29) for each in (one, two)] == [Gate.BARRED, Gate.BARRED]
    assert [each.gate(KEY, START + 30) for each in (one, two)] == [Gate.DUE, Gate.DUE]
    assert two.outages[KEY].why == "5 failures in a row, the last PROVIDER_UNAVAILABLE with status 503"


def test_one_probes_and_its_success_closes_for_all() -> None:
    broker, one, two = Broker(), Health(RULES, "one"), Health(RULES, "two")
    opened(broker, one)
    two.adopt(broker.record, START)
    due = START + 30
    assert (broker.claim(two, due), broker.claim(one, due)) == (True, False)
    assert [each.gate(KEY, due + 1) for each in (one, two)] == [Gate.BARRED, Gate.BARRED]
    two.succeeded(TARGET, due, due + 1)
    broker.tell(two, due + 1)
    one.adopt(broker.record, due + 1)
    assert [each.gate(KEY, due + 1) for each in (one, two)] == [Gate.OPEN, Gate.OPEN]
    changes = [(change.time, change.opened, change.why, change.router) for change in broker.record.changes]
    assert changes == [
        (START, True, "5 failures in a row, the last PROVIDER_UNAVAILABLE with status 503", "one"),
        (due + 1, False, "it answered again after 31 s", "two"),
    ]


def test_failed_probe_opens_again_for_all_and_is_no_change() -> None:
    broker, one, two = Broker(), Health(RULES, "one"), Health(RULES, "two")
    opened(broker, one)
    assert broker.claim(one, START + 30)
    one.failed(TARGET, DOWN, START + 30, START + 32, probe=True)
    broker.tell(one, START + 32)
    two.adopt(broker.record, START + 32)
    assert (two.gate(KEY, START + 61), two.gate(KEY, START + 62)) == (Gate.BARRED, Gate.DUE)
    assert (two.outages[KEY].since, len(broker.record.changes)) == (START, 1)


def test_probe_that_says_nothing_is_given_back() -> None:
    broker, one, two = Broker(), Health(RULES, "one"), Health(RULES, "two")
    opened(broker, one)
    assert broker.claim(one, START + 30)
    one.failed(TARGET, REFUSED, START + 30, START + 31, probe=True)
    broker.tell(one, START + 31)
    assert broker.claim(one, START + 31)
    one.gave_up(TARGET, START + 32)
    broker.tell(one, START + 32)
    two.adopt(broker.record, START + 32)
    assert broker.claim(two, START + 32)


def test_probe_of_a_router_that_died_is_given_up() -> None:
    broker, one, two = Broker(), Health(RULES, "one"), Health(RULES, "two")
    opened(broker, one)
    two.adopt(broker.record, START)
    assert broker.claim(one, START + 30)
    two.adopt(broker.record, START + 30)
    assert (two.gate(KEY, START + 59), two.gate(KEY, START + 60)) == (Gate.BARRED, Gate.DUE)
    assert broker.claim(two, START + 60)
    # Had it only been slow, its success still closes.
    one.adopt(broker.record, START + 60)
    one.succeeded(TARGET, START + 30, START + 61)
    broker.tell(one, START + 61)
    assert broker.record.outages == {}


def test_success_that_began_before_the_outage_does_not_close() -> None:
    broker, health = Broker(), Health(RULES, "one")
    opened(broker, health)
    health.succeeded(TARGET, START - 10, START + 1)
    assert health.gate(KEY, START + 1) is Gate.BARRED


def test_outage_that_nobody_probed_is_forgotten() -> None:
    broker, health = Broker(), Health(RULES, "one")
    opened(broker, health)
    young = Health(RULES, "young")
    young.adopt(broker.record, START + 1000)
    assert (health.gate(KEY, START + 1000), young.gate(KEY, START + 1000)) == (Gate.OPEN, Gate.OPEN)


def test_what_was_not_told_yet_is_not_undone_by_what_others_say() -> None:
    broker, one, two = Broker(), Health(RULES, "one"), Health(RULES, "two")
    opened(broker, two)
    two.succeeded(TARGET, START + 1, START + 1)
    for _ in range(5):
        one.failed(TARGET, DOWN, START, START + 2)
    broker.tell(two, START + 2)
    one.adopt(broker.record, START + 2)
    assert one.gate(KEY, START + 3) is Gate.BARRED
    broker.tell(one, START + 3)
    two.adopt(broker.record, START + 3)
    assert two.gate(KEY, START + 3) is Gate.BARRED


def test_word_of_a_server_that_lost_what_it_had_counts_where_it_is_heard_anew() -> None:
    broker, health = Broker(), Health(RULES, "one")
    opened(broker, health)
    health.adopt(Record("openai"), START + 1)
    assert health.gate(KEY, START + 1) is Gate.BARRED
    health.adopt(Record("openai"), START + 1, anew=True)
    assert health.gate(KEY, START + 1) is Gate.OPEN


def test_without_the_others_each_router_decides_alone() -> None:
    alone = Health(RULES, "alone")
    for _ in range(5):
        alone.failed(TARGET, DOWN, START, START)
    assert (alone.gate(KEY, START + 1), alone.gate(KEY, START + 30)) == (Gate.BARRED, Gate.DUE)
    alone.claim(KEY, START + 30)
    assert alone.gate(KEY, START + 31) is Gate.BARRED
    alone.succeeded(TARGET, START + 30, START + 31)
    assert alone.gate(KEY, START + 31) is Gate.OPEN


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("fsnctx"), st.floats(0, 20)), max_size=120))
def test_whatever_happens_one_router_probes_and_memory_is_bounded(steps: list[tuple[int, str, float]]) -> None:
    broker, now = Broker(), START
    routers = [Health(RULES, str(number)) for number in range(3)]
    probing: dict[str, float] = {}
    for number, what, pause in steps:
        now += pause
        health = routers[number]
        probe = health.router in probing
        if what == "f":
            health.failed(TARGET, DOWN, probing.pop(health.router, now), now, probe=probe)
        elif what == "s":
            health.succeeded(TARGET, probing.pop(health.router, now), now)
        elif what == "n":
            health.failed(TARGET, REFUSED, probing.pop(health.router, now), now, probe=probe)
        elif what == "c" and not probe and health.gate(KEY, now) is Gate.DUE and broker.claim(health, now):
            # Whoever began a probe and did not end it within the cooldown is given up.
            assert all(now >= began + RULES.cooldown for began in probing.values())
            probing[health.router] = now
        elif what == "t":
            broker.tell(health, now)
        elif what == "x":
            health.adopt(broker.record, now)
        if what in "fsn":
            broker.tell(health, now)
            for each in routers:
                each.adopt(broker.record, now)
        assert len(broker.record.changes) <= fleet.CHANGES


@dataclass
class Vendor:
    """Fails between two moments, and counts."""

    down_from: float
    down_until: float
    calls: list[tuple[float, bool]] = field(default_factory=list)

    def answers(self, now: float) -> bool:
        up = not self.down_from <= now < self.down_until
        self.calls.append((now, up))
        return up


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hundred_routers_and_a_failing_vendor(seed: int) -> None:
    """100 replicas, 2,000 requests a second for three minutes; the vendor is down for one of them.

    An attempt takes 50 ms, and what a router says is heard by the others after up to 20 ms.
    """
    chance = random.Random(seed)
    broker = Broker()
    routers = [Health(RULES, str(number)) for number in range(100)]
    budgets = [RetryBudget() for _ in routers]
    vendor = Vendor(START + 20, START + 80)
    probes: list[tuple[float, float]] = []
    extra = first = failed = 0
    hearing: list[tuple[float, int]] = []
    seconds, rate, took = 180.0, 2000, 0.05
    for number in range(int(seconds * rate)):
        now = START + number / rate
        while hearing and hearing[0][0] <= now:
            routers[heapq.heappop(hearing)[1]].adopt(broker.record, now)
        index = chance.randrange(len(routers))
        health, budget = routers[index], budgets[index]
        first += 1
        budget.first_call()
        revision = broker.record.revision
        gate = health.gate(KEY, now)
        probe = gate is Gate.DUE and broker.claim(health, now)
        if gate is Gate.OPEN or probe:
            ended = now + took
            if probe:
                probes.append((now, ended))
            if vendor.answers(now):
                health.succeeded(TARGET, now, ended)
            else:
                health.failed(TARGET, DOWN, now, ended, probe=probe)
                budget.rest(now - START)
                step = decide(
                    [Failure(0, DOWN.reason)],
                    [0, 0],
                    remaining=timedelta(minutes=1),
                    affordable=budget.left > 0,
                    jitter=chance.random(),
                    limits=Limits(),
                    barred={0} if KEY in health.outages else frozenset(),
                )
                if isinstance(step, GiveUp):
                    failed += 1
                else:
                    budget.extra_call()
                    extra += 1
            broker.tell(health, ended)
        if broker.record.revision != revision:
            for other in range(len(routers)):
                heapq.heappush(hearing, (now + chance.uniform(0, 0.02), other))
    assert extra <= first * 0.2
    assert failed == 0
    probes.sort()
    assert all(ended <= began for (_, ended), (began, _) in pairwise(probes))
    down = [moment for moment, up in vendor.calls if not up]
    # Before the first router has seen enough, and while the word spreads; from then on probes alone.
    assert len(down) <= 100 * RULES.in_a_row
    assert len([moment for moment in down if moment > START + 22]) <= 3
    back = next(moment for moment, up in vendor.calls if up and moment >= vendor.down_until)
    assert back - vendor.down_until <= RULES.cooldown + 1
    assert vendor.answers(START + seconds)
    assert all(health.gate(KEY, START + seconds) is Gate.OPEN for health in routers)
