"""Who is called: AWS when a variable gives credentials, the sandbox otherwise."""

import os
from pathlib import Path

import pytest
from omnix_adapter_bedrock.settings import Settings
from omnix_adapter_bedrock.upstream import KEYS, Upstream, configured
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import load

SANDBOX = "http://127.0.0.1:8099/"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "OMNIX_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def found() -> Upstream:
    return configured(load(Settings), os.environ)


def test_sandbox_serves_where_no_variable_gives_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIX_SANDBOX_URL", SANDBOX)
    assert found() == Upstream("http://127.0.0.1:8099/bedrock", "us-east-1", sandbox=True)


@pytest.mark.parametrize("key", KEYS)
def test_any_variable_that_gives_credentials_means_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile x]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("OMNIX_SANDBOX_URL", SANDBOX)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv(key, "x")
    upstream = found()
    assert (upstream.url, upstream.region) == ("https://bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1")
    assert not upstream.sandbox
    assert (upstream.token is not None) == (key == "AWS_BEARER_TOKEN_BEDROCK")


def test_region_comes_from_variables_and_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert found().problem == "AWS_REGION is not set."
    config = tmp_path / "config"
    config.write_text("[profile x]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "x")
    assert found().region == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert found().region == "eu-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert found().region == "eu-west-3"


def test_address_is_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-gov-west-1")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert found().url == "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://vpce-1.example/")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "false")
    assert found().url == "https://vpce-1.example"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "ftp://x", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://u:p@x.example", "must hold no credentials"),
        ("AWS_PROFILE", "absent", "absent"),
    ],
)
def test_bad_configuration_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as refused:
        found()
    assert told in str(refused.value)


def test_bad_address_of_the_sandbox_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIX_SANDBOX_URL", "127.0.0.1:8099")
    with pytest.raises(ConfigurationError, match="OMNIX_SANDBOX_URL"):
        found()
