"""Names that cannot stand in a subject as they are."""

import pytest
from omnix_kit import subjects


@pytest.mark.parametrize("provider", ["openai", "my.own-server", "a b", "100%", "ö*>"])
def test_any_provider_has_a_subject_of_its_own_that_all_routers_hear(provider: str) -> None:
    subject = subjects.provider_health(provider)
    assert subject.count(".") == subjects.PROVIDER_HEALTH.count(".")
    assert not set(subject) & set(" *>")
    assert subjects.provider_of_health(subject) == provider


def test_usual_provider_stands_in_its_subject_as_it_is() -> None:
    assert subjects.provider_health("openai") == "omnix.v1.provider.health.openai"


def test_no_tenant_can_be_taken_for_another() -> None:
    tenants = ["default", "a.b", "a", "*", ">", "a%2Eb", "a b"]
    for subject_of, all_of_them in (
        (subjects.cached, subjects.CACHED),
        (subjects.call_claimed, subjects.CALLS_CLAIMED),
    ):
        told = {subject_of(tenant, "0f") for tenant in tenants}
        assert len(told) == len(tenants)
        for subject in told:
            assert subject.count(".") == all_of_them.count(".")
            assert not set(subject) & set(" *>")
