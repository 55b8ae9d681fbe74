"""The promises by name and in order, as the table of the vendors shows them."""

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from omnix_provider.conformance.vendor import Vendor

Test = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the table."""

    name: str
    group: str
    title: str


BEHAVIOURS: dict[str, Behaviour] = {}


class RefusedByName(Exception):
    """What was asked is refused by the name that the profile says, and the vendor heard nothing of it."""


def group(name: str) -> Callable[..., Callable[[Test], Test]]:
    """A decorator for the tests of one group of behaviours: ``@behaviour("a title")``.

    With ``cases`` the test takes an argument ``case``, and each is a behaviour of its own, ``name/case``; ``{}`` in the
    title is its place. Where the profile says that the behaviour is refused, the test must come to ``Vendor.answer``
    or another question, which sees to the refusal.
    """

    def behaviour(title: str, cases: Sequence[str] = ()) -> Callable[[Test], Test]:
        def declared(test: Test) -> Test:
            key = getattr(test, "__name__", "").removeprefix("test_")
            for case in cases:
                BEHAVIOURS[f"{key}/{case}"] = Behaviour(f"{key}/{case}", name, title.format(case))
            if not cases:
                BEHAVIOURS[key] = Behaviour(key, name, title)

            @functools.wraps(test)
            async def run(vendor: "Vendor", **more: Any) -> None:
                about = vendor.in_view_of(f"{key}/{more['case']}" if cases else key)
                if about.refused is None:
                    await test(vendor=about, **more)
                    return
                with pytest.raises(RefusedByName):
                    await test(vendor=about, **more)

            return pytest.mark.parametrize("case", cases)(run) if cases else run

        return declared

    return behaviour
