"""Listen addresses: `IP:PORT`, `[IPv6]:PORT` or `localhost:PORT`, where port 0 is any free one."""

from __future__ import annotations

import ipaddress

from pilot_core.errors import Finding

_LOCALHOST = "localhost"


def split(text: str) -> tuple[str, int]:
    """Host (without brackets) and port. Raises ValueError where it is no such address."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:15010")
    is_v6 = host != _LOCALHOST and ipaddress.ip_address(host).version == 6
    if is_v6 != bracketed or "%" in host:
        raise ValueError(f"{text!r} is no address such as [::1]:15010")
    return host, int(port)


def is_loopback(text: str) -> bool:
    """Only programs on this machine can connect to it."""
    host, _ = split(text)
    return host == _LOCALHOST or ipaddress.ip_address(host).is_loopback


def findings(key: str, text: str) -> list[Finding]:
    """What is wrong with the address under `key`."""
    try:
        split(text)
    except ValueError:
        message = f"expected IP:PORT, such as 127.0.0.1:15010 or [::1]:15010, found {text!r}"
        return [Finding(key, 0, 0, message)]
    return []
