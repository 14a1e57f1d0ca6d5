"""The ports of a task: what its service calls them, and where the task serves them.

Rule 1: a port that its task describes badly is left out with a reason; the others stand.
Rule 2: a number that Mesos chose for a task is no number of its service where there is a better
one: that of its label, of its virtual address, or of the container.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from pilot_adapter_mesos.instance import Instance
from pilot_adapter_mesos.messages import (
    DiscoveryPort,
    Label,
    Labels,
    NetworkInfo,
    PortMapping,
)
from pilot_core.model import Protocol, from_port_name

PORT_LABEL = "mesh.port"
PROTOCOL_LABELS = ("mesh.protocol", "istio-protocol")
SCOPE, NETWORK = "network-scope", "network-name"
_VIP = re.compile(r"vip_?\d*\Z", re.IGNORECASE)
_NAME = re.compile(r"[^a-z0-9-]+")
_HIGHEST = 65535
_NONE: Mapping[int, int] = {}


class TaskPort(NamedTuple):
    """One port of one task. `address` is empty where nothing says on which one it serves."""

    name: str
    service_number: int
    protocol: Protocol
    address: str
    number: int
    vips: tuple[str, ...] = ()
    """Its virtual addresses, such as `/web:80` or `10.1.2.3:5000`."""
    others: tuple[str, ...] = ()
    """The same instance's addresses of another family."""


class Found(msgspec.Struct, frozen=True):
    """The ports that can be used, and what is wrong with the others."""

    ports: tuple[TaskPort, ...]
    problems: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """Where a task may be reached: its agent, and which of its own addresses are preferred."""

    agent_ip: str
    prefer: str = "auto"
    family: int = 4


def of(found: Instance, place: Place, service_ports: Mapping[int, int] = _NONE) -> Found:
    """The ports of an instance. `service_ports` are what its scheduler calls the numbers that the
    task says."""
    ports: dict[str, TaskPort] = {}
    problems: list[str] = []
    for index, said in enumerate(_said(found)):
        problem = _problem(said)
        if problem:
            problems.append(problem)
            continue
        for protocol in _protocols(said):
            port = _port(found, said, protocol, place, service_ports.get(said.number, 0))
            if port.name in ports:
                port = port._replace(name=f"{port.name}-{index}")
            ports.setdefault(port.name, port)
    return Found(tuple(ports.values()), tuple(problems))


def allocated(found: Instance) -> list[int]:
    """The host ports that Mesos gave to the task, in order."""
    return [
        number
        for resource in found.task.resources
        if resource.name == "ports"
        for part in resource.ranges.range
        for number in range(part.begin, min(part.end, _HIGHEST) + 1)
    ]


def _said(found: Instance) -> Iterator[DiscoveryPort]:
    """What the task says of its ports; else the ports that it was given, unnamed."""
    said = found.task.discovery.ports.ports
    if said:
        yield from _one_network_each(said)
        return
    for index, number in enumerate(allocated(found)):
        vip = found.task.labels.get(f"VIP_PORT{index}")
        labels = Labels((Label("VIP_0", vip.partition("://")[2]),) if vip else ())
        yield DiscoveryPort(number=number, name=f"port{index}", labels=labels)


def _one_network_each(said: tuple[DiscoveryPort, ...]) -> Iterator[DiscoveryPort]:
    """A port in several networks is said once for each; the first one counts."""
    seen: set[tuple[str, int, str]] = set()
    for port in said:
        key = (port.name, port.number, port.protocol)
        if key not in seen:
            seen.add(key)
            yield port


def _problem(said: DiscoveryPort) -> str:
    if not 0 < said.number <= _HIGHEST:
        return f"port {said.name or 'without a name'} has the number {said.number}"
    return ""


def _protocols(said: DiscoveryPort) -> list[Protocol]:
    """`udp,tcp` is two ports; anything but tcp and udp names what is spoken over TCP."""
    parts = [part.strip().lower() for part in said.protocol.split(",") if part.strip()] or ["tcp"]
    return [Protocol.UDP if part == "udp" else _over_tcp(said, part) for part in parts]


def _over_tcp(said: DiscoveryPort, stated: str) -> Protocol:
    for wanted in (*(said.labels.get(label) for label in PROTOCOL_LABELS), stated):
        if wanted and wanted != "tcp":
            return from_port_name(wanted)
    by_prefix = from_port_name(said.name)
    # `admin-http`: some schedulers put what is spoken last.
    return from_port_name(said.name.rpartition("-")[2]) if by_prefix is Protocol.TCP else by_prefix


def _port(
    found: Instance, said: DiscoveryPort, protocol: Protocol, place: Place, service_port: int
) -> TaskPort:
    mapping = _mapping(found, said)
    own = _own_ips(found, said.labels.get(NETWORK), place.family)
    address, number = _where(found, said, mapping, own[0] if own else "", place)
    vips = _vips(said)
    name = _NAME.sub("-", said.name.lower()).strip("-") or f"port-{said.number}"
    service_number = (
        _number(said.labels.get(PORT_LABEL))
        or _number(vips[0].rpartition(":")[2] if vips else "")
        or service_port
        or (mapping.container_port if mapping else 0)
        or said.number
    )
    others = tuple(own[1:]) if address in own else ()
    return TaskPort(name, service_number, protocol, address, number, vips, others)


def _vips(said: DiscoveryPort) -> tuple[str, ...]:
    """`/web:80` or `10.1.2.3:5000`, from labels VIP_0, VIP_1, …"""
    values = (label.value for label in said.labels.labels if _VIP.match(label.key))
    return tuple(value for value in values if split_vip(value)[1])


def split_vip(vip: str) -> tuple[str, int]:
    """Name or address, and number; 0 where there is none."""
    host, _, number = vip.rpartition(":")
    return host.removeprefix("/"), _number(number)


def _number(text: str | None) -> int:
    """A port number; 0 where the text is none."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= 5
    number = int(text) if is_number and text is not None else 0
    return number if number <= _HIGHEST else 0


def _where(
    found: Instance, said: DiscoveryPort, mapping: PortMapping | None, own: str, place: Place
) -> tuple[str, int]:
    """Where the task serves the port. Docker's bridge addresses cannot be reached from outside, so
    a port that is mapped to the host is taken there."""
    agent_ip, prefer = place.agent_ip, place.prefer
    if own == agent_ip:
        own = ""
    scope = said.labels.get(SCOPE)
    container_port = mapping.container_port if mapping else said.number
    host_port = mapping.host_port if mapping and mapping.host_port else said.number
    if scope == "container" or (prefer == "container" and own):
        return own, container_port
    if scope == "host" or prefer == "agent" or _is_bridge(found) or not own:
        return agent_ip, host_port
    if mapping is not None and mapping.container_port == said.number:
        return own, said.number
    if mapping is not None or said.number in allocated(found):
        return agent_ip, host_port
    return own, said.number


def _mapping(found: Instance, said: DiscoveryPort) -> PortMapping | None:
    container = found.task.container
    everywhere = (
        *container.docker.port_mappings,
        *(m for network in container.network_infos for m in network.port_mappings),
        *(m for network in found.networks for m in network.port_mappings),
    )
    fits = (m for m in everywhere if said.number in (m.host_port, m.container_port))
    return next(fits, None)


def _is_bridge(found: Instance) -> bool:
    return found.task.container.docker.network == "BRIDGE"


def _own_ips(found: Instance, network: str | None, family: int) -> list[str]:
    """The task's own addresses in the named network, or in its first one that has some: the first
    of the family that is wanted, and the first of the other."""
    chosen = [n for n in found.networks if n.name == network] or list(found.networks)
    usable = next((ips for n in chosen if (ips := _usable(n))), [])
    wanted = sorted(usable, key=lambda ip: _family(ip) != family)
    return wanted[:1] + [ip for ip in wanted if _family(ip) != _family(wanted[0])][:1]


def _family(ip: str) -> int:
    return 6 if ":" in ip else 4


def _usable(network: NetworkInfo) -> list[str]:
    return [said.ip_address for said in network.ip_addresses if is_usable(said.ip_address)]


def is_usable(text: str) -> bool:
    """An address that somebody else could connect to; loopback is for meshes of one machine."""
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
