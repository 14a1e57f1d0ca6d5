"""Addresses as proxies may be given them: whatever is not one, is left out of the configuration.

A load assignment with one bad address is refused as a whole, so this is the last gate before a
proxy; what it stops has been reported by the registry already.
"""

from __future__ import annotations

import ipaddress
import socket

from pilot_core.model import Resolution
from pilot_core.model.endpoint import UNIX

_UNIX_PATH_LIMIT = 107
"""Bytes that fit into `sockaddr_un.sun_path` with its end mark."""
_PORT_DIGITS = 5
_NOT_IN_DNS_NAMES = frozenset(" /:")


def is_ip(text: str) -> bool:
    """An address as `inet_pton` reads it, which is how Envoy does: no zones, no leading zeros."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def is_unix(text: str) -> bool:
    path = text.removeprefix(UNIX)
    if path == text or "\0" in path or path[:1] not in ("/", "@"):
        return False
    return len(path.encode()) <= _UNIX_PATH_LIMIT


def is_dns_name(text: str) -> bool:
    return 0 < len(text) <= 253 and text.isprintable() and not set(text) & _NOT_IN_DNS_NAMES


def usable(addresses: tuple[str, ...], resolution: Resolution) -> tuple[str, ...]:
    """Those of an endpoint's addresses that may stand in a cluster of that resolution, together.

    A name to resolve stands alone, and so does a socket; more than one are IP addresses.
    """
    if resolution is Resolution.DNS:
        return tuple(a for a in addresses[:1] if is_ip(a) or is_dns_name(a))
    if addresses and is_unix(addresses[0]):
        return addresses[:1]
    return tuple(a for a in addresses if is_ip(a))


def is_own(address: str) -> bool:
    """Can a host have this address as its own, so that somebody listens there?"""
    if not is_ip(address):
        return False
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_unspecified or parsed.is_multicast)


def parse(text: str, default_ip: str = "127.0.0.1") -> tuple[str, int] | None:
    """`IP:PORT`, `[IP6]:PORT` or `PORT`; None for anything else."""
    ip, _, port = text.rpartition(":")
    ip, number = ip.strip("[]") or default_ip, port_number(port)
    if number is None or not is_ip(ip):
        return None
    return str(ipaddress.ip_address(ip)), number


def port_number(text: str) -> int | None:
    """1…65535; None for anything else. The text is somebody's, and may be of any length."""
    if not text.isdecimal() or len(text) > _PORT_DIGITS:
        return None
    return int(text) if 0 < int(text) < 65536 else None
