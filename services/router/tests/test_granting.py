"""What registered adapters may serve of what they announce."""

from omnix_router.providers import Announcement, Provider
from omnix_router.registration.granting import Refusal, Why, granted


def provider(name: str, kind: str = "own", *, sandbox: bool = False, problem: str = "") -> Provider:
    return Provider(name, kind, sandbox, problem)


def announcing(*providers: Provider, models: tuple[tuple[str, str], ...] = ()) -> Announcement:
    return Announcement(providers, frozenset(models))


def test_what_nobody_else_serves_is_granted_with_its_models() -> None:
    said = announcing(provider("acme"), models=(("acme", "one"), ("acme", "org/two")))
    found = granted({"openai"}, {"a": said})
    assert (found.announcements, found.refusals) == ({"a": said}, frozenset())


def test_provider_of_a_configured_adapter_stays_there_and_the_rest_is_granted() -> None:
    said = announcing(provider("openai"), provider("acme"), models=(("openai", "gpt-4o"), ("acme", "one")))
    found = granted({"openai"}, {"a": said})
    assert found.announcements == {"a": announcing(provider("acme"), models=(("acme", "one"),))}
    assert found.refusals == {Refusal("a", "openai", Why.CONFIGURED)}


def test_models_of_providers_that_it_does_not_announce_are_left_out() -> None:
    said = announcing(provider("acme"), models=(("acme", "one"), ("openai", "gpt-4o"), ("acme", ""), ("acme", "a\nb")))
    assert granted(set(), {"a": said}).announcements["a"].models == {("acme", "one")}


def test_several_that_say_the_same_of_a_provider_share_it() -> None:
    said = announcing(provider("acme"))
    broken = announcing(provider("acme", problem="ACME_KEY is not set"))
    found = granted(set(), {"a": said, "b": said, "c": broken})
    assert (len(found.announcements), found.refusals) == (3, frozenset())
    assert all(each.providers for each in found.announcements.values())


def test_first_who_registers_says_what_a_provider_is() -> None:
    found = granted(
        set(),
        {
            "a": announcing(provider("acme")),
            "kind": announcing(provider("acme", "openai")),
            "sandbox": announcing(provider("acme", sandbox=True)),
        },
    )
    assert found.refusals == {Refusal("kind", "acme", Why.OTHER), Refusal("sandbox", "acme", Why.OTHER)}
    assert [bool(each.providers) for each in found.announcements.values()] == [True, False, False]


def test_names_that_are_none_are_refused() -> None:
    said = announcing(*(provider(name) for name in ("", "Acme", "a/b", "a b", "a" * 64, "_a", "ok-1.2_3")))
    found = granted(set(), {"a": said})
    assert [each.name for each in found.announcements["a"].providers] == ["ok-1.2_3"]
    assert found.refusals == {Refusal("a", "", Why.NAME)}


def test_announcement_without_end_is_refused_whole() -> None:
    many = announcing(*(provider(f"p{number}") for number in range(33)))
    large = announcing(provider("acme"), models=tuple(("acme", str(number)) for number in range(5001)))
    found = granted(set(), {"many": many, "large": large})
    assert found.announcements == {}
    assert found.refusals == {Refusal("many", "", Why.SIZE), Refusal("large", "", Why.SIZE)}
