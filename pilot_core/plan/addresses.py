"""Addresses as proxies may be given them: whatever is not one, is left out of the configuration.

A load assignment with one bad address is refused as a whole, so this is the last gate before a
proxy; what it stops has been reported by the registry already.
"""

from __future__ import annotations

import functools
import ipaddress

from pilot_core.model import Resolution
from pilot_core.model.endpoint import UNIX

_UNIX_PATH_LIMIT = 107
"""Bytes that fit into `sockaddr_un.sun_path` with its end mark."""


@functools.lru_cache(maxsize=65536)
def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_unix(text: str) -> bool:
    path = text.removeprefix(UNIX)
    return path != text and path[:1] in ("/", "@") and len(path.encode()) <= _UNIX_PATH_LIMIT


def is_dns_name(text: str) -> bool:
    return 0 < len(text) <= 253 and "/" not in text and ":" not in text and text.isprintable()


def can_serve(address: str, resolution: Resolution) -> bool:
    """May this address stand in a cluster of that resolution?"""
    if resolution is Resolution.DNS:
        return is_ip(address) or is_dns_name(address)
    return is_ip(address) or is_unix(address)


def parse(text: str, default_ip: str = "127.0.0.1") -> tuple[str, int] | None:
    """`IP:PORT`, `[IP6]:PORT` or `PORT`; None for anything else."""
    ip, _, port = text.rpartition(":")
    ip = ip.strip("[]") or default_ip
    if not port.isdecimal() or not 0 < int(port) < 65536 or not is_ip(ip):
        return None
    return ip, int(port)
