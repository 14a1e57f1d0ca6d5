"""What of a service the data plane carries, and what there is to say about the rest.

Rule 1: nothing gets into a plan that a proxy would refuse, as it refuses all it got along with it.
Rule 2: whatever is left out here, or carried as something else, has a note.
"""

from __future__ import annotations

import re

from pilot_core.model import Port, Problem, Protocol, Service, Severity
from pilot_core.plan.remembered import remembered

AS_TCP, NOT_CARRIED = "protocol-as-tcp", "protocol-not-carried"
_HOSTNAME = re.compile(r"(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]{0,252}))\Z")


@remembered
def ports(service: Service) -> tuple[Port, ...]:
    """The ports that can be configured: one per number, in their order; the first one stays."""
    if not is_hostname(service.hostname):
        return ()
    by_number: dict[int, Port] = {}
    for port in service.ports:
        if is_port(port.number) and not port.protocol.is_datagram:
            by_number.setdefault(port.number, port)
    return tuple(by_number.values())


def port(service: Service, number: int) -> Port | None:
    """The port with that number, if it can be configured."""
    return next((p for p in ports(service) if p.number == number), None)


def is_port(number: int) -> bool:
    return 0 < number < 65536


def is_hostname(text: str) -> bool:
    """Can it stand in a Host header, and in the names of clusters? `*.name` and `*` can."""
    return _HOSTNAME.match(text) is not None


def notes(service: Service) -> tuple[Problem, ...]:
    """What people should know about how this service is carried: once per protocol.

    Hostnames and numbers that are left out here have been refused by the registry already.
    """
    protocols = dict.fromkeys(port.protocol for port in service.ports)
    return tuple(_note(protocol) for protocol in protocols if protocol.is_carried_as_tcp)


def _note(protocol: Protocol) -> Problem:
    if protocol.is_datagram:
        code, how = NOT_CARRIED, "is not carried: proxies take streams, its ports are left out"
    else:
        code, how = AS_TCP, "is carried as tcp: proxies do not look into it"
    name = protocol.value
    return Problem(code=code, severity=Severity.INFO, object=name, message=f"{name} {how}")
