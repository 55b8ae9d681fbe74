"""Where Gemini is, with what credential, as the settings say. The SDK knows the addresses, versions and headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from google import genai
from google.genai.types import HttpOptions
from omnix_kit.errors import ConfigurationError
from omnix_provider.errors import ModelNotFound
from pydantic import SecretStr

from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.settings import Settings

NAME = "gemini"
_GLOBAL = "global"
_SANDBOX_KEY = "sandbox"
_ANSWER_WITHIN = 10_000
"""Milliseconds; of the SDK's own calls."""


@dataclass(frozen=True)
class Upstream:
    """One service with one credential."""

    service: Service
    api_key: SecretStr | None = None
    project: str | None = None
    """Google Cloud's; without it and with a key, the key is Google Cloud's own."""
    location: str = _GLOBAL
    base_url: str | None = None
    api_version: str | None = None
    sandbox: bool = False
    problem: str | None = None
    """Why it cannot be called."""

    @property
    def by_token(self) -> bool:
        return self.service is Service.CLOUD and self.api_key is None


def configured(settings: Settings) -> Upstream:
    """:raises ConfigurationError: naming the variable at fault."""
    key = settings.google_api_key or settings.gemini_api_key
    cloud = settings.use_vertexai if settings.use_enterprise is None else settings.use_enterprise
    if cloud:
        _check_url(settings.vertex_base_url, "GOOGLE_VERTEX_BASE_URL")
        _check_word(settings.cloud_project, "GOOGLE_CLOUD_PROJECT")
        _check_word(settings.cloud_location, "GOOGLE_CLOUD_LOCATION")
        named = settings.cloud_project is not None
        return Upstream(
            Service.CLOUD,
            api_key=None if named else key,
            project=settings.cloud_project,
            location=settings.cloud_location or _GLOBAL,
            base_url=settings.vertex_base_url,
            api_version=settings.api_version,
            problem=None if named or key is not None else "GOOGLE_CLOUD_PROJECT is not set.",
        )
    if key is None and settings.sandbox_url is not None:
        _check_url(settings.sandbox_url, "OMNIX_SANDBOX_URL")
        url = f"{settings.sandbox_url.rstrip('/')}/gemini"
        return Upstream(Service.DEVELOPER, SecretStr(_SANDBOX_KEY), base_url=url, sandbox=True)
    _check_url(settings.gemini_base_url, "GOOGLE_GEMINI_BASE_URL")
    return Upstream(
        Service.DEVELOPER,
        api_key=key,
        base_url=settings.gemini_base_url,
        api_version=settings.api_version,
        problem=None if key is not None else "Neither GEMINI_API_KEY nor GOOGLE_API_KEY is set.",
    )


def _check_url(url: str | None, where: str) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{where}: must be an http or https address")
    if parts.username or parts.password:
        raise ConfigurationError(f"{where}: must hold no credentials")


def _check_word(word: str | None, where: str) -> None:
    if word is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.:_-]*", word, re.IGNORECASE):
        raise ConfigurationError(f"{where}: must be a name of letters, digits and hyphens")


def sdk_client(upstream: Upstream) -> genai.Client:
    """The SDK's client. Making it opens no connection and reads no credentials."""
    key = None if upstream.api_key is None else upstream.api_key.get_secret_value()
    options = HttpOptions(
        base_url=upstream.base_url,
        api_version=_version(upstream.api_version),
        timeout=_ANSWER_WITHIN,
        client_args={"trust_env": False},
        async_client_args={"trust_env": False},
    )
    if upstream.service is Service.DEVELOPER:
        return genai.Client(vertexai=False, api_key=key or "none", http_options=options)
    if key is not None:
        return genai.Client(vertexai=True, api_key=key, http_options=options)
    return genai.Client(
        vertexai=True, project=upstream.project or "none", location=upstream.location, http_options=options
    )


def _version(given: str | None) -> str | None:
    """``beta`` is the SDK's word for the service's own beta; None leaves it to the SDK, which reads the variable."""
    return None if given in (None, "", "beta") else given


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses of models."""

    server: str
    """The address of any model, for its host."""
    headers: Mapping[str, str]
    service: Service
    _before: str
    """The path up to a model's resource name."""

    @classmethod
    def of(cls, client: genai.Client, upstream: Upstream) -> "Places":
        asked = client._api_client._build_request("post", _ANY, {})
        parts = urlsplit(asked.url)
        before, found, after = parts.path.partition(_ANY)
        if not found or after:
            raise ConfigurationError("Google's SDK makes addresses that are not understood here")
        headers = {name: value for name, value in asked.headers.items() if name not in _LEFT_OUT}
        return cls(asked.url, headers, upstream.service, before)

    def resource(self, model: str) -> str:
        """The model's name as the service spells it.

        :raises ModelNotFound: when it is no name, such as a path to somebody else's resource.
        """
        if self.service is Service.DEVELOPER:
            if _DEVELOPERS.fullmatch(model):
                return model if "/" in model else f"models/{model}"
        elif _CLOUDS.fullmatch(model):
            return model if "/" in model else f"publishers/google/models/{model}"
        raise ModelNotFound(f"The provider has no model {model[:100]!r}.", provider=NAME, param="model")

    def path(self, model: str, method: str) -> str:
        """:raises ModelNotFound: as ``resource``."""
        return f"{self._before}{self.resource(model)}:{method}"


_ANY = "models/any"
_LEFT_OUT = frozenset({"X-Server-Timeout", "x-goog-api-client"})
_DEVELOPERS = re.compile(r"(?:models/|tunedModels/)?[A-Za-z0-9][A-Za-z0-9._-]*")
_CLOUDS = re.compile(r"(?:publishers/google/models/|endpoints/)?[A-Za-z0-9][A-Za-z0-9._@-]*")
