"""Layers: sets of resources that many proxies share, each named by a key.

Rule 1: a key is all that a layer depends on besides the world. Equal keys, one layer.
Rule 2: `watches` names what can change the layer; a change that touches none of it never asks.
Rule 3: `changes` costs the size of the change, and an endpoint-only change makes views of
endpoints only. There are two exceptions: DNS names are part of their cluster, and so is what TLS
takes to speak to the endpoints (identities, for proxies that have one, and names of roots).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, TypeAlias

import msgspec

from pilot_core.model import Delta, Inbound, Locality, Service, World
from pilot_core.plan import addresses, carried, inbound, names, outbound, routes
from pilot_core.plan.triggers import (
    ANY_INBOUND,
    ANY_ROOTS,
    ANYTHING_PUBLIC,
    at_address,
    changes_of,
    in_namespace,
    inbound_in,
    named,
)
from pilot_core.plan.views import (
    ApiListenerView,
    ClusterView,
    Direction,
    Discovery,
    ForwardListenerView,
    HttpListenerView,
    RootsView,
    View,
)

CLUSTER, ENDPOINTS, LISTENER, ROUTES = "cluster", "endpoints", "listener", "routes"
SECRET = "secret"


class Changes(msgspec.Struct, frozen=True, gc=False):
    """What is to be put into a layer, and which names are to be dropped."""

    put: tuple[View, ...] = ()
    drop: tuple[str, ...] = ()


class LayerKey(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Base of all keys: the whole layer is small, and compared as a whole."""

    type: ClassVar[str]

    @property
    def watches(self) -> frozenset[str]:
        """What can change this layer (`pilot_core.plan.triggers`); nothing: it never changes."""
        return frozenset()

    def views(self, world: World) -> Iterator[View]:
        """Every view of the layer."""
        raise TypeError(f"{type(self).__name__} has no views")

    def changes(self, old: World, new: World, delta: Delta) -> Changes:
        """How the layer of the old world becomes that of the new one."""
        return difference(tuple(self.views(old)), tuple(self.views(new)))


class _ByHostname(LayerKey, frozen=True):
    """Base of layers that are made service by service."""

    @property
    def speaks_tls(self) -> bool:
        """Is it for proxies that can speak the mesh's TLS?"""
        return False

    def views(self, world: World) -> Iterator[View]:
        for hostname in self.hostnames(world):
            yield from self.of(world, hostname)

    def changes(self, old: World, new: World, delta: Delta) -> Changes:
        put: list[View] = []
        drop: list[str] = []
        touched = set(self.touched(new, delta))
        if self.speaks_tls and changes_of(Inbound, delta):
            # Whom it is about cannot be told from the service alone, and it hardly ever changes.
            touched |= {*self.hostnames(old), *self.hostnames(new)}
        for hostname in sorted(touched):
            change = difference(tuple(self.of(old, hostname)), tuple(self.of(new, hostname)))
            put.extend(change.put)
            drop.extend(change.drop)
        return Changes(tuple(put), tuple(drop))

    def hostnames(self, world: World) -> Iterable[str]:
        raise TypeError(f"{type(self).__name__} has no hostnames")

    def of(self, world: World, hostname: str) -> Iterable[View]:
        """The views of one hostname."""
        service = self.seen(world, hostname)
        return self.views_of(world, service) if service else ()

    def seen(self, world: World, hostname: str) -> Service | None:
        """The service, if it belongs into this layer."""
        raise TypeError(f"{type(self).__name__} sees no services")

    def views_of(self, world: World, service: Service) -> Iterable[View]:
        raise TypeError(f"{type(self).__name__} has no views")

    def touched(self, new: World, delta: Delta) -> Iterable[str]:
        return delta.services


class _Public(_ByHostname, frozen=True):
    @property
    def watches(self) -> frozenset[str]:
        return frozenset((ANYTHING_PUBLIC, *_any_inbound(self.speaks_tls)))

    def hostnames(self, world: World) -> Iterable[str]:
        return (found.service.hostname for found in world.public())

    def seen(self, world: World, hostname: str) -> Service | None:
        service = world.service(hostname)
        return service if service is not None and service.is_public else None


class _Private(_ByHostname, frozen=True):
    namespace: str

    @property
    def watches(self) -> frozenset[str]:
        return frozenset((in_namespace(self.namespace), *_any_inbound(self.speaks_tls)))

    def hostnames(self, world: World) -> Iterable[str]:
        return world.private_to(self.namespace)

    def seen(self, world: World, hostname: str) -> Service | None:
        service = world.service(hostname)
        if service is None or service.is_public or not service.is_visible_in(self.namespace):
            return None
        return service


class PublicClusters(_Public, frozen=True):
    """The clusters of services that everybody sees; `trust_domain` is that of proxies that can
    speak the mesh's TLS, empty for all others."""

    trust_domain: str = ""
    type: ClassVar[str] = CLUSTER

    @property
    def speaks_tls(self) -> bool:
        return bool(self.trust_domain)

    def views_of(self, world: World, service: Service) -> Iterable[View]:
        return outbound.clusters(world, service, trust_domain=self.trust_domain)

    def touched(self, new: World, delta: Delta) -> Iterable[str]:
        return delta.hostnames


class PrivateClusters(_Private, frozen=True):
    """The clusters of services that this namespace sees, and not everybody."""

    trust_domain: str = ""
    type: ClassVar[str] = CLUSTER

    @property
    def speaks_tls(self) -> bool:
        return bool(self.trust_domain)

    def views_of(self, world: World, service: Service) -> Iterable[View]:
        return outbound.clusters(world, service, trust_domain=self.trust_domain)

    def touched(self, new: World, delta: Delta) -> Iterable[str]:
        return delta.hostnames


class PublicEndpoints(_Public, frozen=True):
    """The load assignments behind PublicClusters, for proxies at one place."""

    near: Locality
    mutual: bool = False
    type: ClassVar[str] = ENDPOINTS

    @property
    def speaks_tls(self) -> bool:
        return self.mutual

    def views_of(self, world: World, service: Service) -> Iterable[View]:
        return outbound.load_assignments(world, service, self.near, mutual=self.mutual)

    def touched(self, new: World, delta: Delta) -> Iterable[str]:
        return delta.hostnames


class PrivateEndpoints(_Private, frozen=True):
    """The load assignments behind PrivateClusters, for proxies at one place."""

    near: Locality
    mutual: bool = False
    type: ClassVar[str] = ENDPOINTS

    @property
    def speaks_tls(self) -> bool:
        return self.mutual

    def views_of(self, world: World, service: Service) -> Iterable[View]:
        return outbound.load_assignments(world, service, self.near, mutual=self.mutual)

    def touched(self, new: World, delta: Delta) -> Iterable[str]:
        return delta.hostnames


class ApiListeners(_ByHostname, frozen=True):
    """What gRPC libraries in this namespace may ask for: `HOST:PORT`, or `HOST` with one port."""

    namespace: str
    type: ClassVar[str] = LISTENER

    @property
    def watches(self) -> frozenset[str]:
        return frozenset((ANYTHING_PUBLIC, in_namespace(self.namespace)))

    def hostnames(self, world: World) -> Iterable[str]:
        return (h for h in world.services if self._sees(world, h))

    def of(self, world: World, hostname: str) -> Iterable[View]:
        service = world.service(hostname)
        if service is None or not service.is_visible_in(self.namespace):
            return
        ports = carried.ports(service)
        for port in ports:
            cluster = names.outbound_cluster(hostname, port.number)
            yield ApiListenerView(names.virtual_host(hostname, port.number), cluster)
        if len(ports) == 1:
            yield ApiListenerView(hostname, names.outbound_cluster(hostname, ports[0].number))

    def _sees(self, world: World, hostname: str) -> bool:
        service = world.service(hostname)
        return service is not None and service.is_visible_in(self.namespace)


class HttpRoutes(LayerKey, frozen=True):
    """The route configuration of the HTTP listener, as one namespace sees it."""

    namespace: str
    type: ClassVar[str] = ROUTES

    @property
    def watches(self) -> frozenset[str]:
        return frozenset((ANYTHING_PUBLIC, in_namespace(self.namespace)))

    def views(self, world: World) -> Iterator[View]:
        yield routes.for_namespace(world, self.namespace)

    def changes(self, old: World, new: World, delta: Delta) -> Changes:
        if all(self._routed(old, h) == self._routed(new, h) for h in delta.services):
            return Changes()
        return Changes((routes.for_namespace(new, self.namespace),))

    def _routed(self, world: World, hostname: str) -> object:
        """All of a service that the routes of this namespace depend on."""
        service = world.service(hostname)
        if service is None or not service.is_visible_in(self.namespace):
            return None
        return service.ports, service.namespace


class HttpListener(LayerKey, frozen=True):
    """The one listener that routes by Host header."""

    address: str
    port: int
    direction: Direction
    type: ClassVar[str] = LISTENER

    def views(self, world: World) -> Iterator[View]:
        yield HttpListenerView(
            names.OUTBOUND_HTTP, self.address, self.port, names.OUTBOUND_HTTP, self.direction
        )


Wanted: TypeAlias = tuple[tuple[str, int], str]
"""Where to listen, and the `hostname:port` behind it."""


class ExplicitListeners(LayerKey, frozen=True):
    """The listeners that a proxy asked for by name."""

    namespace: str
    wanted: tuple[Wanted, ...]
    type: ClassVar[str] = LISTENER

    @property
    def watches(self) -> frozenset[str]:
        return frozenset(named(target.rpartition(":")[0]) for _, target in self.wanted)

    def views(self, world: World) -> Iterator[View]:
        for (address, listening), target in self.wanted:
            hostname, _, stated = target.rpartition(":")
            service, number = self._find(world, hostname), addresses.port_number(stated)
            port = carried.port(service, number) if service and number else None
            if service is None or port is None:
                continue
            yield ForwardListenerView(
                name=names.listener("outbound", address, listening),
                address=address,
                port=listening,
                cluster=names.outbound_cluster(service.hostname, port.number),
                http=port.protocol.is_http,
                direction=Direction.OUTBOUND,
            )

    def _find(self, world: World, hostname: str) -> Service | None:
        """The service with that name, else the only own one with that short name."""
        own = [h for h in world.hostnames_in(self.namespace) if names.short_name(h) == hostname]
        seen = [
            service
            for name in (hostname, *own)
            if (service := world.service(name)) and service.is_visible_in(self.namespace)
        ]
        exact = seen and seen[0].hostname == hostname
        return seen[0] if exact or len(seen) == 1 else None


class InboundListeners(LayerKey, frozen=True):
    """The listeners of one sidecar's own endpoints."""

    stand: inbound.Stand
    type: ClassVar[str] = LISTENER

    @property
    def watches(self) -> frozenset[str]:
        return of_stand(self.stand)

    def views(self, world: World) -> Iterator[View]:
        yield from inbound.listeners(world, self.stand)


class InboundClusters(LayerKey, frozen=True):
    """The clusters behind InboundListeners."""

    stand: inbound.Stand
    type: ClassVar[str] = CLUSTER

    @property
    def watches(self) -> frozenset[str]:
        return of_stand(self.stand)

    def views(self, world: World) -> Iterator[View]:
        yield from inbound.clusters(world, self.stand)


class TrustedRoots(LayerKey, frozen=True):
    """Whoever signs for the platforms' TLS servers: no secret, and the same for everybody."""

    type: ClassVar[str] = SECRET

    @property
    def watches(self) -> frozenset[str]:
        return frozenset((ANY_ROOTS,))

    def views(self, world: World) -> Iterator[View]:
        for found in world.roots():
            yield RootsView(names.roots(found.name), found.certificates)


class BuiltinClusters(LayerKey, frozen=True):
    """The clusters that every Envoy has, whatever the world: nowhere, and wherever it was going."""

    type: ClassVar[str] = CLUSTER

    def views(self, world: World) -> Iterator[View]:
        yield ClusterView(names.BLACK_HOLE, Discovery.STATIC)
        yield ClusterView(names.PASSTHROUGH, Discovery.ORIGINAL_DESTINATION)


def difference(old: tuple[View, ...], new: tuple[View, ...]) -> Changes:
    """The views that are new or different, and the names that are gone."""
    if old == new:
        return Changes()
    before = {view.name: view for view in old}
    after = {view.name for view in new}
    return Changes(
        put=tuple(view for view in new if before.get(view.name) != view),
        drop=tuple(name for name in before if name not in after),
    )


def of_stand(stand: inbound.Stand) -> frozenset[str]:
    """What can change what a sidecar serves."""
    said = (inbound_in(""), inbound_in(stand.namespace))
    return frozenset((*(at_address(a) for a in stand.addresses), *said))


def _any_inbound(speaks_tls: bool) -> tuple[str, ...]:
    return (ANY_INBOUND,) if speaks_tls else ()
