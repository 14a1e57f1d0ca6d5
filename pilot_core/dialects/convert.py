"""One catalogue entry to records of the model.

Rule 1: an entry is taken as a whole or not at all: half a service is worse than yesterday's.
Rule 2: equal parts of one file (port maps, labels, localities) are one object in memory.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Hashable, Iterator
from typing import TypeAlias, TypeVar

from pilot_core.dialects.entries import EndpointEntry, PortEntry, ServiceEntry
from pilot_core.model import (
    Endpoint,
    Endpoints,
    Locality,
    Origin,
    Port,
    Resolution,
    Service,
    from_port_name,
)
from pilot_core.model.endpoint import UNIX
from pilot_core.model.service import EVERYWHERE, OWN_NAMESPACE

T = TypeVar("T", bound=Hashable)

Said: TypeAlias = Service | Endpoints
"""What an entry says: its service, then its endpoints if it has any."""

Refuse = Callable[[tuple[str | int, ...], str], None]
"""Called with the path of a field in the entry, and what is wrong with it."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NAMESPACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{0,253}")
_SOCKET_LIMIT = 107
"""Bytes of a unix socket's path: what the kernel's address structure holds."""


def hostname_of(written: str) -> str:
    """The hostname in the form of the model; empty where it is none."""
    lowered = written.lower().removesuffix(".")
    labels = lowered.removeprefix("*.").split(".")
    sound = len(lowered) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return lowered if sound else ""


def is_namespace(written: str) -> bool:
    return _NAMESPACE.fullmatch(written) is not None


class Converter:
    """Converts the entries of one file."""

    def __init__(self) -> None:
        self._shared: dict[Hashable, Hashable] = {}

    def records(self, entry: ServiceEntry, origin: Origin, refuse: Refuse) -> tuple[Said, ...]:
        """The entry's service, and its endpoints if it has any. What it calls `refuse` for makes
        the result worthless."""
        self._check(entry, refuse)
        service = Service(
            hostname=hostname_of(entry.hostname),
            namespace=self._share(entry.namespace),
            ports=self._share(tuple(_ports(entry.ports, refuse))),
            resolution=entry.resolution,
            visibility=self._share(entry.visibility),
            addresses=tuple(_ip(address) for address in entry.addresses),
            origin=origin,
        )
        if not entry.endpoints:
            return (service,)
        endpoints = tuple(self._endpoints(entry, service, refuse))
        return (
            service,
            Endpoints(hostname=service.hostname, endpoints=endpoints, origin=origin),
        )

    def _check(self, entry: ServiceEntry, refuse: Refuse) -> None:
        if not hostname_of(entry.hostname):
            refuse(("hostname",), f'"{entry.hostname[:80]}" is no hostname: {_HOSTNAME_RULE}')
        if not is_namespace(entry.namespace):
            refuse(("namespace",), f"a namespace is made of {NAMESPACE_RULE}")
        for index, namespace in enumerate(entry.visibility):
            if namespace not in (EVERYWHERE, OWN_NAMESPACE) and not _NAMESPACE.fullmatch(namespace):
                refuse(
                    ("visibility", index), 'expected a namespace, "*" for all or "." for its own'
                )

        for index, address in enumerate(entry.addresses):
            if not _ip(address):
                refuse(("addresses", index), f'"{address[:80]}" is no IP address')

    def _endpoints(
        self, entry: ServiceEntry, service: Service, refuse: Refuse
    ) -> Iterator[Endpoint]:
        known = {port.name for port in service.ports}
        for index, written in enumerate(entry.endpoints):
            address = _address(written.address, entry.resolution)
            if not address:
                refuse(("endpoints", index, "address"), _no_address(written, entry.resolution))
            for name in written.ports.keys() - known:
                message = f'the service has no port "{name}"; it has {_listed(known)}'
                refuse(("endpoints", index, "ports", name), message)
            if not _ACCOUNT.fullmatch(written.service_account):
                message = "a service account is made of letters, digits, dots, - and _"
                refuse(("endpoints", index, "service_account"), message)
            if bool(written.tls_name) != bool(written.tls_roots):
                message = "tls_name and tls_roots go together: the name to show, and who signs it"
                refuse(("endpoints", index, "tls_name"), message)
            elif written.tls_name and not _is_one_name(written.tls_name):
                message = f'"{written.tls_name[:80]}" is no DNS name of one server'
                refuse(("endpoints", index, "tls_name"), message)
            yield self._endpoint(written, address or written.address)

    def _endpoint(self, written: EndpointEntry, address: str) -> Endpoint:
        return Endpoint(
            addresses=(address,),
            ports=self._share(tuple(sorted(written.ports.items()))),
            health=written.health,
            weight=written.weight,
            locality=self._share(Locality.parse(written.locality)),
            network=self._share(written.network),
            labels=self._share(tuple(sorted(written.labels.items()))),
            workload=self._share(written.workload),
            service_account=self._share(written.service_account),
            tls=written.tls,
            tls_name=written.tls_name,
            tls_roots=self._share(written.tls_roots),
        )

    def _share(self, value: T) -> T:
        return self._shared.setdefault(value, value)  # type: ignore[return-value]  # equal values have one type


_HOSTNAME_RULE = "labels of letters, digits, - and _ with dots between, and at most a `*.` in front"
NAMESPACE_RULE = "1 to 63 letters, digits, - and _"


def _ports(entries: tuple[PortEntry, ...], refuse: Refuse) -> Iterator[Port]:
    names: set[str] = set()
    numbers: set[int] = set()
    for index, entry in enumerate(entries):
        name = entry.name or str(entry.number)
        if not _PORT_NAME.fullmatch(name):
            refuse(("ports", index, "name"), "a port's name is made of letters, digits, ., - and _")
        if name in names:
            refuse(("ports", index, "name"), f'another port is named "{name}" already')
        if entry.number in numbers:
            refuse(("ports", index, "number"), f"another port has the number {entry.number}")
        names.add(name)
        numbers.add(entry.number)
        yield Port(name, entry.number, entry.protocol or from_port_name(name))


def _address(written: str, resolution: Resolution) -> str:
    """The address in its shortest form; empty where it is none that goes with the resolution."""
    if ip := _ip(written):
        return ip
    if written.startswith(UNIX):
        path = written.removeprefix(UNIX)
        is_path = path.startswith("/") and "\0" not in path
        fits = resolution is Resolution.STATIC and len(path.encode()) <= _SOCKET_LIMIT
        return written if is_path and fits else ""
    is_name = resolution is Resolution.DNS and _is_one_name(written)
    return hostname_of(written) if is_name else ""


def _is_one_name(written: str) -> bool:
    return bool(hostname_of(written)) and not written.startswith("*")


def _ip(written: str) -> str:
    """An IP address in its shortest form; empty where it is none."""
    try:
        # The kernel's parser is many times faster, and takes one form of IPv4 only.
        socket.inet_pton(socket.AF_INET, written)
        return written
    except (OSError, ValueError):
        pass  # no IPv4 address
    try:
        return str(ipaddress.IPv6Address(written)) if "%" not in written else ""
    except ValueError:
        return ""


def _no_address(written: EndpointEntry, resolution: Resolution) -> str:
    allowed = {
        Resolution.STATIC: "an IP address or unix:///path",
        Resolution.DNS: "a DNS name or an IP address",
        Resolution.PASSTHROUGH: "an IP address",
    }[resolution]
    hint = ""
    if resolution is Resolution.STATIC and hostname_of(written.address):
        hint = "; names need `resolution: dns`"
    return f'expected {allowed}, found "{written.address[:120]}"{hint}'


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
