"""What of the outside's variables a service gets to see.

A vendor's credential goes to the one process that uses it and to no other. What cannot be told from a credential by its
name is held back as well.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

_VENDORS = ("OPENAI_", "ANTHROPIC_", "AWS_", "AZURE_", "GEMINI_", "GOOGLE_", "HF_", "HUGGINGFACE")
_CREDENTIAL = re.compile(r"(^|_)(KEY|KEY_ID|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")
_SHARED = frozenset({"OMNIX_GRPC_TOKEN"})
"""Credentials that the services show each other."""
_WIRING = frozenset(
    {
        "OMNIX_GRPC_HOST",
        "OMNIX_GRPC_PORT",
        "OMNIX_OPS_HOST",
        "OMNIX_OPS_PORT",
        "OMNIX_HTTP_HOST",
        "OMNIX_HTTP_PORT",
        "OMNIX_NATS_URL",
        "OMNIX_NATS_USER",
        "OMNIX_DATA_DIR",
        "OMNIX_GRACE",
        "OMNIX_STORE_URL",
        "OMNIX_ADAPTERS",
        "OMNIX_ADVERTISED_ADDRESS",
        "OMNIX_SANDBOX_URL",
        "OMNIX_SANDBOX_HOST",
        "OMNIX_SANDBOX_PORT",
        "OMNIX_SANDBOX_PORT_FILE",
    }
)
"""What the suite decides; a value from outside would tear it apart."""
_NEVER_PROXIED = "127.0.0.1,localhost,::1"

MARK = "OMNIX_SUITE"
"""Every process of a suite carries it with the data directory as its value; so none can be lost."""


def outside(environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """The variables of ``.env``, where there is one, under those of the environment. Empty ones count as absent."""
    from dotenv import dotenv_values

    kept = dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
    return {name: value for name, value in {**kept, **environ}.items() if value}


def of_service(
    outside: Mapping[str, str], receives: Collection[str], own: Mapping[str, str], mark: str
) -> dict[str, str]:
    """The whole environment of one process.

    :param receives: names of credentials and vendors' variables that are its own.
    :param own: what the suite sets for it.
    """
    passed = {name: value for name, value in outside.items() if name in receives or not _is_withheld(name)}
    direct = {
        name: ",".join(filter(None, (outside.get(name), _NEVER_PROXIED)))  # gRPC would call loopback by the proxy
        for name in ("NO_PROXY", "no_proxy")
    }
    return {**passed, **direct, "PYTHONUNBUFFERED": "1", **own, MARK: mark}


def credentials_of_file(outside: Mapping[str, str], variable: str) -> frozenset[str]:
    """The variables that an adapter's file of further servers names as holding keys.

    A file that cannot be read names none here; its reader, the adapter, says what is wrong with it.

    :param variable: says where the file is.
    """
    file = outside.get(variable)
    try:
        content = tomllib.loads(Path(file).read_text()) if file else {}
    except (OSError, ValueError):
        content = {}
    return frozenset(_named(content))


def _named(value: object) -> Iterator[str]:
    match value:
        case dict():
            for key, inner in value.items():
                if key in ("api_key_env", "token_env") and isinstance(inner, str):
                    yield inner
                else:
                    yield from _named(inner)
        case list():
            for inner in value:
                yield from _named(inner)


def _is_withheld(name: str) -> bool:
    upper = name.upper()
    return upper not in _SHARED and (
        upper in _WIRING or upper.startswith(_VENDORS) or _CREDENTIAL.search(upper) is not None
    )
