"""What may stand in a routes file about which request is for which targets, and what it means. Pure."""

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


class When(msgspec.Struct, forbid_unknown_fields=True):
    """The conditions of one rule; one value stands for a list of one."""

    mode: str | list[str] | None = None
    modality: str | list[str] | None = None
    min_input_tokens: int | None = None
    max_input_tokens: int | None = None
    tenant: str | list[str] | None = None
    metadata: dict[str, str | list[str]] = {}


def conditions_of(key: str, when: When) -> Conditions:
    """:raises ValueError: naming the key and what is wrong."""
    least, most = when.min_input_tokens, when.max_input_tokens
    for name, tokens in (("min_input_tokens", least), ("max_input_tokens", most)):
        if tokens is not None and tokens < 0:
            raise ValueError(f"{key}.{name}: must not be negative")
    if least is not None and most is not None and least > most:
        raise ValueError(f"{key}.max_input_tokens: is less than min_input_tokens, so that nothing fits")
    conditions = Conditions(
        modes=frozenset(map(Mode, _known(f"{key}.mode", when.mode, _MODES))),
        modalities=_known(f"{key}.modality", when.modality, MODALITIES),
        min_input_tokens=least,
        max_input_tokens=most,
        tenants=_texts(f"{key}.tenant", when.tenant),
        metadata={name: _texts(f"{key}.metadata.{name!r}", values) for name, values in when.metadata.items()},
    )
    if conditions == Conditions():
        raise ValueError(f"{key}: must hold at least one condition; what is for every request stands in the route")
    return conditions


def policy_of(key: str, name: str) -> Policy:
    """:raises ValueError: naming the key and what is wrong."""
    if name not in _POLICIES:
        raise ValueError(f"{key}: {name!r} is none of {', '.join(_POLICIES)}")
    return Policy(name)


def sticky_of(key: str, name: str | None) -> Sticky | None:
    """:raises ValueError: naming the key and what is wrong."""
    if name is None:
        return None
    if name in (By.USER, By.CONVERSATION):
        return Sticky(By(name))
    if not name.startswith(_METADATA) or not (field := name.removeprefix(_METADATA)):
        raise ValueError(f"{key}: {name!r} is none of user, conversation, metadata.<field>")
    return Sticky(By.METADATA, field)


def _known(key: str, given: str | list[str] | None, known: Iterable[str]) -> frozenset[str]:
    texts = _texts(key, given)
    if unknown := sorted(texts - set(known)):
        raise ValueError(f"{key}: {unknown[0]!r} is none of {', '.join(known)}")
    return texts


def _texts(key: str, given: str | list[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    texts = [given] if isinstance(given, str) else given
    if not 1 <= len(texts) <= _MOST:
        raise ValueError(f"{key}: must hold 1 to {_MOST} values")
    if not all(0 < len(text) <= _MAX_TEXT for text in texts):
        raise ValueError(f"{key}: values must have 1 to {_MAX_TEXT} characters")
    return frozenset(texts)
