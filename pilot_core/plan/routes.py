"""The routes of one namespace: every HTTP service it sees, by all the names it may use.

Rule 1: no domain stands in two virtual hosts; Envoy refuses such a configuration as a whole.
Rule 2: short names belong to the services of the proxy's own namespace, and to nobody where two
services would share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from pilot_core.model import Service, World
from pilot_core.plan import names
from pilot_core.plan.outbound import virtual_hosts
from pilot_core.plan.views import RoutesView, VirtualHostView


def for_namespace(world: World, namespace: str) -> RoutesView:
    """The route configuration of the HTTP listener in this namespace."""
    hosts: list[VirtualHostView] = []
    shorts = _short_names(world, namespace)
    for service in _visible(world, namespace):
        own = virtual_hosts(service)
        short = shorts.get(service.hostname)
        hosts.extend(_with_short_name(h, service.hostname, short) for h in own) if short else (
            hosts.extend(own)
        )
    hosts.sort(key=lambda host: host.name)
    return RoutesView(names.OUTBOUND_HTTP, tuple(hosts))


def _visible(world: World, namespace: str) -> Iterator[Service]:
    for found in world.public():
        yield found.service
    for hostname in world.private_to(namespace):
        service = world.service(hostname)
        if service is not None:
            yield service


def _short_names(world: World, namespace: str) -> dict[str, str]:
    """Hostname to short name, for the namespace's own services that may have one."""
    own = [h for h in world.hostnames_in(namespace) if _is_http_here(world, h, namespace)]
    wanted = Counter(names.short_name(hostname) for hostname in own)
    return {
        hostname: short
        for hostname in own
        if (short := names.short_name(hostname))
        and wanted[short] == 1
        and short not in world.services
    }


def _is_http_here(world: World, hostname: str, namespace: str) -> bool:
    service = world.service(hostname)
    return (
        service is not None
        and service.is_visible_in(namespace)
        and any(port.protocol.is_http for port in service.ports)
    )


def _with_short_name(host: VirtualHostView, hostname: str, short: str) -> VirtualHostView:
    more = tuple(short + domain.removeprefix(hostname) for domain in host.domains)
    return msgspec.structs.replace(host, domains=host.domains + more)
