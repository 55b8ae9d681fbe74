"""The servers this adapter calls, from the settings and the operator's file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from huggingface_hub import constants
from msgspec import Struct
from omnix_kit.errors import ConfigurationError
from omnix_provider.chatcompletions.dialect import Continued
from omnix_provider.upstreams import Table, checked_url, keep_alive, key_in, named, read_file
from pydantic import SecretStr

from omnix_adapter_huggingface.dialects import ENDPOINTS, ROUTER, Abilities
from omnix_adapter_huggingface.settings import Settings

_HUGGINGFACE = "huggingface"
_VARIABLE = "OMNIX_ENDPOINTS_FILE"
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


class _Table(Table, forbid_unknown_fields=True):
    """One ``[[endpoint]]``; the README says what each key means."""

    url: str
    model: str | None = None
    token_env: str | None = None
    dialect: Literal["tgi", "tei", "vllm"] = "tgi"
    tools: bool = True
    images: bool = True
    reasoning_field: Literal["reasoning", "reasoning_content"] | None = None
    reasoning_switch: Literal["reasoning_effort", "chat_template_kwargs"] | None = None
    prefix: Continued | Literal["none"] | None = None
    extra_parameters: tuple[str, ...] = ()


class _File(Struct, forbid_unknown_fields=True):
    endpoint: list[_Table] = []


def configured(settings: Settings, environment: Mapping[str, str]) -> Sequence[Place]:
    """:raises ConfigurationError: naming the file and the key, or the variable, at fault."""
    places = [_router(settings)]
    if settings.endpoints_file is not None:
        file = read_file(settings.endpoints_file, _File, _VARIABLE)
        listed = named(file.endpoint, f"{_VARIABLE}: {settings.endpoints_file}: endpoint", _HUGGINGFACE)
        places += [_endpoint(table, at, environment) for at, table in listed]
    return places


def _router(settings: Settings) -> Place:
    bill_to = settings.hf_bill_to or ""
    if not bill_to.isprintable() or not bill_to.isascii():
        raise ConfigurationError("HF_BILL_TO: must be the name of an organisation or the id of a resource group")
    if settings.hf_token is None and settings.sandbox_url is not None:
        url = f"{checked_url(settings.sandbox_url, 'OMNIX_SANDBOX_URL')}/huggingface/v1"
        return Place(_HUGGINGFACE, url, SecretStr("hf_sandbox"), ROUTER, sandbox=True)
    url = checked_url(settings.hf_base_url or _ROUTER_URL, "HF_BASE_URL")
    problem = None if settings.hf_token is not None else "HF_TOKEN is not set."
    return Place(_HUGGINGFACE, url, settings.hf_token, ROUTER, bill_to=bill_to, problem=problem)


def _endpoint(table: _Table, at: str, environment: Mapping[str, str]) -> Place:
    token = key_in(table.token_env, environment)
    return Place(
        table.name,
        checked_url(table.url, f"{at}.url"),
        token.secret,
        _abilities(table),
        () if table.model is None else (table.model,),
        problem=token.problem,
        keep_alive=keep_alive(table, at),
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
            continued=chat.continued if table.prefix is None else None if table.prefix == "none" else table.prefix,
        ),
    )
