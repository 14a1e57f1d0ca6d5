"""Where an instance is: its addresses, and its place among the failure domains."""

from __future__ import annotations

import ipaddress
import re
import socket

from pilot_adapter_consul.entries import Instance, Node
from pilot_core.model import Locality

_ANY = ("0.0.0.0", "::")
# No top-level domain is a number: 10.0.0.300 is a slip of the pen.
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_-]{1,63}\.)*[a-z_-][a-z0-9_-]{0,62}\Z")


def addresses(instance: Instance, node: Node, *, is_far: bool) -> tuple[tuple[str, ...], int]:
    """The instance's addresses, the first of which counts, and the port that goes with them where
    it is another one than the instance's own, else 0."""
    if instance.socket_path:
        return (f"unix://{instance.socket_path}",), 0
    own = _plain(instance.address or node.address)
    if is_far:
        tagged = (instance.tagged_addresses or {}).get("wan")
        if tagged is not None and tagged.address:
            return (_plain(tagged.address),), tagged.port if not instance.ports else 0
        if not instance.address:
            return (_plain((node.tagged_addresses or {}).get("wan") or own),), 0
    other = _other_family(instance, node, own)
    return ((own, other) if other else (own,)), 0


def _other_family(instance: Instance, node: Node, own: str) -> str:
    """The address of the same instance in the other family, where the port is the same there."""
    if not is_ip(own):
        return ""
    family = "lan_ipv4" if ":" in own else "lan_ipv6"
    if instance.address:
        tagged = (instance.tagged_addresses or {}).get(family)
        said = tagged.address if tagged and tagged.port in (0, instance.port) else ""
    else:
        said = (node.tagged_addresses or {}).get(family, "")
    other = _plain(said)
    fits = is_ip(other) and other not in _ANY and (":" in other) != (":" in own)
    return other if fits else ""


def _plain(address: str) -> str:
    if _is(socket.AF_INET, address):
        return address
    stripped = address.strip("[]")
    return str(ipaddress.ip_address(stripped)) if is_ip(stripped) else address.lower()


def is_usable(address: str) -> bool:
    """Can anybody connect to it?"""
    if is_ip(address):
        return address not in _ANY
    return address.startswith("unix:///") or _NAME.match(address) is not None


def is_ip(address: str) -> bool:
    """In the form that everybody reads alike; the kernel's parser is many times faster than the
    standard library's."""
    return _is(socket.AF_INET, address) or (":" in address and _is(socket.AF_INET6, address))


def _is(family: int, address: str) -> bool:
    try:
        socket.inet_pton(family, address)
    except (OSError, ValueError):
        return False
    return True


def locality(instance: Instance, node: Node) -> Locality:
    """What the instance says, else its node; without a region, the datacentre is one."""
    place = instance.locality or node.locality
    if place is not None and place.region:
        return Locality(place.region, place.zone)
    meta = node.meta or {}
    if meta.get("region"):
        return Locality(meta["region"], meta.get("zone", ""))
    return Locality(node.datacenter, meta.get("zone", ""))
