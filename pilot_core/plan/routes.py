"""The routes of one namespace: every HTTP service it sees, by all the names it may use.

Rule 1: no domain stands in two virtual hosts; Envoy refuses such a configuration as a whole.
Rule 2: short names belong to the services of the proxy's own namespace, and to nobody where two
services would share one, or where a service that is seen there has it as its whole name.
Rule 3: the hosts of one namespace's public services are one group, which all other namespaces
share: a changed service costs one group, not all hosts of all namespaces.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

import msgspec

from pilot_core.model import Service, World
from pilot_core.plan import carried, names
from pilot_core.plan.outbound import virtual_hosts
from pilot_core.plan.views import HostsView, RoutesView, VirtualHostView


def for_namespace(world: World, namespace: str) -> RoutesView:
    """The route configuration of the HTTP listener in this namespace."""
    others = (group for owner, group in _public(world) if owner != namespace)
    groups = (_own(world, namespace), _lent(world, namespace), *others)
    return RoutesView(names.OUTBOUND_HTTP, tuple(group for group in groups if group.hosts))


@functools.lru_cache(maxsize=1)
def _public(world: World) -> tuple[tuple[str, HostsView], ...]:
    """The public hosts, by the namespace of their services. All routes of one world need them."""
    by_namespace: dict[str, list[Service]] = {}
    for found in world.public():
        by_namespace.setdefault(found.service.namespace, []).append(found.service)
    return tuple((owner, _group(by_namespace[owner])) for owner in sorted(by_namespace))


def _own(world: World, namespace: str) -> HostsView:
    """The namespace's own services that it sees, with their short names."""
    services = [s for s in _seen(world, world.hostnames_in(namespace), namespace) if _is_http(s)]
    shorts = _short_names(world, services, namespace)
    return HostsView(
        tuple(
            _with_short_name(host, service.hostname, shorts.get(service.hostname, ""))
            for service in services
            for host in virtual_hosts(service)
        )
    )


def _lent(world: World, namespace: str) -> HostsView:
    """What other namespaces show to this one, and not to everybody."""
    seen = _seen(world, world.private_to(namespace), namespace)
    return _group(service for service in seen if service.namespace != namespace)


def _group(services: Iterable[Service]) -> HostsView:
    in_order = sorted(services, key=lambda service: service.hostname)
    return HostsView(tuple(host for service in in_order for host in virtual_hosts(service)))


def _seen(world: World, hostnames: Iterable[str], namespace: str) -> list[Service]:
    services = (world.service(hostname) for hostname in hostnames)
    return [s for s in services if s is not None and s.is_visible_in(namespace)]


def _short_names(world: World, services: list[Service], namespace: str) -> dict[str, str]:
    """Hostname to short name, for those of these services that may have one."""
    shorts = {service.hostname: names.short_name(service.hostname) for service in services}
    wanted = Counter(shorts.values())
    return {
        hostname: short
        for hostname, short in shorts.items()
        if short and wanted[short] == 1 and not _seen(world, (short,), namespace)
    }


def _is_http(service: Service) -> bool:
    return any(port.protocol.is_http for port in carried.ports(service))


def _with_short_name(host: VirtualHostView, hostname: str, short: str) -> VirtualHostView:
    if not short:
        return host
    more = tuple(short + domain.removeprefix(hostname) for domain in host.domains)
    return msgspec.structs.replace(host, domains=host.domains + more)
