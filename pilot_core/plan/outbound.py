"""What callers need for one service: its clusters, load assignments and virtual hosts."""

from __future__ import annotations

from collections.abc import Iterable

from pilot_core.model import (
    NO_LOCALITY,
    Endpoint,
    Locality,
    Port,
    Resolution,
    Service,
    TlsMode,
    World,
)
from pilot_core.model.inbound import InboundRules
from pilot_core.plan import addresses, carried, identities, names
from pilot_core.plan.remembered import remembered
from pilot_core.plan.views import (
    ClusterView,
    Discovery,
    EndpointsView,
    EndpointView,
    LocalityView,
    VirtualHostView,
)

_DISCOVERY = {
    Resolution.STATIC: Discovery.EDS,
    Resolution.DNS: Discovery.DNS,
    Resolution.PASSTHROUGH: Discovery.ORIGINAL_DESTINATION,
}


def clusters(world: World, service: Service, *, trust_domain: str = "") -> tuple[ClusterView, ...]:
    """One cluster per port; the endpoints are part of it only where they are DNS names.

    `trust_domain` is that of callers who can speak the mesh's TLS; empty for those who cannot.
    """
    found = tuple(world.endpoints_of(service.hostname))
    return tuple(
        _cluster(world.inbound, found, service, port, trust_domain)
        for port in carried.ports(service)
    )


def _cluster(
    rules: InboundRules,
    found: tuple[Endpoint, ...],
    service: Service,
    port: Port,
    trust_domain: str,
) -> ClusterView:
    is_mutual = trust_domain and service.resolution is not Resolution.PASSTHROUGH
    ids = identities.behind(found, service, port, trust_domain, rules=rules) if is_mutual else ()
    roots = _roots(found, port)
    return ClusterView(
        name=names.outbound_cluster(service.hostname, port.number),
        discovery=_DISCOVERY[service.resolution],
        http2=port.protocol.is_http2,
        localities=_inside(found, service, port, rules if trust_domain else None),
        identities=ids,
        roots=roots,
        protocol=_protocol(port) if ids or roots else "",
    )


def _protocol(port: Port) -> str:
    if port.protocol.is_http2:
        return "h2"
    return "http/1.1" if port.protocol.is_http else ""


def _roots(found: tuple[Endpoint, ...], port: Port) -> tuple[str, ...]:
    """The names of those that sign for the platform's TLS servers among them."""
    named = {e.tls_roots for e in found if e.tls_name and e.number(port) is not None}
    return tuple(sorted(named - {""}))


def _inside(
    found: tuple[Endpoint, ...], service: Service, port: Port, rules: InboundRules | None
) -> tuple[LocalityView, ...]:
    if service.resolution is not Resolution.DNS:
        return ()
    return localities(found, service, port, NO_LOCALITY, rules=rules)


def load_assignments(
    world: World, service: Service, near: Locality, *, mutual: bool = False
) -> tuple[EndpointsView, ...]:
    """One load assignment per port of a static service, for proxies at `near` that can or cannot
    speak the mesh's TLS."""
    if service.resolution is not Resolution.STATIC:
        return ()
    found = tuple(world.endpoints_of(service.hostname))
    return tuple(
        EndpointsView(
            names.outbound_cluster(service.hostname, port.number),
            localities(found, service, port, near, rules=world.inbound if mutual else None),
        )
        for port in carried.ports(service)
    )


def localities(
    endpoints: Iterable[Endpoint],
    service: Service,
    port: Port,
    near: Locality,
    *,
    rules: InboundRules | None,
) -> tuple[LocalityView, ...]:
    """The endpoints that can serve the port, by place, the nearest first. `rules` are None for
    callers who cannot speak the mesh's TLS.

    An address that several registries name is taken from the first of them. An endpoint of weight
    0 takes no traffic, so it is not there.
    """
    places: dict[Locality, list[EndpointView]] = {}
    taken: set[tuple[str, int]] = set()
    for endpoint in endpoints:
        view = _endpoint(endpoint, service, port, rules)
        if view is None or (where := (view.addresses[0], view.port)) in taken:
            continue
        taken.add(where)
        if view.weight:
            places.setdefault(_known(endpoint.locality), []).append(view)
    ranks = {place: near.distance(place) if near.region else 0 for place in places}
    priorities = {rank: priority for priority, rank in enumerate(sorted(set(ranks.values())))}
    return tuple(
        LocalityView(place, priorities[ranks[place]], tuple(sorted(places[place], key=_where)))
        for place in sorted(places, key=lambda place: (ranks[place], place))
    )


def _where(view: EndpointView) -> tuple[str, int]:
    return view.addresses[0], view.port


def _known(place: Locality) -> Locality:
    """Below a level that is unknown, nothing is known: such places are one and the same."""
    if not place.region:
        return NO_LOCALITY
    return place if place.zone or not place.subzone else Locality(place.region)


def _endpoint(
    endpoint: Endpoint, service: Service, port: Port, rules: InboundRules | None
) -> EndpointView | None:
    usable = addresses.usable(endpoint.addresses, service.resolution)
    number = endpoint.number(port)
    if not usable or number is None or not carried.is_port(number):
        return None
    if endpoint.tls_name and not endpoint.tls_roots:
        # Nobody could tell whether it is the right one, so nobody speaks to it.
        return None
    tls = TlsMode.PLAIN
    if rules is not None:
        tls = identities.tls(endpoint, service, number, rules)
    number = 0 if addresses.is_unix(usable[0]) else number
    return EndpointView(usable, number, endpoint.health, endpoint.weight, tls, *_named(endpoint))


def _named(endpoint: Endpoint) -> tuple[str, str]:
    return (endpoint.tls_name, endpoint.tls_roots) if endpoint.tls_name else ("", "")


@remembered
def virtual_hosts(service: Service) -> tuple[VirtualHostView, ...]:
    """One virtual host per HTTP port, with the names that every namespace may use.

    The bare hostname goes to port 80 where that speaks HTTP, else to the first port that does.
    """
    ports = [port for port in carried.ports(service) if port.protocol.is_http]
    default = next((p for p in ports if p.number == 80), ports[0] if ports else None)
    return tuple(_virtual_host(service.hostname, port, port is default) for port in ports)


def _virtual_host(hostname: str, port: Port, is_default: bool) -> VirtualHostView:
    name = names.virtual_host(hostname, port.number)
    return VirtualHostView(
        name=name,
        domains=(hostname, name) if is_default else (name,),
        cluster=names.outbound_cluster(hostname, port.number),
    )
