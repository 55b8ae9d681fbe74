"""Faults that the control address orders: which calls they meet, and for how long."""

import random
from fnmatch import fnmatchcase

import msgspec

from omnix_sandbox.conversations import Conversations
from omnix_sandbox.faults import Fault, parse_fault
from omnix_sandbox.record import Operation

MAX_RULES = 1_000


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Globs that must all fit; `stream` None means both kinds of call, `operation` None any."""

    vendor: str = "*"
    model: str = "*"
    request_id: str = "*"
    stream: bool | None = None
    operation: Operation | None = None


class RuleOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as it is ordered: the first `skip` matching calls pass, the next `count` (None: all) have the fault.

    With a probability each of them is drawn by the rule's own generator, begun with `seed`, so a run can be repeated.
    """

    fault: Fault | str
    match: Match = Match()
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.count is not None and self.count < 1) or self.skip < 0 or not 0 <= self.probability <= 1:
            raise ValueError("count must be at least 1, skip at least 0, probability from 0 to 1")


class Rule:
    """An order at work."""

    def __init__(self, name: str, order: RuleOrder) -> None:
        self.name = name
        self.order = order
        self.fault = parse_fault(order.fault) if isinstance(order.fault, str) else order.fault
        self.seen = 0
        self.hits = 0
        self._rng = random.Random(order.seed)  # noqa: S311 - repeatable on purpose

    def meets(self, vendor: str, model: str, request_id: str, stream: bool, operation: Operation) -> bool:
        """Whether this call shall have the fault; asking counts the call."""
        wanted = self.order.match
        if (
            not fnmatchcase(vendor, wanted.vendor)
            or not fnmatchcase(model, wanted.model)
            or not fnmatchcase(request_id, wanted.request_id)
            or wanted.stream not in (None, stream)
            or wanted.operation not in (None, operation)
        ):
            return False
        self.seen += 1
        if self.seen <= self.order.skip or (self.order.count is not None and self.hits >= self.order.count):
            return False
        if self.order.probability < 1 and self._rng.random() >= self.order.probability:
            return False
        self.hits += 1
        return True


class Rules:
    """The rules in the order in which they came; the first that meets a call decides."""

    def __init__(self) -> None:
        self.conversations = Conversations()
        self._rules: dict[str, Rule] = {}
        self._number = 0

    def add(self, order: RuleOrder) -> Rule:
        """Put a rule to work.

        Raises:
            ValueError: its fault can't be read, or there are too many rules.
        """
        if len(self._rules) >= MAX_RULES:
            raise ValueError(f"there are {MAX_RULES} rules already")
        rule = Rule(f"rule-{self._number + 1}", order)
        self._number += 1
        self._rules[rule.name] = rule
        return rule

    def remove(self, name: str) -> bool:
        return self._rules.pop(name, None) is not None

    def clear(self) -> None:
        """Forget the rules, and which conversations were asked for."""
        self._rules.clear()
        self.conversations.clear()

    def list(self) -> list[Rule]:
        return list(self._rules.values())

    def find(self, vendor: str, model: str, request_id: str, stream: bool, operation: Operation) -> Rule | None:
        for rule in self._rules.values():
            if rule.meets(vendor, model, request_id, stream, operation):
                return rule
        return None
