"""One service as Consul has it to records of the model; pure.

Rule 1: an instance that cannot be mapped is refused alone, with a reason.
Rule 2: the order in which Consul lists instances, tags and ports means nothing.
Rule 3: what Consul says is kept: every key of Meta and every tag becomes a label.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from pilot_adapter_consul.entries import Check, Entry, Instance, Node
from pilot_core.model import (
    Endpoint,
    Endpoints,
    Health,
    Locality,
    Port,
    Protocol,
    Record,
    Resolution,
    Service,
    from_port_name,
)

Refuse = Callable[[str], None]

PROXIES = "connect-proxy"
_MAINTENANCE = ("_node_maintenance", "_service_maintenance")
_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_SOCKET_PORT = 80
"""The number by which callers name a service that listens on a unix socket."""
_ANY = ("0.0.0.0", "::")
# No top-level domain is a number: 10.0.0.300 is a slip of the pen.
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_-]{1,63}\.)*[a-z_-][a-z0-9_-]{0,62}\Z")


def hostname(service: str, datacenter: str) -> str:
    """`datacenter` is empty for the agent's own."""
    where = f".{datacenter}" if datacenter else ""
    return f"{service}.service{where}.consul".lower()


def records(
    service: str, datacenter: str, entries: Sequence[Entry], refuse: Refuse
) -> tuple[Record, ...]:
    """The service and its endpoints. Nothing for sidecar proxies: they are no service of a user's,
    but a part of the one that they stand beside. What is refused is told; the caller keeps what was
    there if nothing is left."""
    users = [entry for entry in entries if entry.service.kind != PROXIES]
    if not users:
        return ()
    found = sorted(_endpoints(users, refuse), key=lambda e: (e.addresses, e.ports, e.labels))
    names = [e.address for e in found if not _is_ip(e.address) and not e.is_unix]
    resolution = Resolution.DNS if found and len(names) == len(found) else Resolution.STATIC
    if names and resolution is Resolution.STATIC:
        refuse(f"{names[0]} is a name: it goes only where all instances have names for addresses")
        found = [endpoint for endpoint in found if endpoint.address not in names]
    name = hostname(service, datacenter)
    return (
        Service(
            hostname=name,
            namespace=users[0].service.namespace or "default",
            ports=tuple(_service_ports(users, refuse)),
            resolution=resolution,
        ),
        Endpoints(hostname=name, endpoints=tuple(found)),
    )


def is_empty(mapped: Iterable[Record]) -> bool:
    """No endpoint is left in it."""
    return not any(isinstance(record, Endpoints) and record.endpoints for record in mapped)


def _endpoints(entries: Iterable[Entry], refuse: Refuse) -> Iterator[Endpoint]:
    for entry in entries:
        instance, node = entry.service, entry.node
        address = _address(instance, node)
        if not _is_usable(address):
            refuse(f'instance {instance.id} on {node.node}: "{address}" cannot be connected to')
            continue
        ports = tuple(sorted((name, number) for name, number in _ports(instance) if number))
        if not ports:
            continue  # Consul's way of registering something that serves no port
        health, weight = condition(instance, entry.checks or ())
        yield Endpoint(
            addresses=(address,),
            ports=ports,
            health=health,
            weight=weight,
            locality=_locality(instance, node),
            labels=_labels(instance),
            workload=instance.service,
            service_account=instance.service,
        )


def condition(instance: Instance, checks: Sequence[Check]) -> tuple[Health, int]:
    """Health and weight: the worst check counts, and maintenance before all."""
    passing = instance.weights.passing if instance.weights else 1
    if any(check.check_id.startswith(_MAINTENANCE) for check in checks):
        return Health.DRAINING, passing
    statuses = {check.status for check in checks}
    if "critical" in statuses:
        return Health.UNHEALTHY, passing
    if "warning" in statuses:
        return Health.DEGRADED, instance.weights.warning if instance.weights else 1
    return Health.HEALTHY, passing


def _address(instance: Instance, node: Node) -> str:
    if instance.socket_path:
        return f"unix://{instance.socket_path}"
    address = (instance.address or node.address).strip("[]")
    return str(ipaddress.ip_address(address)) if _is_ip(address) else address.lower()


def _is_usable(address: str) -> bool:
    if _is_ip(address):
        return address not in _ANY
    return address.startswith("unix:///") or _NAME.match(address) is not None


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _ports(instance: Instance) -> list[tuple[str, int]]:
    """(name, number) of each; 0 where the instance serves no port."""
    if instance.ports:
        return [(port.name, port.port) for port in instance.ports]
    meta = instance.meta or {}
    name = meta.get("port_name") or _protocol(instance, "").value
    if instance.socket_path:
        return [(name, instance.port or _SOCKET_PORT)]
    return [(name, instance.port)]


def _protocol(instance: Instance, port: str) -> Protocol:
    meta = instance.meta or {}
    config = (instance.proxy.config if instance.proxy else None) or {}
    for said in (meta.get(f"protocol_{port}"), meta.get("protocol"), config.get("protocol")):
        known = _PROTOCOLS.get(str(said).lower().replace("-", "_"))
        if known is not None:
            return known
    return from_port_name(port)


def _service_ports(entries: Sequence[Entry], refuse: Refuse) -> Iterator[Port]:
    """The union of what the instances serve. Where they differ in a port's number, callers name it
    by the one that most of them have, of several by the lowest."""
    numbers: dict[str, Counter[int]] = {}
    protocols: dict[str, Counter[Protocol]] = {}
    for entry in entries:
        for name, number in _ports(entry.service):
            if number:
                numbers.setdefault(name, Counter())[number] += 1
                protocol = _protocol(entry.service, name)
                protocols.setdefault(name, Counter())[protocol] += 1
    taken: set[int] = set()
    for name in sorted(numbers):
        ranked = _ranked(numbers[name])
        free = [number for number in ranked if number not in taken]
        if not free:
            refuse(f"port {name} has the number {ranked[0]}, which another port has already")
            continue
        taken.add(free[0])
        yield Port(name, free[0], _most(protocols[name]))


def _ranked(numbers: Counter[int]) -> list[int]:
    return sorted(numbers, key=lambda number: (-numbers[number], number))


def _most(protocols: Counter[Protocol]) -> Protocol:
    return min(protocols, key=lambda p: (-protocols[p], p.value))


def _locality(instance: Instance, node: Node) -> Locality:
    place = instance.locality or node.locality
    if place is not None and place.region:
        return Locality(place.region, place.zone)
    meta = node.meta or {}
    if meta.get("region"):
        return Locality(meta["region"], meta.get("zone", ""))
    return Locality(node.datacenter, meta.get("zone", ""))


def _labels(instance: Instance) -> tuple[tuple[str, str], ...]:
    labels: dict[str, str] = {}
    for tag in sorted(instance.tags or ()):
        # `k|v` is how Istio wanted labels to be written in tags.
        separator = "=" if "=" in tag else "|"
        key, found, value = tag.partition(separator)
        labels |= {key: value} if found and key else {f"tag.{tag}": "true"}
    return tuple(sorted((labels | dict(instance.meta or {})).items()))
