"""Whom this adapter calls: AWS, or the sandbox in its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, NoRegionError
from botocore.session import Session
from omnix_kit.errors import ConfigurationError
from pydantic import SecretStr

from omnix_adapter_bedrock.settings import Settings

NAME = "bedrock"
RUNTIME = "bedrock-runtime"
KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Any of them means AWS. Files and metadata servers are not looked at to decide, because that may take long."""
_SANDBOX_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Upstream:
    url: str
    """Up to and without ``/model``."""
    region: str
    token: SecretStr | None = None
    """Signs every request where it is set; otherwise the SDK's chain does."""
    sandbox: bool = False
    problem: str | None = None
    """Why it cannot be called."""


def configured(settings: Settings, environment: Mapping[str, str]) -> Upstream:
    """Reads files, and asks no network.

    :raises ConfigurationError: naming the variable at fault.
    """
    if settings.sandbox_url is not None and not any(environment.get(key) for key in KEYS):
        _check_url(settings.sandbox_url, "OMNIX_SANDBOX_URL")
        return Upstream(f"{settings.sandbox_url.rstrip('/')}/bedrock", _SANDBOX_REGION, sandbox=True)
    if settings.endpoint:
        _check_url(settings.endpoint, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    token = settings.bearer_token if settings.bearer_token and settings.bearer_token.get_secret_value() else None
    try:
        # The keys are for the moment: without them the SDK would look for some, and may wait long.
        client = Session().create_client(
            RUNTIME,
            region_name=settings.region or None,
            aws_access_key_id="-",
            aws_secret_access_key="-",  # noqa: S106
        )
    except NoRegionError:
        return Upstream("", "", token, problem="AWS_REGION is not set.")
    except (BotoCoreError, ValueError) as exc:
        raise ConfigurationError(f"AWS: {exc}") from exc
    return Upstream(client.meta.endpoint_url.rstrip("/"), client.meta.region_name, token)


def _check_url(url: str, where: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{where}: must be an http or https address")
    if parts.username or parts.password:
        raise ConfigurationError(f"{where}: must hold no credentials")
