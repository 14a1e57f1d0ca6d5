"""From pools of instances to neutral records: pure.

Rule: where the mesh cannot do what the foundation's own router would, nobody is sent anywhere: no
route service is gone around, and no request for a path reaches another application.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.messages import Route
from pilot_core.model import Endpoint, Endpoints, Locality, Port, Protocol, Record, Service

_HTTP = 80
_CONTAINER_TLS = 61443
"""Where an instance's own proxy speaks TLS to other containers."""
_SHOWN = 3

Pools = Mapping[str, tuple[Route, ...]]


class Made(msgspec.Struct, frozen=True):
    """What one hostname comes to."""

    records: tuple[Record, ...] = ()
    problems: tuple[str, ...] = ()


def external(hostname: str, pools: Pools, config: CloudFoundryConfig) -> Made:
    """The service of an HTTP route: its port is the one that the foundation's routers have."""
    problem = _unservable(hostname, pools)
    routes = pools.get("", ())
    if not routes:
        return Made((), (problem,) if problem else ())
    is_http2 = all(route.is_http2 for route in routes)
    protocol = Protocol.HTTP2 if is_http2 else Protocol.HTTP
    service = Service(hostname=hostname, ports=(Port("http", _HTTP, protocol),))
    if problem:
        return Made((service,), (problem,))
    endpoints = tuple(endpoint(route, (("http", route.port),), config) for route in routes)
    return Made((service, Endpoints(hostname=hostname, endpoints=endpoints)))


def internal(hostname: str, pools: Pools, config: CloudFoundryConfig) -> Made:
    """The service of an internal route: containers' addresses, and ports that are agreed on."""
    routes = pools.get("", ())
    if not routes:
        return Made()
    ports = tuple(_internal_port(number) for number in config.internal_ports)
    endpoints = tuple(endpoint(route, (), config) for route in routes)
    service = Service(hostname=hostname, ports=ports)
    return Made((service, Endpoints(hostname=hostname, endpoints=endpoints)))


def endpoint(
    route: Route, ports: tuple[tuple[str, int], ...], config: CloudFoundryConfig
) -> Endpoint:
    """`tls_name` is the instance's guid: a port that another instance has now does not answer."""
    has_place = config.region and route.zone
    return Endpoint(
        addresses=(route.host,),
        ports=ports,
        locality=Locality(config.region, route.zone) if has_place else Locality(config.region),
        labels=route.labels,
        workload=route.app,
        tls_name=route.tls_name,
    )


def _internal_port(number: int) -> Port:
    if number == _CONTAINER_TLS:
        return Port(f"https-{number}", number, Protocol.HTTPS)
    return Port(f"http-{number}", number, Protocol.HTTP)


def _unservable(hostname: str, pools: Pools) -> str:
    """Why requests for this hostname cannot be routed as the foundation does; empty if they can."""
    if any(route.is_guarded for routes in pools.values() for route in routes):
        return f"{hostname} is not served: a route service or a route policy stands before it"
    own = pools.get("", ())
    foreign = [path for path, routes in pools.items() if path and not _is_same(own, routes)]
    if not foreign:
        return ""
    shown = ", ".join(foreign[:_SHOWN]) + (" and more" if len(foreign) > _SHOWN else "")
    return f"{hostname} is not served: routes with paths are not read yet, and it has {shown}"


def _is_same(some: tuple[Route, ...], others: tuple[Route, ...]) -> bool:
    """Does it make no difference who gets a request? The same processes, on the same ports; while
    instances come and go, one may be known under one path only."""
    if {_process(route) for route in some} != {_process(route) for route in others}:
        return False
    theirs = {route.id for route in others if route.id}
    shared = {route.id for route in some} & theirs
    return {r.address for r in some if r.id in shared} == {
        r.address for r in others if r.id in shared
    }


def _process(route: Route) -> tuple[object, ...]:
    """What it is an instance of; itself, where it is of no application."""
    if not route.app:
        return route.address
    return (route.app, dict(route.labels).get("cf.process.id", ""))
