"""The servers this adapter calls, from the settings and the operator's file."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import parse_duration
from omnix_provider.chatcompletions.dialect import Dialect
from pydantic import SecretStr

from omnix_adapter_openai.dialect import OPENAI_PARAMETERS
from omnix_adapter_openai.provider import Upstream
from omnix_adapter_openai.settings import Settings

_OPENAI = "openai"
_OPENAI_URL = "https://api.openai.com/v1"


class _Table(Struct, forbid_unknown_fields=True):
    """One ``[[upstream]]``; the README says what each key means."""

    name: str
    base_url: str
    api_key_env: str | None = None
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    stream_usage: bool = True
    developer_role: bool = False
    reasoning_content: bool = False
    reasoning_switch: Literal["reasoning_effort", "chat_template_kwargs"] = "reasoning_effort"
    media_of_tools: bool = False
    extra_parameters: list[str] = []
    keep_alive: str = "4s"


class _File(Struct, forbid_unknown_fields=True):
    upstream: list[_Table] = []


def configured(settings: Settings, environment: Mapping[str, str]) -> Sequence[Upstream]:
    """:raises ConfigurationError: naming the file and the key, or the variable, at fault."""
    upstreams = [_openai(settings)]
    if settings.upstreams_file is not None:
        upstreams += _from_file(settings.upstreams_file, environment)
    return upstreams


def _openai(settings: Settings) -> Upstream:
    if settings.openai_api_key is None and settings.sandbox_url is not None:
        _check_url(settings.sandbox_url, "OMNIX_SANDBOX_URL")
        url = f"{settings.sandbox_url.rstrip('/')}/openai/v1"
        return Upstream(_OPENAI, url, SecretStr("sk-sandbox"), sandbox=True)
    url = settings.openai_base_url or _OPENAI_URL
    _check_url(url, "OPENAI_BASE_URL")
    return Upstream(
        _OPENAI,
        url,
        settings.openai_api_key,
        problem=None if settings.openai_api_key is not None else "OPENAI_API_KEY is not set.",
        vendor=True,
    )


def _from_file(path: Path, environment: Mapping[str, str]) -> list[Upstream]:
    try:
        tables = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).upstream
    except OSError as exc:
        raise ConfigurationError(f"OMNIX_UPSTREAMS_FILE: cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as exc:
        raise ConfigurationError(f"OMNIX_UPSTREAMS_FILE: {path}: {exc}") from exc
    names = {_OPENAI}
    upstreams = []
    for number, table in enumerate(tables):
        where = f"OMNIX_UPSTREAMS_FILE: {path}: upstream[{number}]"
        if table.name in names or not table.name or set(table.name) & set("/ "):
            raise ConfigurationError(f"{where}.name: must be given once, not be {_OPENAI!r} and hold no '/' or space")
        names.add(table.name)
        upstreams.append(_upstream(table, where, environment))
    return upstreams


def _upstream(table: _Table, where: str, environment: Mapping[str, str]) -> Upstream:
    _check_url(table.base_url, f"{where}.base_url")
    try:
        keep_alive = parse_duration(table.keep_alive)
    except ValueError as exc:
        raise ConfigurationError(f"{where}.keep_alive: {exc}") from exc
    dialect = Dialect(
        max_tokens_field=table.max_tokens_field,
        stream_usage=table.stream_usage,
        developer_role=table.developer_role,
        parameters=OPENAI_PARAMETERS | set(table.extra_parameters),
        reasoning_field="reasoning_content" if table.reasoning_content else None,
        switch=table.reasoning_switch,
        media_of_tools=table.media_of_tools,
    )
    key = environment.get(table.api_key_env, "") if table.api_key_env is not None else ""
    return Upstream(
        table.name,
        table.base_url,
        SecretStr(key) if key else None,
        lambda _: dialect,
        problem=f"{table.api_key_env} is not set." if table.api_key_env is not None and not key else None,
        keep_alive=keep_alive,  # type: ignore[arg-type] # a string is always read as a timedelta
    )


def _check_url(url: str, where: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{where}: must be an http or https address")
    if parts.username or parts.password:
        raise ConfigurationError(f"{where}: must hold no credentials")
