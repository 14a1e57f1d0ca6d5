"""The door of the mirror: which records get in, and in what form.

Rule 1: what gets in is a copy that msgspec has decoded, so that its types are right all the way
down, whatever an adapter made it of.
Rule 2: a record that cannot be copied, or that says what no proxy could serve, is refused with a
reason, and harms nothing else of its source.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from pilot_core.model import (
    Authorization,
    Endpoint,
    Endpoints,
    Inbound,
    Origin,
    Policy,
    Port,
    Record,
    RecordKey,
    Roots,
    Service,
    Traffic,
    Trust,
)
from pilot_core.model.endpoint import UNIX
from pilot_core.model.policy import ANYBODY
from pilot_core.telemetry.problems import legible

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_DNS_NAME = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_.])?\Z")
_NAMESPACE = re.compile(r"[^\s/|~]{1,253}\Z")
_ONLY_DIGITS = re.compile(r"[0-9.]*\Z")
_HOSTNAME_LIMIT = 253
_NAME_LIMIT = 500
_WEIGHT_LIMIT = 2**32 - 1
_PORT_LIMIT = 65535
_UNIX_LIMIT = 107
"""Bytes of a socket's path that Linux takes."""

KINDS: dict[type, msgspec.msgpack.Decoder[Record]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in get_args(Record)
}
_encoder = msgspec.msgpack.Encoder()
_NOT_OF_ITS_TYPES = (
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
    msgspec.MsgspecError,
)


class Refused(Exception):
    """This record does not get in; the text says why."""


def key(record: object) -> RecordKey | None:
    """The record's key; None where what was put is no record, or has no name."""
    if type(record) not in KINDS:
        return None
    kind, named = record.key  # type: ignore[attr-defined]
    # mypy: KINDS holds the members of the union Record, which all have one.
    return (kind, named) if isinstance(named, str) else None


def admit(record: object, known: Record | None = None) -> Record:
    """The copy that gets in; `known`, where that is equal to the record and stands on the same
    line. Raises Refused."""
    decoder = KINDS.get(type(record))
    if decoder is None:
        raise Refused(f"{type(record).__name__} is not a record")
    try:
        if known is not None and known == record:
            return _renewed(known, place(record))
        copy = decoder.decode(_encoder.encode(record))
        is_same = copy == record
    except _NOT_OF_ITS_TYPES as error:
        raise Refused(f"{name(record)} is not of the right types: {error}") from None
    if not is_same:
        raise Refused(f"{name(record)} is not of the right types: lists where tuples should be")
    problem = problem_of(copy)
    if problem:
        raise Refused(problem)
    return copy


def place(record: object) -> str:
    """Where it says that it was written down; empty if it does not."""
    found = getattr(getattr(record, "origin", None), "place", "")
    return legible(found) if isinstance(found, str) else ""


def _renewed(known: Record, where: str) -> Record:
    if where == known.origin.place:
        return known
    return msgspec.structs.replace(known, origin=Origin(where))


def name(record: object) -> str:
    """What to call a record that is not sound, in a few words."""
    found = key(record)
    if found is None:
        return type(record).__name__
    kind, named = found
    return f"{kind} {named[:60]!r}"


def problem_of(record: Record) -> str:
    """What a record of the right types says that cannot be served; empty if nothing."""
    if isinstance(record, Policy | Trust):
        return _name_problem(record) or _NAMED[type(record)](record)
    found = hostname_problem(record.hostname)
    if found:
        return found
    return _service(record) if isinstance(record, Service) else _endpoints(record)


def hostname_problem(hostname: str) -> str:
    """What is wrong with a hostname; empty if nothing is."""
    if not hostname:
        return "a hostname is empty"
    if len(hostname) > _HOSTNAME_LIMIT:
        return f"hostname {hostname[:40]}… is longer than {_HOSTNAME_LIMIT} characters"
    labels = hostname.removeprefix("*.").split(".")
    if not all(_LABEL.match(label) for label in labels):
        return f"{hostname!r} is not a hostname in lower case"
    return ""


def _name_problem(record: Policy | Trust) -> str:
    if not 0 < len(record.name) <= _NAME_LIMIT or not record.name.isprintable():
        return f"{record.kind} {record.name[:60]!r} has no name of 1 to {_NAME_LIMIT} characters"
    return ""


def _roots(roots: Roots) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=roots.certificates)
    except (ssl.SSLError, ValueError) as error:
        return f"roots {roots.name[:60]}: expected certificates in PEM: {error}"
    return ""


def _inbound(inbound: Inbound) -> str:
    where = f"inbound {inbound.name[:60]}"
    if inbound.namespace and not _NAMESPACE.match(inbound.namespace):
        return f"{where}: {inbound.namespace[:60]!r} is not a namespace"
    if not inbound.namespace and (inbound.workload or inbound.labels):
        return f"{where}: a workload is chosen within a namespace"
    for number, _ in inbound.ports:
        if not 0 < number <= _PORT_LIMIT:
            return f"{where}: port {number} is not a number from 1 to {_PORT_LIMIT}"
    return ""


def _policy(policy: Policy) -> str:
    problem = "" if policy.hostname == ANYBODY else hostname_problem(policy.hostname)
    return f"{policy.kind} {policy.name[:60]}: {problem}" if problem else ""


_NAMED: dict[type, Callable[[Any], str]] = {
    Authorization: _policy,
    Inbound: _inbound,
    Roots: _roots,
    Traffic: _policy,
}


def _service(service: Service) -> str:
    where = f"service {service.hostname}"
    for port in service.ports:
        if not 0 < port.number <= _PORT_LIMIT:
            return f"{where}: port {port.number} is not a number from 1 to {_PORT_LIMIT}"
    doubled = _doubled(service.ports)
    if doubled:
        return f"{where}: {doubled}"
    if not _NAMESPACE.match(service.namespace):
        return f"{where}: {service.namespace[:60]!r} is not a namespace"
    for address in service.addresses:
        if not is_ip(address.partition("/")[0]):
            return f"{where}: {address[:60]!r} is not an IP address"
    return ""


def _doubled(ports: tuple[Port, ...]) -> str:
    """Two ports that would become one cluster, or that endpoints could not tell apart."""
    names = {port.name for port in ports}
    if len(names) < len(ports):
        return "two ports have the same name"
    # A name server answers on 53 over TCP and over UDP: two ports, one number.
    numbers = {(port.number, port.protocol.is_datagram) for port in ports}
    return "two ports have the same number" if len(numbers) < len(ports) else ""


def _endpoints(record: Endpoints) -> str:
    for endpoint in record.endpoints:
        problem = _endpoint(endpoint)
        if problem:
            return f"endpoints of {record.hostname}: {problem}"
    return ""


def _endpoint(endpoint: Endpoint) -> str:
    addresses = endpoint.addresses
    if not addresses:
        return "an endpoint has no address"
    if len(addresses) == 1:
        if not _is_address(addresses[0]):
            return f"{addresses[0][:60]!r} is no IP address, DNS name or {UNIX}/path"
    elif not all(is_ip(address) for address in addresses):
        return f"several addresses of one endpoint have to be IP addresses: {addresses[0][:60]!r}"
    if not 0 <= endpoint.weight <= _WEIGHT_LIMIT:
        return f"weight {endpoint.weight} of {endpoint.address} is not 0…{_WEIGHT_LIMIT}"
    if endpoint.tls_name and not _DNS_NAME.match(endpoint.tls_name):
        return f"TLS name {endpoint.tls_name[:60]!r} of {endpoint.address} is no DNS name"
    for _, number in endpoint.ports:
        if not 0 < number <= _PORT_LIMIT:
            return f"port {number} of {endpoint.address} is not a number from 1 to {_PORT_LIMIT}"
    return ""


def _is_address(address: str) -> bool:
    if is_ip(address):
        return True
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        return path[:1] == "/" and "\0" not in path and len(path.encode()) <= _UNIX_LIMIT
    # 10.0.0.300 is a slip of the pen, not a name: no top-level domain is a number.
    return _DNS_NAME.match(address) is not None and not _ONLY_DIGITS.match(address)


def is_ip(address: str) -> bool:
    """An IPv4 or IPv6 address as `inet_pton` reads it, which is how Envoy does."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address)
    except (OSError, ValueError):
        return False
    return True
