"""Where routers are told to call an adapter that nobody told them about."""

from ipaddress import ip_address

from omnix_provider.settings import AdapterSettings


def advertised(settings: AdapterSettings, port: int) -> str:
    """The address that heartbeats carry, for an adapter that listens on ``port``; empty for none.

    One that listens on loopback can only be called from its own machine, where its address is what it listens on.
    Beyond loopback nothing is guessed: ``0.0.0.0`` is no address, and a container does not know by which name it is
    reached.
    """
    if settings.advertised_address is not None:
        return settings.advertised_address
    host = settings.grpc_host
    if not _is_loopback(host):
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
