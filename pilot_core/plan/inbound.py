"""What a sidecar serves: the endpoints at its own address, handed to the application beside it.

Which services a proxy stands for follows from the world: the endpoints with its address, of
services in its namespace. Its own word decides only where the application listens.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pilot_core.model import NO_LOCALITY, Endpoint, Health, Service, World
from pilot_core.plan import addresses, carried, names
from pilot_core.plan.views import (
    CallersView,
    ClusterView,
    Direction,
    Discovery,
    EndpointView,
    ForwardListenerView,
    LocalityView,
)


class Stand(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Where a sidecar stands: its addresses, its namespace, and (port, application) pairs.

    `taken` are (address, port) pairs that other listeners of the same proxy have: Envoy refuses a
    second one there. `trust_domain` is empty where it cannot speak the mesh's TLS.
    """

    addresses: tuple[str, ...]
    namespace: str
    applications: tuple[tuple[int, str], ...] = ()
    taken: frozenset[tuple[str, int]] = frozenset()
    trust_domain: str = ""


class _Served(msgspec.Struct, frozen=True, gc=False):
    address: str
    port: int
    http: bool
    http2: bool
    application: tuple[str, int]


def listeners(world: World, stand: Stand) -> tuple[ForwardListenerView, ...]:
    """One listener per address and port that an endpoint of this sidecar has."""
    return tuple(
        ForwardListenerView(
            name=names.listener("inbound", served.address, served.port),
            address=served.address,
            port=served.port,
            cluster=names.inbound_cluster(served.port),
            http=served.http,
            direction=Direction.INBOUND,
            callers=CallersView(stand.trust_domain, True) if stand.trust_domain else None,
        )
        for served in _served(world, stand)
    )


def clusters(world: World, stand: Stand) -> tuple[ClusterView, ...]:
    """One cluster per port, with the application as its only endpoint."""
    by_port = {served.port: served for served in reversed(_served(world, stand))}
    return tuple(_cluster(by_port[port]) for port in sorted(by_port))


def _cluster(served: _Served) -> ClusterView:
    ip, port = served.application
    endpoint = EndpointView((ip,), port, Health.HEALTHY, 1)
    return ClusterView(
        name=names.inbound_cluster(served.port),
        discovery=Discovery.STATIC,
        http2=served.http2,
        localities=(LocalityView(NO_LOCALITY, 0, (endpoint,)),),
    )


def _served(world: World, stand: Stand) -> list[_Served]:
    """By address and port; where two services share one, the first by hostname decides."""
    found: dict[tuple[str, int], _Served] = {}
    for address in stand.addresses:
        if not addresses.is_own(address):
            continue
        for service, endpoint in _endpoints_at(world, address, stand.namespace):
            for served in _ports(service, endpoint, address, dict(stand.applications)):
                found.setdefault((served.address, served.port), served)
    return [found[where] for where in sorted(found.keys() - stand.taken)]


def _endpoints_at(world: World, address: str, namespace: str) -> Iterator[tuple[Service, Endpoint]]:
    for hostname in world.hostnames_at(address):
        service = world.service(hostname)
        if service is None or service.namespace != namespace:
            continue
        for endpoint in world.endpoints_of(hostname):
            if address in endpoint.addresses:
                yield service, endpoint


def _ports(
    service: Service, endpoint: Endpoint, address: str, applications: dict[int, str]
) -> Iterator[_Served]:
    for port in carried.ports(service):
        number = endpoint.number(port)
        if number is None or not carried.is_port(number):
            continue
        stated = addresses.parse(applications.get(number, ""))
        application = stated or ("127.0.0.1", number)
        # The application owns this very address and port: a listener there would take them from
        # it, and hand every request to itself.
        if application == (address, number):
            continue
        yield _Served(address, number, port.protocol.is_http, port.protocol.is_http2, application)
