"""The servers this adapter calls, from the settings and the operator's file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from msgspec import Struct
from omnix_provider.chatcompletions.dialect import Continued, Dialect
from omnix_provider.upstreams import Table, checked_url, keep_alive, key_in, named, read_file
from pydantic import SecretStr

from omnix_adapter_openai.dialect import OPENAI_PARAMETERS, openai_dialect
from omnix_adapter_openai.provider import Upstream
from omnix_adapter_openai.settings import Settings

_OPENAI = "openai"
_OPENAI_URL = "https://api.openai.com/v1"
_VARIABLE = "OMNIX_UPSTREAMS_FILE"
_OF_THE_SANDBOX = "sandbox-"


class _Table(Table, forbid_unknown_fields=True):
    """One ``[[upstream]]``; the README says what each key means."""

    base_url: str
    api_key_env: str | None = None
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    stream_usage: bool = True
    developer_role: bool = False
    reasoning_content: bool = False
    reasoning_switch: Literal["reasoning_effort", "chat_template_kwargs"] = "reasoning_effort"
    media_of_tools: bool = False
    prefix: Continued | Literal["none"] = "none"
    extra_parameters: tuple[str, ...] = ()


class _File(Struct, forbid_unknown_fields=True):
    upstream: list[_Table] = []


def configured(settings: Settings, environment: Mapping[str, str]) -> Sequence[Upstream]:
    """:raises ConfigurationError: naming the file and the key, or the variable, at fault."""
    upstreams = [_openai(settings)]
    if settings.upstreams_file is not None:
        file = read_file(settings.upstreams_file, _File, _VARIABLE)
        listed = named(file.upstream, f"{_VARIABLE}: {settings.upstreams_file}: upstream", _OPENAI)
        upstreams += [_upstream(table, at, environment) for at, table in listed]
    return upstreams


def _openai(settings: Settings) -> Upstream:
    if settings.openai_api_key is None and settings.sandbox_url is not None:
        url = f"{checked_url(settings.sandbox_url, 'OMNIX_SANDBOX_URL')}/openai/v1"
        return Upstream(_OPENAI, url, SecretStr("sk-sandbox"), _sandbox_dialect, sandbox=True)
    return Upstream(
        _OPENAI,
        checked_url(settings.openai_base_url or _OPENAI_URL, "OPENAI_BASE_URL"),
        settings.openai_api_key,
        problem=None if settings.openai_api_key is not None else "OPENAI_API_KEY is not set.",
        vendor=True,
    )


def _sandbox_dialect(model: str) -> Dialect:
    """Its own models are asked as OpenAI's are, but that they go on with an answer, as those of other servers do."""
    dialect = openai_dialect(model)
    return replace(dialect, continued="continue_final_message") if model.startswith(_OF_THE_SANDBOX) else dialect


def _upstream(table: _Table, at: str, environment: Mapping[str, str]) -> Upstream:
    dialect = Dialect(
        max_tokens_field=table.max_tokens_field,
        stream_usage=table.stream_usage,
        developer_role=table.developer_role,
        parameters=OPENAI_PARAMETERS | set(table.extra_parameters),
        reasoning_field="reasoning_content" if table.reasoning_content else None,
        switch=table.reasoning_switch,
        media_of_tools=table.media_of_tools,
        continued=None if table.prefix == "none" else table.prefix,
    )
    key = key_in(table.api_key_env, environment)
    return Upstream(
        table.name,
        checked_url(table.base_url, f"{at}.base_url"),
        key.secret,
        lambda _: dialect,
        problem=key.problem,
        keep_alive=keep_alive(table, at),
    )
