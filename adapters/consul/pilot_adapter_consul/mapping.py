"""One service as Consul has it to records of the model; pure.

Rule 1: an instance that cannot be mapped is refused alone, with a reason.
Rule 2: the order in which Consul lists instances, tags and ports means nothing.
Rule 3: what Consul says is kept: every key of Meta and every tag becomes a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from pilot_adapter_consul import places, sidecars
from pilot_adapter_consul.entries import Check, Entry, Instance
from pilot_adapter_consul.scope import DEFAULT, Scope
from pilot_adapter_consul.sidecars import Beside, Sidecar
from pilot_core.model import (
    Endpoint,
    Endpoints,
    Health,
    Port,
    Protocol,
    Record,
    Resolution,
    Service,
    from_port_name,
)

Refuse = Callable[[str], None]

_MAINTENANCE = ("_node_maintenance", "_service_maintenance")
_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_SOCKET_PORT = 80
"""The number by which callers name a service that listens on a unix socket."""


class About(msgspec.Struct, frozen=True):
    """What is known of a service besides its instances."""

    scope: Scope = Scope()
    is_far: bool = False
    """In another datacentre than the agent: the addresses for the wide area count."""
    protocol: Protocol | None = None
    """What service-defaults say."""
    trust_domain: str = ""
    """Of Consul's own mesh; empty where it has none."""
    sidecars: Mapping[Beside, Sidecar] = sidecars.NONE

    def sidecar(self, entry: Entry) -> Sidecar | None:
        """The proxy beside this instance; of an instance that needs none, what it says itself."""
        instance = entry.service
        if instance.connect is not None and instance.connect.native:
            return Sidecar(virtual=sidecars.virtual(instance))
        return self.sidecars.get((entry.node.node, instance.id))


NOTHING_MORE = About()


def records(
    service: str, entries: Sequence[Entry], refuse: Refuse, about: About = NOTHING_MORE
) -> tuple[Record, ...]:
    """The service and its endpoints. Nothing for sidecar proxies: they are no service of a user's,
    but a part of the one that they stand beside. What is refused is told; the caller keeps what was
    there if nothing is left."""
    users = [entry for entry in entries if entry.service.kind != sidecars.PROXY]
    if not users:
        return ()
    found = sorted(_endpoints(users, refuse, about), key=lambda e: (e.addresses, e.ports, e.labels))
    names = [e.address for e in found if not places.is_ip(e.address) and not e.is_unix]
    resolution = Resolution.DNS if found and len(names) == len(found) else Resolution.STATIC
    if names and resolution is Resolution.STATIC:
        refuse(f"{names[0]} is a name: it goes only where all instances have names for addresses")
        found = [endpoint for endpoint in found if endpoint.address not in names]
    name = about.scope.hostname(service)
    return (
        Service(
            hostname=name,
            namespace=users[0].service.namespace or about.scope.namespace or DEFAULT,
            ports=tuple(_service_ports(users, refuse, about)),
            resolution=resolution,
            addresses=_virtual(users, about),
            identities=tuple(sorted({e.identity for e in found if e.identity})),
            labels=_kinds(users),
        ),
        Endpoints(hostname=name, endpoints=tuple(found)),
    )


def is_empty(mapped: Iterable[Record]) -> bool:
    """No endpoint is left in it."""
    return not any(isinstance(record, Endpoints) and record.endpoints for record in mapped)


def _endpoints(entries: Iterable[Entry], refuse: Refuse, about: About) -> Iterator[Endpoint]:
    for entry in entries:
        instance, node = entry.service, entry.node
        addresses, shift = places.addresses(instance, node, is_far=about.is_far)
        if not places.is_usable(addresses[0]):
            refuse(
                f'instance {instance.id} on {node.node}: "{addresses[0]}" cannot be connected to'
            )
            continue
        numbers = [(name, shift or number) for name, number in _ports(entry, about) if number]
        if not numbers:
            continue  # Consul's way of registering something that serves no port
        health, weight = condition(instance, entry.checks or ())
        is_in_mesh = about.trust_domain and about.sidecar(entry) is not None
        yield Endpoint(
            addresses=addresses,
            ports=tuple(sorted(numbers)),
            health=health,
            weight=weight,
            locality=places.locality(instance, node),
            labels=_labels(instance),
            workload=instance.service,
            service_account=instance.service,
            identity=sidecars.spiffe_id(about.trust_domain, instance, node) if is_in_mesh else "",
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


def protocol_of(said: object) -> Protocol | None:
    """A protocol as Consul's users write it, such as `http` or `grpc-web`; None if it is none."""
    return _PROTOCOLS.get(str(said).lower().replace("-", "_"))


def _ports(entry: Entry, about: About) -> list[tuple[str, int]]:
    """(name, number) of each; 0 where the instance serves no port."""
    instance = entry.service
    if instance.ports:
        return [(port.name, port.port) for port in instance.ports]
    name = (instance.meta or {}).get("port_name") or _protocol(entry, "", about).value
    if instance.socket_path:
        return [(name, instance.port or _SOCKET_PORT)]
    return [(name, instance.port)]


def _protocol(entry: Entry, port: str, about: About) -> Protocol:
    """Of a port: what somebody said of it alone goes before what was said of the service."""
    instance = entry.service
    sidecar = about.sidecar(entry)
    config = (instance.proxy.config if instance.proxy else None) or {}
    said = (
        _said(instance, f"protocol_{port}") if port else "",
        about.protocol or "",
        _said(instance, "protocol"),
        config.get("protocol", ""),
        sidecar.protocol if sidecar else "",
    )
    known = (protocol_of(one) for one in said if one)
    return next(filter(None, known), None) or from_port_name(port)


def _said(instance: Instance, key: str) -> str:
    """A label's value, without making them all."""
    said = (instance.meta or {}).get(key)
    if said is not None:
        return said
    tags = (tag for tag in instance.tags or () if tag.startswith((f"{key}=", f"{key}|")))
    return max(tags, default="")[len(key) + 1 :]


def _service_ports(entries: Sequence[Entry], refuse: Refuse, about: About) -> Iterator[Port]:
    """The union of what the instances serve. Where they differ in a port's number, callers name it
    by the one that most of them have, of several by the lowest."""
    numbers: dict[str, Counter[int]] = {}
    protocols: dict[str, Counter[Protocol]] = {}
    for entry in entries:
        for name, number in _ports(entry, about):
            if number:
                numbers.setdefault(name, Counter())[number] += 1
                protocols.setdefault(name, Counter())[_protocol(entry, name, about)] += 1
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


def _virtual(entries: Iterable[Entry], about: About) -> tuple[str, ...]:
    found = {s.virtual for entry in entries if (s := about.sidecar(entry)) and s.virtual}
    return tuple(sorted(address for address in found if places.is_ip(address)))


def _kinds(entries: Iterable[Entry]) -> tuple[tuple[str, str], ...]:
    """What kind of gateway it is; nothing for what users register."""
    kinds = sorted({entry.service.kind for entry in entries if entry.service.kind})
    return (("kind", kinds[0]),) if kinds else ()


def _labels(instance: Instance) -> tuple[tuple[str, str], ...]:
    labels: dict[str, str] = {}
    for tag in sorted(instance.tags or ()):
        # `k|v` is how Istio wanted labels to be written in tags.
        separator = "=" if "=" in tag else "|"
        key, found, value = tag.partition(separator)
        labels |= {key: value} if found and key else {f"tag.{tag}": "true"}
    return tuple(sorted((labels | dict(instance.meta or {})).items()))
