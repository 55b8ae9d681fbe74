"""The servers this adapter calls, from the settings and the operator's file."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from huggingface_hub import constants
from msgspec import Struct
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import parse_duration
from pydantic import SecretStr

from omnix_adapter_huggingface.dialects import ENDPOINTS, ROUTER, Abilities
from omnix_adapter_huggingface.settings import Settings

_HUGGINGFACE = "huggingface"
_ROUTER_URL = constants.INFERENCE_PROXY_TEMPLATE.format(provider="v1")


@dataclass(frozen=True)
class Place:
    """One server, as the operator configured it."""

    name: str
    base_url: str
    """Up to and without ``/chat/completions``."""
    token: SecretStr | None
    """None for a server that wants none."""
    abilities: Abilities
    models: Sequence[str] = ()
    """What it serves; it is asked when this is empty."""
    bill_to: str = ""
    sandbox: bool = False
    problem: str | None = None
    """Why it cannot be called."""
    keep_alive: timedelta = timedelta(seconds=15)
    """How long an idle connection is used again; shorter than the server keeps it, or a call meets a closed one."""


class _Table(Struct, forbid_unknown_fields=True):
    """One ``[[endpoint]]``; the README says what each key means."""

    name: str
    url: str
    model: str | None = None
    token_env: str | None = None
    dialect: Literal["tgi", "tei", "vllm"] = "tgi"
    tools: bool = True
    images: bool = True
    reasoning_field: Literal["reasoning", "reasoning_content"] | None = None
    reasoning_switch: Literal["reasoning_effort", "chat_template_kwargs"] | None = None
    extra_parameters: list[str] = []
    keep_alive: str = "4s"


class _File(Struct, forbid_unknown_fields=True):
    endpoint: list[_Table] = []


def configured(settings: Settings, environment: Mapping[str, str]) -> Sequence[Place]:
    """:raises ConfigurationError: naming the file and the key, or the variable, at fault."""
    places = [_router(settings)]
    if settings.endpoints_file is not None:
        places += _from_file(settings.endpoints_file, environment)
    return places


def _router(settings: Settings) -> Place:
    bill_to = settings.hf_bill_to or ""
    if not bill_to.isprintable() or not bill_to.isascii():
        raise ConfigurationError("HF_BILL_TO: must be the name of an organisation or the id of a resource group")
    if settings.hf_token is None and settings.sandbox_url is not None:
        _check_url(settings.sandbox_url, "OMNIX_SANDBOX_URL")
        url = f"{settings.sandbox_url.rstrip('/')}/huggingface/v1"
        return Place(_HUGGINGFACE, url, SecretStr("hf_sandbox"), ROUTER, sandbox=True)
    url = settings.hf_base_url or _ROUTER_URL
    _check_url(url, "HF_BASE_URL")
    problem = None if settings.hf_token is not None else "HF_TOKEN is not set."
    return Place(_HUGGINGFACE, url, settings.hf_token, ROUTER, bill_to=bill_to, problem=problem)


def _from_file(path: Path, environment: Mapping[str, str]) -> list[Place]:
    try:
        tables = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).endpoint
    except OSError as exc:
        raise ConfigurationError(f"OMNIX_ENDPOINTS_FILE: cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as exc:
        raise ConfigurationError(f"OMNIX_ENDPOINTS_FILE: {path}: {exc}") from exc
    names = {_HUGGINGFACE}
    places = []
    for number, table in enumerate(tables):
        where = f"OMNIX_ENDPOINTS_FILE: {path}: endpoint[{number}]"
        if table.name in names or not table.name or set(table.name) & set("/ "):
            raise ConfigurationError(
                f"{where}.name: must be given once, not be {_HUGGINGFACE!r} and hold no '/' or space"
            )
        names.add(table.name)
        places.append(_endpoint(table, where, environment))
    return places


def _endpoint(table: _Table, where: str, environment: Mapping[str, str]) -> Place:
    _check_url(table.url, f"{where}.url")
    try:
        keep_alive = parse_duration(table.keep_alive)
    except ValueError as exc:
        raise ConfigurationError(f"{where}.keep_alive: {exc}") from exc
    token = environment.get(table.token_env, "") if table.token_env is not None else ""
    return Place(
        table.name,
        table.url,
        SecretStr(token) if token else None,
        _abilities(table),
        () if table.model is None else (table.model,),
        problem=f"{table.token_env} is not set." if table.token_env is not None and not token else None,
        keep_alive=keep_alive,  # type: ignore[arg-type] # a string is always read as a timedelta
    )


def _abilities(table: _Table) -> Abilities:
    """Those of the server's kind, as far as its model and its version go."""
    kind = ENDPOINTS[table.dialect]
    chat = kind.chat
    if chat is None:
        return kind
    return replace(
        kind,
        chat=replace(
            chat,
            parameters=chat.parameters | set(table.extra_parameters),
            lacks=chat.lacks if table.tools else chat.lacks | {"tools", "tool_choice"},
            media=chat.media if table.images else chat.media - {"image"},
            reasoning_field=table.reasoning_field or chat.reasoning_field,
            switch=table.reasoning_switch or chat.switch,
        ),
    )


def _check_url(url: str, where: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{where}: must be an http or https address")
    if parts.username or parts.password:
        raise ConfigurationError(f"{where}: must hold no credentials")
