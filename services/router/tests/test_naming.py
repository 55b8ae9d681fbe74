from dataclasses import replace

import pytest
from omnix_kit.errors import CallerError, OmnixError, Reason
from omnix_router.catalogue.models import Mode
from omnix_router.naming import Named, checked, without_mode

from .words import LARGE, NAMES, SAME_THERE, SMALL, THINKER


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt-4o-mini", Named("openai", "gpt-4o-mini", SMALL)),
        ("gpt-4o-mini", Named("openai", "gpt-4o-mini", SMALL)),
        ("gpt-large", Named("openai", "gpt-4.1", LARGE)),
        ("openai/gpt-large", Named("openai", "gpt-4.1", LARGE)),
        ("azure/gpt-4o", Named("azure", "gpt-4o", SAME_THERE)),
        ("openai/sandbox-echo", Named("openai", "sandbox-echo", None)),
        ("ollama/org/model:7b", Named("ollama", "org/model:7b", None)),
        ("llama3", Named("ollama", "llama3", None)),
        # The catalogue comes before what was only announced.
        ("o3", Named("openai", "o3", THINKER)),
        ("gemini-pro", None),
        ("gemini/gemini-pro", None),
        ("nobody/knows", None),
        ("gpt-5o", None),
        ("openai/", None),
    ],
)
def test_names_mean_models(name: str, expected: Named | None) -> None:
    assert NAMES.find(name) == expected


def test_ambiguous_name_lists_the_candidates() -> None:
    with pytest.raises(CallerError) as caught:
        NAMES.find("gpt-4o")
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert "azure/gpt-4o, openai/gpt-4o" in caught.value.message


def test_name_is_unambiguous_while_only_one_of_its_providers_is_served() -> None:
    names = replace(NAMES, providers=frozenset({"azure"}))
    assert names.find("gpt-4o") == Named("azure", "gpt-4o", SAME_THERE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Both have it by the catalogue; so it is the one's that did not register itself.
        ("gpt-4o", Named("openai", "gpt-4o", NAMES.catalogue.find("openai", "gpt-4o"))),
        # What only one that registered itself announced has no short name.
        ("llama3", None),
        ("ollama/llama3", Named("ollama", "llama3", None)),
        ("azure/gpt-4o", Named("azure", "gpt-4o", SAME_THERE)),
    ],
)
def test_who_registered_itself_changes_no_name(name: str, expected: Named | None) -> None:
    names = replace(NAMES, registered=frozenset({"azure", "ollama"}))
    assert names.find(name) == expected
    assert names.knows("llama3") is False


def test_model_that_the_catalogue_knows_has_its_short_name_where_nobody_else_serves_one() -> None:
    names = replace(NAMES, providers=frozenset({"azure"}), registered=frozenset({"azure"}))
    assert names.find("gpt-4o") == Named("azure", "gpt-4o", SAME_THERE)


@pytest.mark.parametrize(
    ("name", "complete", "reason", "told"),
    [
        ("gpt-4o-mino", True, Reason.MODEL_NOT_FOUND, "Did you mean 'gpt-4o-mini'"),
        ("zzz", True, Reason.MODEL_NOT_FOUND, "does not exist."),
        ("x" * 200, True, Reason.MODEL_NOT_FOUND, "does not exist."),
        ("gemini-pro", True, Reason.MODEL_NOT_FOUND, "no adapter serves gemini"),
        ("gemini/gemini-pro", True, Reason.MODEL_NOT_FOUND, "no adapter serves gemini"),
        ("gemini-pro", False, Reason.UNAVAILABLE, "not known yet"),
        ("zzz", False, Reason.UNAVAILABLE, "not known yet"),
    ],
)
def test_unknown_name_is_told_with_what_helps(name: str, complete: bool, reason: Reason, told: str) -> None:
    error: OmnixError = replace(NAMES, complete=complete).unknown(name)
    assert (error.reason, error.param) == (reason, "model")
    assert told in error.message


def test_close_route_is_suggested() -> None:
    assert "'quickest'" in NAMES.unknown("quickes", ["quickest"]).message


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "a\x00"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(CallerError) as caught:
        checked(name)
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, "model")


@pytest.mark.parametrize(
    ("name", "base", "mode"),
    [
        ("gpt-4o:flash", "gpt-4o", Mode.FLASH),
        ("openai/gpt-4o:think", "openai/gpt-4o", Mode.THINK),
        ("team/a:ultra-think", "team/a", Mode.ULTRA_THINK),
        ("x:think:flash", "x:think", Mode.FLASH),
        (":think", "", Mode.THINK),
        ("gpt-4o", "gpt-4o", None),
        ("think", "think", None),
        ("anthropic.claude-v1:0", "anthropic.claude-v1:0", None),
        ("gpt-4o:Think", "gpt-4o:Think", None),
        ("gpt-4o:think ", "gpt-4o:think ", None),
    ],
)
def test_name_may_end_in_a_mode(name: str, base: str, mode: Mode | None) -> None:
    assert without_mode(name) == (base, mode)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gpt-4o-mini", True),
        ("gpt-large", True),
        ("openai/gpt-large", True),
        ("llama3", True),
        ("ollama/llama3", True),
        ("ollama/llama4", False),
        ("llama4", False),
    ],
)
def test_names_of_the_catalogue_and_of_adapters_are_known(name: str, known: bool) -> None:
    assert NAMES.knows(name) is known
