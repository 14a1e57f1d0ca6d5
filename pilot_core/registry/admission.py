"""Which records may enter the mirror: what an adapter says is not trusted to be sound.

A record that is not sound is refused with a reason, and harms nothing else of its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pilot_core.model import Endpoint, Endpoints, Record, Service

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_HOSTNAME_LIMIT = 253
_WEIGHT_LIMIT = 2**32 - 1
_PORT_LIMIT = 65535


def admit(records: Iterable[object]) -> tuple[tuple[Record, ...], list[str]]:
    """The sound records, and a sentence for each that is not."""
    sound: list[Record] = []
    refused: list[str] = []
    for record in records:
        if not isinstance(record, Service | Endpoints):
            refused.append(f"{type(record).__name__} is not a record")
        elif problem := _problem(record):
            refused.append(problem)
        else:
            sound.append(record)
    return tuple(sound), refused


def _problem(record: Service | Endpoints) -> str:
    try:
        hash(record)
        found = hostname_problem(record.hostname)
        if found:
            return found
        return _service(record) if isinstance(record, Service) else _endpoints(record)
    except (TypeError, AttributeError, ValueError) as error:
        return f"{record.kind} {record.hostname!r} is not of the right types: {error}"


def hostname_problem(hostname: str) -> str:
    """What is wrong with a hostname; empty if nothing is."""
    if not isinstance(hostname, str) or not hostname:
        return "a hostname is empty"
    if len(hostname) > _HOSTNAME_LIMIT:
        return f"hostname {hostname[:40]}… is longer than {_HOSTNAME_LIMIT} characters"
    labels = hostname.removeprefix("*.").split(".")
    if not all(_LABEL.match(label) for label in labels):
        return f"{hostname!r} is not a hostname in lower case"
    return ""


def _service(service: Service) -> str:
    names = [port.name for port in service.ports]
    numbers = [port.number for port in service.ports]
    if len(set(names)) < len(names) or len(set(numbers)) < len(numbers):
        return f"service {service.hostname}: two ports have the same name or number"
    if not all(_is_port(number) for number in numbers):
        return f"service {service.hostname}: a port is not a number from 1 to {_PORT_LIMIT}"
    if not service.namespace or "/" in service.namespace:
        return f"service {service.hostname}: {service.namespace!r} is not a namespace"
    return ""


def _endpoints(record: Endpoints) -> str:
    for endpoint in record.endpoints:
        problem = _endpoint(endpoint)
        if problem:
            return f"endpoints of {record.hostname}: {problem}"
    return ""


def _endpoint(endpoint: Endpoint) -> str:
    if not endpoint.addresses or not all(isinstance(a, str) and a for a in endpoint.addresses):
        return "an endpoint has no address"
    if not isinstance(endpoint.weight, int) or not 0 <= endpoint.weight <= _WEIGHT_LIMIT:
        return f"weight {endpoint.weight!r} of {endpoint.address} is not 0…{_WEIGHT_LIMIT}"
    if not all(_is_port(number) for _, number in endpoint.ports):
        return f"a port of {endpoint.address} is not a number from 1 to {_PORT_LIMIT}"
    return ""


def _is_port(number: object) -> bool:
    return isinstance(number, int) and 0 < number <= _PORT_LIMIT
