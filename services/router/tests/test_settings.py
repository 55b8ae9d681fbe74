from datetime import timedelta

import pytest
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import load
from omnix_router.registration.allowed import Allowed
from omnix_router.settings import AdapterAddress, Settings


def test_adapters_are_names_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIX_ADAPTERS", "openai=127.0.0.1:5001, other=[::1]:5002,openai=adapter-2.local:5001,")
    monkeypatch.setenv("OMNIX_IDLE_TIMEOUT", "1500ms")
    settings = load(Settings)
    assert settings.adapters == (
        AdapterAddress("openai", "127.0.0.1:5001"),
        AdapterAddress("other", "[::1]:5002"),
        AdapterAddress("openai", "adapter-2.local:5001"),
    )
    assert settings.idle_timeout == timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OMNIX_ADAPTERS", "", "must name at least one adapter"),
        ("OMNIX_ADAPTERS", "openai", "must be name=host:port"),
        ("OMNIX_ADAPTERS", "openai=http://127.0.0.1:1", "must be name=host:port"),
        ("OMNIX_ADAPTERS", "Open/AI=127.0.0.1:1", "must be name=host:port"),
        ("OMNIX_ADAPTERS_FROM", "127.0.0.1,*", "'*' is neither a host, nor hosts as *.example.internal"),
        ("OMNIX_ADAPTERS_FROM", "acme:5001", "'acme:5001' is neither a host"),
        ("OMNIX_REGISTRATION_TIMEOUT", "0s", "must be more than 0 and at most 24h"),
        ("OMNIX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("OMNIX_IDLE_TIMEOUT", "0s", "must be more than 0 and at most 24h"),
        ("OMNIX_FIRST_CONTENT_TIMEOUT_THINK", "soon", "must be a duration"),
    ],
)
def test_wrong_value_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv("OMNIX_ADAPTERS", "openai=127.0.0.1:5001")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    assert str(caught.value).startswith(f"{variable}: ")
    assert told in str(caught.value)


def test_nobody_may_register_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIX_ADAPTERS", "openai=127.0.0.1:5001")
    assert not load(Settings).adapters_from
    monkeypatch.setenv("OMNIX_ADAPTERS_FROM", " 10.1.0.0/16, *.acme.internal ,")
    assert load(Settings).adapters_from == Allowed.of(["10.1.0.0/16", "*.acme.internal"])


def test_adapters_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIX_ADAPTERS", raising=False)
    with pytest.raises(ConfigurationError, match="OMNIX_ADAPTERS: Field required"):
        load(Settings)
