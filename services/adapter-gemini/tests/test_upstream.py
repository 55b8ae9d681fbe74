"""Which service is called, at which address, with which headers."""

import os
from typing import Any

import pytest
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.settings import Settings
from omnix_adapter_gemini.upstream import Places, Upstream, configured, sdk_client
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import load
from omnix_provider.errors import ModelNotFound


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("GOOGLE_", "GEMINI_", "OMNIX_")):
            monkeypatch.delenv(name)


def upstream(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Upstream:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return configured(load(Settings))


def key(configured: Upstream) -> str | None:
    return None if configured.api_key is None else configured.api_key.get_secret_value()


def path(configured: Upstream, model: str = "gemini-2.5-pro") -> str:
    places = Places.of(sdk_client(configured), configured)
    return places.server.removesuffix("models/any").rstrip("/") + " " + places.path(model, "generateContent")


def test_key_means_the_gemini_api_and_its_absence_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = upstream(monkeypatch)
    assert (nobody.problem, nobody.sandbox) == ("Neither GEMINI_API_KEY nor GOOGLE_API_KEY is set.", False)
    sandbox = upstream(monkeypatch, OMNIX_SANDBOX_URL="http://127.0.0.1:8099/")
    assert (sandbox.base_url, sandbox.sandbox, sandbox.problem) == ("http://127.0.0.1:8099/gemini", True, None)
    first = upstream(monkeypatch, GEMINI_API_KEY="k1")
    assert (key(first), first.service, first.base_url, first.sandbox) == ("k1", Service.DEVELOPER, None, False)
    second = upstream(monkeypatch, GOOGLE_API_KEY="k2", GOOGLE_GEMINI_BASE_URL="https://proxy.example/g")
    assert (key(second), second.base_url, second.problem) == ("k2", "https://proxy.example/g", None)


def test_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {"GOOGLE_API_KEY": "", "GOOGLE_GENAI_USE_VERTEXAI": "", "GOOGLE_CLOUD_PROJECT": ""}
    assert key(upstream(monkeypatch, GEMINI_API_KEY="k", **empty)) == "k"


def test_google_cloud_needs_a_project_or_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = upstream(monkeypatch, GOOGLE_GENAI_USE_VERTEXAI="true", OMNIX_SANDBOX_URL="http://127.0.0.1:1")
    assert (nobody.service, nobody.problem) == (Service.CLOUD, "GOOGLE_CLOUD_PROJECT is not set.")
    express = upstream(monkeypatch, GOOGLE_API_KEY="k")
    assert (key(express), express.problem, express.by_token) == ("k", None, False)
    named = upstream(monkeypatch, GOOGLE_CLOUD_PROJECT="p1")
    assert (key(named), named.project, named.location, named.by_token) == (None, "p1", "global", True)
    other = upstream(monkeypatch, GOOGLE_GENAI_USE_ENTERPRISE="false")
    assert (other.service, key(other)) == (Service.DEVELOPER, "k")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"GEMINI_API_KEY": "k"},
            "https://generativelanguage.googleapis.com/v1 /v1/models/gemini-2.5-pro:generateContent",
        ),
        (
            {"GEMINI_API_KEY": "k", "GOOGLE_GENAI_API_VERSION": "beta"},
            "https://generativelanguage.googleapis.com/v1beta /v1beta/models/gemini-2.5-pro:generateContent",
        ),
        (
            {"OMNIX_SANDBOX_URL": "http://127.0.0.1:8099"},
            "http://127.0.0.1:8099/gemini/v1 /gemini/v1/models/gemini-2.5-pro:generateContent",
        ),
        (
            {"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_CLOUD_PROJECT": "p1", "GOOGLE_CLOUD_LOCATION": "europe-west4"},
            "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p1/locations/europe-west4"
            " /v1beta1/projects/p1/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
        (
            {"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_CLOUD_PROJECT": "p1"},
            "https://aiplatform.googleapis.com/v1beta1/projects/p1/locations/global"
            " /v1beta1/projects/p1/locations/global/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
        (
            {"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_API_KEY": "k"},
            "https://aiplatform.googleapis.com/v1beta1"
            " /v1beta1/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
        (
            {
                "GOOGLE_GENAI_USE_VERTEXAI": "1",
                "GOOGLE_CLOUD_PROJECT": "p1",
                "GOOGLE_VERTEX_BASE_URL": "http://127.0.0.1:8099/gemini",
            },
            "http://127.0.0.1:8099/gemini/v1beta1/projects/p1/locations/global"
            " /gemini/v1beta1/projects/p1/locations/global/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
    ],
)
def test_addresses_are_those_of_the_sdk(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    assert path(upstream(monkeypatch, **variables)) == expected


def test_key_travels_in_a_header_and_the_sdks_reports_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    configured = upstream(monkeypatch, GEMINI_API_KEY="k")
    headers = dict(Places.of(sdk_client(configured), configured).headers)
    assert headers.pop("user-agent").startswith("google-genai-sdk/")
    assert headers == {"Content-Type": "application/json", "x-goog-api-key": "k"}


@pytest.mark.parametrize(
    ("model", "developer", "cloud"),
    [
        ("gemini-pro", "models/gemini-pro", "publishers/google/models/gemini-pro"),
        ("models/gemini-pro", "models/gemini-pro", None),
        ("tunedModels/mine-1", "tunedModels/mine-1", None),
        ("text-embedding-005@1", None, "publishers/google/models/text-embedding-005@1"),
        ("endpoints/123", None, "endpoints/123"),
        ("projects/other/locations/x/endpoints/1", None, None),
        ("../x", None, None),
        ("a:b", None, None),
        ("a?key=x", None, None),
        ("ä", None, None),
        ("", None, None),
    ],
)
def test_model_is_a_name_and_never_a_path_to_another(
    monkeypatch: pytest.MonkeyPatch, model: str, developer: str | None, cloud: str | None
) -> None:
    places: list[tuple[dict[str, str], Any]] = [
        ({"GEMINI_API_KEY": "k"}, developer),
        ({"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_CLOUD_PROJECT": "p1"}, cloud),
    ]
    for variables, expected in places:
        configured = upstream(monkeypatch, **variables)
        made = Places.of(sdk_client(configured), configured)
        if expected is None:
            with pytest.raises(ModelNotFound):
                made.path(model, "generateContent")
        else:
            assert made.resource(model) == expected


@pytest.mark.parametrize(
    "variables",
    [
        {"GOOGLE_GEMINI_BASE_URL": "ftp://x"},
        {"GOOGLE_GEMINI_BASE_URL": "http://u:p@x"},
        {"OMNIX_SANDBOX_URL": "sandbox"},
        {"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_CLOUD_PROJECT": "p/../q"},
        {"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_CLOUD_LOCATION": "x.example/"},
    ],
)
def test_bad_configuration_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=list(variables)[-1]):
        upstream(monkeypatch, **variables)
