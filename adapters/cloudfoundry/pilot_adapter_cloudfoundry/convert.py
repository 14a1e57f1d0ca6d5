"""From pools of instances to neutral records: pure.

Rule: where the mesh cannot do what the foundation's own router would, nobody is sent anywhere: no
route service is gone around, and no request for a path reaches another application.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilot_adapter_cloudfoundry import policies, traffic, weights
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.lrp import CONTAINER_TLS
from pilot_adapter_cloudfoundry.names import Names
from pilot_adapter_cloudfoundry.route import Pools, Route
from pilot_core.model import Endpoint, Endpoints, Health, Locality, Port, Protocol, Record, Service

_HTTP = 80
_SHOWN = 3


class Context(msgspec.Struct, frozen=True):
    """What besides the routes decides what becomes of them."""

    config: CloudFoundryConfig
    roots: str = ""
    """The name of those that sign for instances."""
    names: Names = Names()
    hostnames: Mapping[str, tuple[str, ...]] = {}
    """The names under which each application is known, sorted."""

    @property
    def label_prefix(self) -> str:
        return self.config.api.label_prefix if self.config.api is not None else ""

    def tcp_hostname(self, group: str) -> str:
        """The name under which a router group's ports are reached."""
        return self.names.tcp_domains.get(group) or f"tcp-{group}".lower()


class Made(msgspec.Struct, frozen=True):
    """What one name comes to."""

    records: tuple[Record, ...] = ()
    problems: tuple[str, ...] = ()


def external(hostname: str, pools: Pools, context: Context) -> Made:
    """The service of an HTTP route: its port is the one that the foundation's routers have."""
    if not pools:
        return Made()
    routes, by_path = pools.get("", ()), _foreign(pools)
    asked = traffic.asked(hostname, pools, by_path=bool(by_path))
    problem = _unservable(hostname, pools, by_path)
    is_http2 = bool(routes) and all(route.is_http2 for route in routes)
    protocol = Protocol.HTTP2 if is_http2 else Protocol.HTTP
    service = Service(hostname=hostname, ports=(Port("http", _HTTP, protocol),))
    if problem:
        return Made((service, *asked), (problem,))
    shares = weights.shares(hostname, routes, context.names)
    endpoints = tuple(
        endpoint(route, (("http", route.port),), context, weight=weight)
        for route, weight in zip(_settled(routes), shares, strict=True)
    )
    return Made((service, Endpoints(hostname=hostname, endpoints=endpoints), *asked))


def internal(hostname: str, pools: Pools, context: Context) -> Made:
    """The service of an internal route: containers' addresses, under the ports that the
    application listens on, or that are agreed on where nobody tells them."""
    if not pools:
        return Made()
    if "" in pools:
        pools = {str(number): pools[""] for number in context.config.internal_ports}
    ports = tuple(_internal_port(int(number)) for number in sorted(pools, key=int))
    by_instance: dict[tuple[str, str, str], list[tuple[str, Route]]] = {}
    for port in ports:
        for route in pools[str(port.number)]:
            key = (route.host, route.id, route.tls_name)
            by_instance.setdefault(key, []).append((port.name, route))
    endpoints = tuple(
        endpoint(found[0][1], _numbers(found, ports), context)
        for _, found in sorted(by_instance.items())
    )
    service = Service(hostname=hostname, ports=ports)
    apps = {route.app for routes in pools.values() for route in routes if route.app}
    allowed = policies.authorization(hostname, apps, context.names.policies, context.hostnames)
    return Made((service, Endpoints(hostname=hostname, endpoints=endpoints), *allowed))


def tcp(group: str, pools: Pools, context: Context) -> Made:
    """The ports of the TCP routers of one group, each with instances of its own."""
    if not pools:
        return Made()
    hostname = context.tcp_hostname(group)
    numbers = sorted(pools, key=int)
    ports = tuple(Port(f"tcp-{number}", int(number), Protocol.TCP) for number in numbers)
    endpoints = tuple(
        endpoint(route, ((f"tcp-{number}", route.port),), context)
        for number in numbers
        for route in _settled(pools[number])
    )
    service = Service(hostname=hostname, ports=ports)
    return Made((service, Endpoints(hostname=hostname, endpoints=endpoints)))


def endpoint(
    route: Route, ports: tuple[tuple[str, int], ...], context: Context, *, weight: int = 1
) -> Endpoint:
    """`tls_name` is the instance's guid: a port that another instance has now does not answer."""
    region = context.config.region
    has_place = region and route.zone
    return Endpoint(
        addresses=(route.host,),
        ports=ports,
        health=route.health,
        locality=Locality(region, route.zone) if has_place else Locality(region),
        labels=context.names.labels(route.labels, context.label_prefix),
        weight=weight,
        workload=route.app,
        tls_name=route.tls_name,
        tls_roots=context.roots if route.tls_name else "",
    )


def _numbers(
    found: list[tuple[str, Route]], ports: tuple[Port, ...]
) -> tuple[tuple[str, int], ...]:
    """Nothing where the endpoint has all of the service's ports, under their own numbers."""
    numbers = tuple(sorted((name, route.port) for name, route in found if route.port))
    own = tuple(sorted((port.name, port.number) for port in ports))
    return () if numbers == own else numbers


def _settled(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """An instance whose cell is being emptied takes nothing new, as long as others are healthy:
    where there is none, its successor has not started yet."""
    if any(route.health is Health.HEALTHY for route in routes):
        return routes
    return tuple(
        msgspec.structs.replace(route, health=Health.DEGRADED)
        if route.health is Health.DRAINING
        else route
        for route in routes
    )


def _internal_port(number: int) -> Port:
    if number == CONTAINER_TLS:
        return Port(f"https-{number}", number, Protocol.HTTPS)
    return Port(f"http-{number}", number, Protocol.HTTP)


def _unservable(hostname: str, pools: Pools, by_path: list[str]) -> str:
    """Why requests for this hostname cannot be routed as the foundation does; empty if they can."""
    if any(route.is_guarded for routes in pools.values() for route in routes):
        return f"{hostname} is not served: a route service or a route policy stands before it"
    if not by_path:
        return ""
    shown = ", ".join(by_path[:_SHOWN]) + (" and more" if len(by_path) > _SHOWN else "")
    return f"{hostname} is not served: routes by path are not applied yet, and it has {shown}"


def _foreign(pools: Pools) -> list[str]:
    """The paths that lead elsewhere than the hostname itself."""
    own = pools.get("", ())
    return [path for path, routes in pools.items() if path and not _is_same(own, routes)]


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
