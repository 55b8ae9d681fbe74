import pytest
from omnix_router.catalogue.models import Mode
from omnix_router.conditions import Conditions, Facts

FACTS = Facts("acme", "ann", "", Mode.THINK, frozenset({"image"}), 1000, None, {"tier": "gold"})


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (Conditions(), True),
        (Conditions(modes=frozenset({Mode.THINK, Mode.FLASH})), True),
        (Conditions(modes=frozenset({Mode.FLASH})), False),
        (Conditions(modalities=frozenset({"image", "file"})), True),
        (Conditions(modalities=frozenset({"audio"})), False),
        (Conditions(min_input_tokens=1000), True),
        (Conditions(min_input_tokens=1001), False),
        (Conditions(max_input_tokens=1000), True),
        (Conditions(max_input_tokens=999), False),
        (Conditions(tenants=frozenset({"acme"})), True),
        (Conditions(tenants=frozenset({"other"})), False),
        (Conditions(metadata={"tier": frozenset({"gold", "silver"})}), True),
        (Conditions(metadata={"tier": frozenset({"silver"})}), False),
        (Conditions(metadata={"tier": frozenset({"gold"}), "more": frozenset({"x"})}), False),
        (Conditions(modes=frozenset({Mode.THINK}), tenants=frozenset({"other"})), False),
    ],
)
def test_all_that_is_asked_must_hold(when: Conditions, holds: bool) -> None:
    assert when.hold(FACTS) is holds


def test_request_that_says_nothing_meets_only_what_asks_nothing() -> None:
    assert Conditions(max_input_tokens=0).hold(Facts())
    assert not Conditions(modes=frozenset(Mode)).hold(Facts())
    assert not Conditions(modalities=frozenset({"image"})).hold(Facts())
    assert not Conditions(metadata={"tier": frozenset({""})}).hold(Facts())
