"""Intercepted traffic: the application knows nothing of the sidecar, and the system redirects to it
whatever the application sends, and whatever is sent to it.

Rule 1: a connection goes where it was meant to go, unless a registry knows that as a service.
Rule 2: HTTP is told apart by the Host header and the port, everything else by the service's own
virtual address. Without such an address it goes where it was meant to, for nothing else is sure.
Rule 3: no domain stands in two virtual hosts of one port; the proxy's own namespace comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from pilot_core.model import Delta, Service, World
from pilot_core.plan import addresses, carried, inbound, names
from pilot_core.plan.layers import (
    CLUSTER,
    LISTENER,
    ROUTES,
    Changes,
    LayerKey,
    difference,
    of_stand,
)
from pilot_core.plan.triggers import ANYTHING_PUBLIC, in_namespace
from pilot_core.plan.views import (
    CaughtListenerView,
    ClusterView,
    Discovery,
    HostsView,
    PortListenerView,
    RoutesView,
    View,
    VirtualHostView,
)

OUTBOUND_PORT, INBOUND_PORT = 15001, 15006
_ANY = "0.0.0.0"
_ELSE = "elsewhere"
"""The virtual host of requests for what no registry knows."""


class CaughtListener(LayerKey, frozen=True):
    """Where the application's redirected connections come in."""

    otherwise: str
    type: ClassVar[str] = LISTENER

    def views(self, world: World) -> Iterator[View]:
        yield CaughtListenerView(names.VIRTUAL_OUTBOUND, OUTBOUND_PORT, self.otherwise)


class Gate(LayerKey, frozen=True):
    """Where redirected connections to the application come in."""

    stand: inbound.Stand
    type: ClassVar[str] = LISTENER

    @property
    def watches(self) -> frozenset[str]:
        return of_stand(self.stand)

    def views(self, world: World) -> Iterator[View]:
        yield inbound.gate(world, self.stand, INBOUND_PORT)


class ApplicationCluster(LayerKey, frozen=True):
    """To the application, wherever a caller meant to reach it."""

    type: ClassVar[str] = CLUSTER

    def views(self, world: World) -> Iterator[View]:
        yield ClusterView(
            names.INBOUND_PASSTHROUGH,
            Discovery.ORIGINAL_DESTINATION,
            source=inbound.INTERCEPTED_SOURCE,
        )


class _Seen(LayerKey, frozen=True):
    """Base of what is made of all services that a namespace sees, as callers address them."""

    namespace: str
    otherwise: str

    @property
    def watches(self) -> frozenset[str]:
        return frozenset((ANYTHING_PUBLIC, in_namespace(self.namespace)))

    def changes(self, old: World, new: World, delta: Delta) -> Changes:
        if all(self._addressed(old, h) == self._addressed(new, h) for h in delta.services):
            return Changes()
        return difference(tuple(self.views(old)), tuple(self.views(new)))

    def _addressed(self, world: World, hostname: str) -> object:
        """All of a service that its callers go by."""
        service = world.service(hostname)
        if service is None or not service.is_visible_in(self.namespace):
            return None
        return service.ports, service.namespace, service.addresses

    def seen(self, world: World) -> list[Service]:
        """The services that are seen, own ones first."""
        found = (world.service(hostname) for hostname in world.services)
        seen = [s for s in found if s is not None and s.is_visible_in(self.namespace)]
        return sorted(seen, key=lambda s: (s.namespace != self.namespace, s.hostname))

    def by_port(self, world: World) -> dict[int, list[Service]]:
        """The HTTP services by port, in the order of their ports."""
        found: dict[int, list[Service]] = {}
        for service in self.seen(world):
            for port in carried.ports(service):
                if port.protocol.is_http:
                    found.setdefault(port.number, []).append(service)
        return dict(sorted(found.items()))


class PortListeners(_Seen, frozen=True):
    """One listener per HTTP port, and one per virtual address and port of all else."""

    type: ClassVar[str] = LISTENER

    def views(self, world: World) -> Iterator[View]:
        for number in self.by_port(world):
            name = names.intercepted(_ANY, number)
            yield PortListenerView(name, _ANY, number, self.otherwise, str(number))
        taken: set[str] = set()
        for service in self.seen(world):
            for view in _at_virtual_addresses(service):
                if view.name not in taken:
                    taken.add(view.name)
                    yield view


class PortRoutes(_Seen, frozen=True):
    """One route configuration per HTTP port, named by it."""

    type: ClassVar[str] = ROUTES

    def views(self, world: World) -> Iterator[View]:
        shorts = self._shorts(world)
        for number, services in self.by_port(world).items():
            taken: set[str] = set()
            hosts = []
            for service in services:
                domains = _domains(service, shorts.get(service.hostname, ""), number)
                free = tuple(d for d in dict.fromkeys(domains) if d not in taken)
                taken.update(free)
                if free:
                    hosts.append(_host(service.hostname, number, free))
            if "*" not in taken:
                hosts.append(VirtualHostView(_ELSE, ("*",), self.otherwise))
            yield RoutesView(str(number), (HostsView(tuple(hosts)),))

    def _shorts(self, world: World) -> dict[str, str]:
        """Short names belong to the services of the own namespace, and to nobody where two of them
        would share one."""
        own = [h for h in world.hostnames_in(self.namespace) if names.short_name(h)]
        count = Counter(names.short_name(h) for h in own)
        return {h: names.short_name(h) for h in own if count[names.short_name(h)] == 1}


def _host(hostname: str, number: int, domains: tuple[str, ...]) -> VirtualHostView:
    cluster = names.outbound_cluster(hostname, number)
    return VirtualHostView(names.virtual_host(hostname, number), domains, cluster)


def _domains(service: Service, short: str, number: int) -> Iterator[str]:
    for name in filter(None, (service.hostname, short, *_virtual(service))):
        stated = f"[{name}]" if ":" in name else name
        yield stated
        if name != "*":
            yield f"{stated}:{number}"


def _at_virtual_addresses(service: Service) -> Iterator[PortListenerView]:
    for port in carried.ports(service):
        for address in () if port.protocol.is_http else _virtual(service):
            name = names.intercepted(address, port.number)
            cluster = names.outbound_cluster(service.hostname, port.number)
            yield PortListenerView(name, address, port.number, cluster)


def _virtual(service: Service) -> tuple[str, ...]:
    return tuple(a for a in service.addresses if addresses.is_ip(a))
