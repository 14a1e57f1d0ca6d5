"""Which layers make up what one proxy is to have."""

from __future__ import annotations

import msgspec

from pilot_core.model import Locality, Mode, Proxy, ProxyKind, World
from pilot_core.plan import addresses, carried, inbound, intercepted, layers, names
from pilot_core.plan.identities import DEFAULT_TRUST_DOMAIN
from pilot_core.plan.inbound import Stand
from pilot_core.plan.layers import LayerKey, Wanted
from pilot_core.plan.views import Direction

_SIDECAR_HTTP = ("127.0.0.1", 15001)
_GATEWAY_HTTP = ("0.0.0.0", 8080)


class ProxyPlan(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The layers of each type. Proxies with equal plans share everything."""

    clusters: tuple[LayerKey, ...]
    endpoints: tuple[LayerKey, ...]
    listeners: tuple[LayerKey, ...]
    routes: tuple[LayerKey, ...]
    secrets: tuple[LayerKey, ...] = (layers.TrustedRoots(),)

    @property
    def keys(self) -> tuple[LayerKey, ...]:
        return self.clusters + self.endpoints + self.listeners + self.routes + self.secrets


def plan(proxy: Proxy, trust_domain: str = DEFAULT_TRUST_DOMAIN) -> ProxyPlan:
    """What a proxy is to have, by what it says of itself. The mesh's TLS is for those that have an
    agent to get certificates from; a gRPC library would want them in another way."""
    namespace, near = proxy.namespace, proxy.locality
    mutual = proxy.has_agent and proxy.kind is not ProxyKind.GRPC
    trusted = trust_domain if mutual else ""
    clusters: tuple[LayerKey, ...] = (
        layers.PublicClusters(trusted),
        layers.PrivateClusters(namespace, trusted),
    )
    endpoints = (
        layers.PublicEndpoints(_place(near), mutual),
        layers.PrivateEndpoints(namespace, _place(near), mutual),
    )
    if proxy.kind is ProxyKind.GRPC:
        return ProxyPlan(clusters, endpoints, (layers.ApiListeners(namespace),), ())
    clusters += (layers.BuiltinClusters(),)
    if proxy.kind is ProxyKind.SIDECAR and proxy.mode is Mode.REDIRECT:
        return _intercepted(proxy, trusted, clusters, endpoints)
    http = _http_listener(proxy)
    explicit = _explicit(proxy, http)
    listeners: tuple[LayerKey, ...] = (http,)
    if explicit:
        listeners += (layers.ExplicitListeners(namespace, explicit),)
    if proxy.kind is ProxyKind.SIDECAR and proxy.addresses:
        taken = frozenset({(http.address, http.port), *(where for where, _ in explicit)})
        stand = Stand(proxy.addresses, namespace, proxy.inbound, taken, trusted)
        clusters += (layers.InboundClusters(stand),)
        listeners += (layers.InboundListeners(stand),)
    return ProxyPlan(clusters, endpoints, listeners, (layers.HttpRoutes(namespace),))


def _intercepted(
    proxy: Proxy,
    trust_domain: str,
    clusters: tuple[LayerKey, ...],
    endpoints: tuple[LayerKey, ...],
) -> ProxyPlan:
    """What a sidecar is to have whose application's traffic is redirected to it."""
    otherwise = names.BLACK_HOLE if proxy.is_registry_only else names.PASSTHROUGH
    namespace = proxy.namespace
    stand = Stand(
        proxy.addresses,
        namespace,
        proxy.inbound,
        trust_domain=trust_domain,
        is_intercepted=True,
    )
    listeners: tuple[LayerKey, ...] = (
        intercepted.CaughtListener(otherwise),
        intercepted.PortListeners(namespace, otherwise),
        intercepted.Gate(stand),
    )
    own = (intercepted.OUTBOUND_PORT, intercepted.INBOUND_PORT)
    explicit = tuple(one for one in _explicit(proxy) if one[0][1] not in own)
    if explicit:
        listeners += (layers.ExplicitListeners(namespace, explicit),)
    clusters += (layers.InboundClusters(stand), intercepted.ApplicationCluster())
    routes = (intercepted.PortRoutes(namespace, otherwise),)
    return ProxyPlan(clusters, endpoints, listeners, routes)


class Shut(msgspec.Struct, frozen=True):
    """A sidecar's addresses at which callers find a shut door, though nobody meant it."""

    unserved: tuple[str, ...] = ()
    """Only callers with a certificate may connect, and it has none itself."""
    unreachable: tuple[str, ...] = ()
    """Only callers with a certificate may connect, and callers are told not to show one."""


OPEN = Shut()


def shut(plan: ProxyPlan, world: World) -> Shut:
    for key in plan.listeners:
        if isinstance(key, layers.InboundListeners | intercepted.Gate):
            return Shut(inbound.unserved(world, key.stand), inbound.unreachable(world, key.stand))
    return OPEN


def _explicit(proxy: Proxy, http: layers.HttpListener | None = None) -> tuple[Wanted, ...]:
    """The listeners it asks for, without what cannot be read; the first one has the address."""
    wanted: dict[tuple[str, int], str] = {}
    taken = (http.address, http.port) if http else None
    for listen, target in proxy.outbound:
        where, hostname = addresses.parse(listen), target.lower().rpartition(":")[0]
        if where in (None, taken) or not carried.is_hostname(hostname):
            continue
        wanted.setdefault(where, target.lower())
    return tuple(sorted(wanted.items()))


def _place(locality: Locality) -> Locality:
    """Without a region nothing is near or far, whatever the rest says."""
    return locality if locality.region else Locality()


def _http_listener(proxy: Proxy) -> layers.HttpListener:
    stated = addresses.parse(proxy.http_listener)
    if proxy.kind is ProxyKind.ROUTER:
        return layers.HttpListener(*(stated or _GATEWAY_HTTP), Direction.GATEWAY)
    return layers.HttpListener(*(stated or _SIDECAR_HTTP), Direction.OUTBOUND)
