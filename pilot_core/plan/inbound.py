"""What a sidecar serves: the endpoints at its own address, handed to the application beside it.

Which services a proxy stands for follows from the world: the endpoints with its address, of
services in its namespace. Its own word decides only where the application listens. Who may connect
is what people say of the workload (`pilot_core.model.inbound`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pilot_core.model import NO_LOCALITY, Endpoint, Health, InboundTls, Service, TlsMode, World
from pilot_core.model.inbound import strictest
from pilot_core.plan import addresses, carried, names
from pilot_core.plan.views import (
    CallersView,
    ClusterView,
    Direction,
    Discovery,
    EndpointView,
    ForwardListenerView,
    GateView,
    LocalityView,
)

INTERCEPTED_SOURCE = "127.0.0.6"
"""Where intercepted connections come from when they get to the application: by that, the rules of
redirection know those that have been through the sidecar."""


class Stand(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Where a sidecar stands: its addresses, its namespace, and (port, application) pairs.

    `taken` are (address, port) pairs that other listeners of the same proxy have: Envoy refuses a
    second one there. `trust_domain` is empty where it cannot speak the mesh's TLS. Where traffic
    `is_intercepted`, the application has its address and port for itself.
    """

    addresses: tuple[str, ...]
    namespace: str
    applications: tuple[tuple[int, str], ...] = ()
    taken: frozenset[tuple[str, int]] = frozenset()
    trust_domain: str = ""
    is_intercepted: bool = False


class _Served(msgspec.Struct, frozen=True, gc=False):
    address: str
    port: int
    http: bool
    http2: bool
    application: tuple[str, int]
    mode: InboundTls
    tls: TlsMode


def listeners(world: World, stand: Stand) -> tuple[ForwardListenerView, ...]:
    """One listener per address and port that an endpoint of this sidecar has; none where only
    callers with a certificate may connect and it has none to show them."""
    return tuple(
        _listener(served, stand.trust_domain)
        for served in _served(world, stand)
        if not _is_closed(served, stand)
    )


def gate(world: World, stand: Stand, port: int) -> GateView:
    """The one listener of a sidecar whose traffic is redirected to it."""
    closed = tuple(_shut(one) for one in _served(world, stand) if _is_closed(one, stand))
    served = listeners(world, stand) + closed
    return GateView(names.VIRTUAL_INBOUND, port, served, _otherwise(world, stand, port))


def _is_closed(served: _Served, stand: Stand) -> bool:
    """Only callers with a certificate may connect, and it has none to show them."""
    return not stand.trust_domain and served.mode is InboundTls.STRICT


def _listener(served: _Served, trust_domain: str) -> ForwardListenerView:
    return ForwardListenerView(
        name=names.listener("inbound", served.address, served.port),
        address=served.address,
        port=served.port,
        cluster=names.inbound_cluster(served.port),
        http=served.http,
        direction=Direction.INBOUND,
        callers=_callers(served.mode, trust_domain),
    )


def _shut(served: _Served) -> ForwardListenerView:
    """Connections are taken, and go nowhere."""
    made = _listener(served, "")
    return msgspec.structs.replace(made, cluster=names.BLACK_HOLE, http=False)


def _otherwise(world: World, stand: Stand, port: int) -> ForwardListenerView:
    """Ports that no registry knows: to the application, as what is said of the workload allows."""
    here = [found for a in stand.addresses for found in _endpoints_at(world, a, stand.namespace)]
    endpoints = [endpoint for _, endpoint in here] or [Endpoint(addresses=stand.addresses)]
    said = [world.inbound.mode(stand.namespace, endpoint, 0) for endpoint in endpoints]
    is_strict = InboundTls.STRICT in said
    return ForwardListenerView(
        name=names.VIRTUAL_INBOUND,
        address="0.0.0.0",
        port=port,
        cluster=names.BLACK_HOLE
        if is_strict and not stand.trust_domain
        else names.INBOUND_PASSTHROUGH,
        http=False,
        direction=Direction.INBOUND,
        callers=CallersView(stand.trust_domain) if is_strict and stand.trust_domain else None,
    )


def unserved(world: World, stand: Stand) -> tuple[str, ...]:
    """The addresses that have no listener because only callers with a certificate may connect."""
    if stand.trust_domain or not world.inbound:
        return ()
    return tuple(
        f"{served.address}:{served.port}"
        for served in _served(world, stand)
        if _is_closed(served, stand)
    )


def unreachable(world: World, stand: Stand) -> tuple[str, ...]:
    """The addresses where only callers with a certificate may connect, and of which a registry says
    that they take plaintext: so that is what callers come with."""
    if not stand.trust_domain or not world.inbound:
        return ()
    return tuple(
        f"{served.address}:{served.port}"
        for served in _served(world, stand)
        if served.mode is InboundTls.STRICT and served.tls is TlsMode.PLAIN
    )


def _callers(mode: InboundTls, trust_domain: str) -> CallersView | None:
    if not trust_domain or mode is InboundTls.DISABLED:
        return None
    return CallersView(trust_domain, plaintext=mode is InboundTls.PERMISSIVE)


def clusters(world: World, stand: Stand) -> tuple[ClusterView, ...]:
    """One cluster per port, with the application as its only endpoint."""
    by_port = {served.port: served for served in reversed(_served(world, stand))}
    source = INTERCEPTED_SOURCE if stand.is_intercepted else ""
    return tuple(_cluster(by_port[port], source) for port in sorted(by_port))


def _cluster(served: _Served, source: str) -> ClusterView:
    ip, port = served.application
    endpoint = EndpointView((ip,), port, Health.HEALTHY, 1)
    return ClusterView(
        name=names.inbound_cluster(served.port),
        discovery=Discovery.STATIC,
        http2=served.http2,
        localities=(LocalityView(NO_LOCALITY, 0, (endpoint,)),),
        source=source,
    )


def _served(world: World, stand: Stand) -> list[_Served]:
    """By address and port; where two services share one, the first by hostname decides, save that
    the stricter of what is asked of callers counts."""
    found: dict[tuple[str, int], _Served] = {}
    for served in _all_served(world, stand):
        first = found.setdefault((served.address, served.port), served)
        mode = strictest((first.mode, served.mode))
        if mode is not first.mode:
            found[served.address, served.port] = msgspec.structs.replace(first, mode=mode)
    return [found[where] for where in sorted(found.keys() - stand.taken)]


def _all_served(world: World, stand: Stand) -> Iterator[_Served]:
    applications = dict(stand.applications)
    for address in filter(addresses.is_own, stand.addresses):
        for service, endpoint in _endpoints_at(world, address, stand.namespace):
            ports = _ports(world, service, endpoint, address, applications)
            yield from (served for one in ports if (served := _handed(stand, one)))


def _handed(stand: Stand, served: _Served) -> _Served | None:
    """Where it is handed to by this sidecar; None where the application has the address and port
    for itself: a listener there would take them from it, and hand every request to itself."""
    itself = (served.address, served.port)
    if not stand.is_intercepted:
        return None if served.application == itself else served
    if served.port in dict(stand.applications):
        return served
    return msgspec.structs.replace(served, application=itself)


def _endpoints_at(world: World, address: str, namespace: str) -> Iterator[tuple[Service, Endpoint]]:
    for hostname in world.hostnames_at(address):
        service = world.service(hostname)
        if service is None or service.namespace != namespace:
            continue
        for endpoint in world.endpoints_of(hostname):
            if address in endpoint.addresses:
                yield service, endpoint


def _ports(
    world: World,
    service: Service,
    endpoint: Endpoint,
    address: str,
    applications: dict[int, str],
) -> Iterator[_Served]:
    for port in carried.ports(service):
        number = endpoint.number(port)
        if number is None or not carried.is_port(number):
            continue
        stated = addresses.parse(applications.get(number, ""))
        application = stated or ("127.0.0.1", number)
        yield _Served(
            address=address,
            port=number,
            http=port.protocol.is_http,
            http2=port.protocol.is_http2,
            application=application,
            tls=endpoint.tls,
            mode=world.inbound.mode(service.namespace, endpoint, number) or InboundTls.PERMISSIVE,
        )
