"""The page of the services says what the conformance suite declares, and the declarations make sense."""

import pytest
from omnix_provider.conformance.behaviours import BEHAVIOURS
from omnix_provider.profile import Profile

from scripts.conformance_table import GROUPS, PAGE, ROWS, SERVICES, page, profiles


def test_page_is_current() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m scripts.conformance_table"


def test_every_service_has_its_row() -> None:
    assert {name for name, _, _ in ROWS} == {path.parent.name for path in SERVICES.glob("*/pyproject.toml")}


def test_vendors_and_behaviours_are_as_many_as_promised() -> None:
    assert [profile.provider for profile in profiles()] == ["openai", "bedrock", "gemini", "huggingface"]
    assert len(BEHAVIOURS) >= 40
    assert {behaviour.group for behaviour in BEHAVIOURS.values()} == set(GROUPS)


@pytest.mark.parametrize("profile", profiles(), ids=lambda profile: profile.provider)
def test_a_profile_speaks_of_behaviours_that_there_are(profile: Profile) -> None:
    for names in (profile.models, profile.refused, profile.told, profile.provisos):
        assert set(names) <= set(BEHAVIOURS)


@pytest.mark.parametrize("profile", profiles(), ids=lambda profile: profile.provider)
def test_what_is_refused_has_no_other_mark(profile: Profile) -> None:
    assert not set(profile.refused) & (set(profile.told) | set(profile.provisos))
    assert all(refused.param and refused.why for refused in profile.refused.values())


def test_every_behaviour_means_something_somewhere() -> None:
    """Only a mode is refused by all, where no catalogue says what it is for the model."""
    everywhere = {name for name in BEHAVIOURS if all(name in profile.refused for profile in profiles())}
    assert everywhere == {"wished_mode"}
