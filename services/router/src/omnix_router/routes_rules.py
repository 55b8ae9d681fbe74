"""What may stand in a route about which request is for which targets, and what it means. Pure."""

from collections.abc import Iterable

import msgspec

from omnix_router.catalogue.models import Mode
from omnix_router.conditions import MODALITIES, Conditions
from omnix_router.preferring import Policy
from omnix_router.sticking import By, Sticky

_MOST = 100
_MAX_TEXT = 512
_MODES = tuple(mode.value for mode in Mode)
_POLICIES = tuple(policy.value for policy in Policy)
_METADATA = f"{By.METADATA}."


class RouteError(ValueError):
    """A route is wrong; ``key`` says where, ``problem`` what."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class When(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The conditions of one rule; one value stands for a list of one."""

    mode: str | list[str] | None = None
    modality: str | list[str] | None = None
    min_input_tokens: int | None = None
    max_input_tokens: int | None = None
    tenant: str | list[str] | None = None
    metadata: dict[str, str | list[str]] = {}


def conditions_of(key: str, when: When) -> Conditions:
    """:raises RouteError: naming the key and what is wrong."""
    least, most = when.min_input_tokens, when.max_input_tokens
    for name, tokens in (("min_input_tokens", least), ("max_input_tokens", most)):
        if tokens is not None and tokens < 0:
            raise RouteError(f"{key}.{name}", "must not be negative")
    if least is not None and most is not None and least > most:
        raise RouteError(f"{key}.max_input_tokens", "is less than min_input_tokens, so that nothing fits")
    conditions = Conditions(
        modes=frozenset(map(Mode, _known(f"{key}.mode", when.mode, _MODES))),
        modalities=_known(f"{key}.modality", when.modality, MODALITIES),
        min_input_tokens=least,
        max_input_tokens=most,
        tenants=_texts(f"{key}.tenant", when.tenant),
        metadata={name: _texts(f"{key}.metadata.{name!r}", values) for name, values in when.metadata.items()},
    )
    if conditions == Conditions():
        raise RouteError(key, "must hold at least one condition; what is for every request stands in the route")
    return conditions


def when_of(conditions: Conditions) -> When:
    """Write conditions so that :func:`conditions_of` reads the same."""
    return When(
        mode=_written(mode.value for mode in conditions.modes),
        modality=_written(conditions.modalities),
        min_input_tokens=conditions.min_input_tokens,
        max_input_tokens=conditions.max_input_tokens,
        tenant=_written(conditions.tenants),
        metadata={name: sorted(values) for name, values in sorted(conditions.metadata.items())},
    )


def policy_of(key: str, name: str) -> Policy:
    """:raises RouteError: naming the key and what is wrong."""
    if name not in _POLICIES:
        raise RouteError(key, f"{name!r} is none of {', '.join(_POLICIES)}")
    return Policy(name)


def sticky_of(key: str, name: str | None) -> Sticky | None:
    """:raises RouteError: naming the key and what is wrong."""
    if name is None:
        return None
    if name in (By.USER, By.CONVERSATION):
        return Sticky(By(name))
    if not name.startswith(_METADATA) or not (field := name.removeprefix(_METADATA)):
        raise RouteError(key, f"{name!r} is none of user, conversation, metadata.<field>")
    return Sticky(By.METADATA, field)


def sticky_text(sticky: Sticky | None) -> str | None:
    """Write what :func:`sticky_of` reads."""
    if sticky is None:
        return None
    return f"{_METADATA}{sticky.field}" if sticky.by is By.METADATA else sticky.by.value


def _known(key: str, given: str | list[str] | None, known: Iterable[str]) -> frozenset[str]:
    texts = _texts(key, given)
    if unknown := sorted(texts - set(known)):
        raise RouteError(key, f"{unknown[0]!r} is none of {', '.join(known)}")
    return texts


def _texts(key: str, given: str | list[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    texts = [given] if isinstance(given, str) else given
    if not 1 <= len(texts) <= _MOST:
        raise RouteError(key, f"must hold 1 to {_MOST} values")
    if not all(0 < len(text) <= _MAX_TEXT for text in texts):
        raise RouteError(key, f"values must have 1 to {_MAX_TEXT} characters")
    return frozenset(texts)


def _written(texts: Iterable[str]) -> str | list[str] | None:
    return sorted(texts) or None
