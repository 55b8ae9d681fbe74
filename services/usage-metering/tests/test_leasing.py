"""The arithmetic of leases, whatever gateways do: what is left is never granted twice, and all of it can be had."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_usage_metering.quotas.leasing import Ask, Counter, Terms, in_window, is_reached, lease, with_books

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIFETIME = timedelta(seconds=15)


def terms(amount: int, now: datetime = NOW, *, is_hard: bool = True) -> Terms:
    return Terms(amount, is_hard, now, now + LIFETIME)


class Gateway:
    """Uses what it is granted, as one that runs alone would see it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spent = 0
        self.granted = 0
        self.window = 0

    def ask(self, counter: Counter, amount: int, need: int, want: int, now: datetime = NOW) -> Counter:
        told = Ask(self.window, self.spent, 0, need, want)
        counter, grant = lease(counter, self.name, told, terms(amount, now))
        self.granted, self.window = grant.granted, counter.window
        return counter

    def use(self, most: int) -> None:
        used = min(most, self.granted)
        self.granted -= used
        self.spent += used


steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(0, 200), st.integers(0, 200)), max_size=200
)


@given(amount=st.integers(1, 500), steps=steps)
@settings(max_examples=300, deadline=None)
def test_no_more_is_used_than_the_limit_while_leases_hold(amount: int, steps: list[tuple[int, int, int, int]]) -> None:
    counter = in_window(Counter(), 7)
    gateways = [Gateway(str(number)) for number in range(4)]
    for who, need, want, use in steps:
        counter = gateways[who].ask(counter, amount, need, max(need, want))
        gateways[who].use(use)
        assert sum(each.spent + each.granted for each in gateways) <= amount


@given(amount=st.integers(1, 3000), steps=steps, idle=st.sets(st.integers(0, 3), max_size=3))
@settings(max_examples=200, deadline=None)
def test_all_of_a_limit_can_be_used_by_those_that_demand_it(
    amount: int, steps: list[tuple[int, int, int, int]], idle: set[int]
) -> None:
    counter = in_window(Counter(), 7)
    gateways = [Gateway(str(number)) for number in range(4)]
    for who, need, want, use in steps:
        counter = gateways[who].ask(counter, amount, need, max(need, want))
        gateways[who].use(use)
    for who in idle:  # they give back what they do not use
        counter = gateways[who].ask(counter, amount, 0, 0)
    eager = [each for number, each in enumerate(gateways) if number not in idle]
    for _ in range(10 * amount):
        for gateway in eager:
            counter = gateway.ask(counter, amount, 1, 100)
            gateway.use(1 if sum(each.spent for each in gateways) % 3 else 100)
        if sum(each.spent for each in gateways) == amount:
            break
    assert sum(each.spent for each in gateways) == amount


@given(amount=st.integers(10, 2000), cost=st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_what_does_not_suffice_for_a_request_is_not_kept_by_any_gateway(amount: int, cost: int) -> None:
    counter = in_window(Counter(), 7)
    gateways = [Gateway(str(number)) for number in range(4)]
    refused = 0
    while refused < 4:
        refused = 0
        for gateway in gateways:
            if gateway.granted < cost:
                counter = gateway.ask(counter, amount, cost, 2 * cost)
            if gateway.granted < cost:
                refused += 1
            else:
                gateway.use(cost)
    assert sum(each.spent for each in gateways) > amount - cost


def test_an_expired_lease_returns_what_was_not_told_and_keeps_what_was() -> None:
    counter = in_window(Counter(), 7)
    dead, other = Gateway("dead"), Gateway("other")
    counter = dead.ask(counter, 100, 40, 40)
    dead.use(10)
    counter = dead.ask(counter, 100, 40, 40)
    dead.use(30)  # and dies: 30 are never told
    counter = other.ask(counter, 100, 1, 100, NOW + LIFETIME - timedelta(seconds=1))
    assert (counter.spent, counter.granted(NOW + timedelta(seconds=1))) == (10, 40 + other.granted)
    late = NOW + LIFETIME
    counter = other.ask(counter, 100, 90, 90, late)
    assert other.granted == 90  # overshoot: the 30 of the lease that was out
    assert dead.spent + other.granted == 100 + 30


def test_telling_twice_changes_nothing() -> None:
    counter = in_window(Counter(), 7)
    counter, _ = lease(counter, "a", Ask(0, 0, 0, 1, 10), terms(100))
    once, granted = lease(counter, "a", Ask(7, 5, 2, 1, 10), terms(100))
    twice, again = lease(once, "a", Ask(7, 5, 2, 1, 10), terms(100))
    assert (twice, again) == (once, granted)


def test_a_new_window_begins_with_nothing_used_and_none_goes_back() -> None:
    counter = in_window(Counter(), 7)
    counter, _ = lease(counter, "a", Ask(0, 0, 0, 1, 10), terms(10))
    counter, _ = lease(counter, "a", Ask(7, 10, 0, 0, 0), terms(10))
    assert counter.used == 10
    assert in_window(counter, 6) is counter
    fresh = in_window(counter, 8)
    assert (fresh.used, fresh.window) == (0, 8)
    told, grant = lease(fresh, "a", Ask(7, 10, 3, 1, 1), terms(10))
    assert (told.used, told.reserved(NOW), grant.granted) == (0, 0, 1)


def test_soft_limits_grant_whatever_is_wanted_and_are_told() -> None:
    counter = in_window(Counter(), 7)
    ask = Ask(7, 12, 0, 5, 50)
    soft = terms(10, is_hard=False)
    counter, grant = lease(counter, "a", ask, soft)
    assert (grant.granted, grant.exhausted) == (50, True)
    assert is_reached(counter, ask, grant, soft)


def test_costs_are_what_the_ledger_says_and_what_it_is_about_to() -> None:
    counter = with_books(in_window(Counter(), 7), 1000, NOW)
    assert counter.used == 1000  # spent before anybody leased
    counter, _ = lease(counter, "a", Ask(7, 200, 0, 0, 0), terms(5000))
    assert counter.used == 1200
    counter = with_books(counter, 1150, NOW)  # 150 of these are in the ledger
    assert counter.used == 1150 + 200
    counter = with_books(counter, 1210, NOW)  # all of them, and 10 that no gateway knows of
    assert counter.used == 1210
    counter, grant = lease(counter, "a", Ask(7, 200, 300, 5000, 5000), terms(5000))
    assert grant.granted == 0
    assert not grant.exhausted
    assert lease(with_books(counter, 5000, NOW), "a", Ask(7, 200, 0, 0, 0), terms(5000))[1].exhausted
