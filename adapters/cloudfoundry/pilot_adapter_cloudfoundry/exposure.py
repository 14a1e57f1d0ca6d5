"""Which of Diego's instances are behind which names: what `diego` holds, as routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.lrp import (
    CONTAINER_TLS,
    SSH,
    Desired,
    HttpRoute,
    Instance,
    Mapping,
    Presence,
)
from pilot_adapter_cloudfoundry.route import Pools, Route
from pilot_core.model import Health

_HEALTH = {
    Presence.ORDINARY: Health.HEALTHY,
    Presence.EVACUATING: Health.DRAINING,
    Presence.SUSPECT: Health.DEGRADED,
}
_TAGS = (
    ("cf.app.name", "app_name"),
    ("cf.org.id", "organization_id"),
    ("cf.org.name", "organization_name"),
    ("cf.process.type", "process_type"),
    ("cf.space.id", "space_id"),
    ("cf.space.name", "space_name"),
)
_NOBODY = Route("", "", 0)
"""Says that a part is there, though nobody serves it."""
_PROCESS_GUID = 36
"""Characters; what follows a hyphen is the process's version."""

Part = tuple[str, Route]
Expose = Callable[["Exposed", str, Desired, list[Instance]], Iterator[Part]]


class Exposed:
    """The routes of one kind; `names_of` says under which names a process is known."""

    def __init__(
        self,
        diego: Diego,
        config: CloudFoundryConfig,
        names_of: Callable[[Desired, CloudFoundryConfig], Iterable[str]],
        expose: Expose,
    ) -> None:
        self.changed: set[str] = set()
        self.diego, self.config = diego, config
        self._names_of, self._expose = names_of, expose
        self._processes: dict[str, set[str]] = defaultdict(set)
        self._names: dict[str, frozenset[str]] = {}

    @property
    def names(self) -> Iterable[str]:
        return self._processes.keys()

    def update(self, process: str) -> None:
        """The process looks different."""
        desired = self.diego.desired(process)
        before = self._names.pop(process, frozenset())
        now = frozenset(self._names_of(desired, self.config)) if desired else frozenset()
        for name in before - now:
            self._processes[name].discard(process)
            if not self._processes[name]:
                del self._processes[name]
        for name in now:
            self._processes[name].add(process)
        if now:
            self._names[process] = now
        self.changed |= before | now

    def pools(self, name: str) -> Pools:
        """Names of which no instance serves yet have empty pools."""
        found: dict[str, list[Route]] = {}
        for process in sorted(self._processes.get(name, ())):
            desired = self.diego.desired(process)
            if desired is None:
                continue
            for part, route in self._expose(self, name, desired, self.diego.serving(process)):
                pool = found.setdefault(part, [])
                if route.port:
                    pool.append(route)
        return {part: tuple(found[part]) for part in sorted(found)}

    def reasons(self, name: str) -> tuple[str, ...]:
        """What is wrong is told by process: it has no name where it cannot be read."""
        return ()

    def is_container(self, instance: Instance) -> bool:
        """Whether callers go to the container's own address."""
        where = self.config.addresses
        inside = instance.prefers_container if where == "auto" else where == "container"
        return inside and bool(instance.container_address)


def http(diego: Diego, config: CloudFoundryConfig) -> Exposed:
    return Exposed(diego, config, _http_names, _http)


def internal(diego: Diego, config: CloudFoundryConfig) -> Exposed:
    return Exposed(diego, config, _internal_names, _internal)


def tcp(diego: Diego, config: CloudFoundryConfig) -> Exposed:
    return Exposed(diego, config, lambda desired, _: {t.group for t in desired.tcp}, _tcp)


def _http_names(desired: Desired, config: CloudFoundryConfig) -> Iterator[str]:
    return (r.host for r in desired.http if config.segments.has(r.segment))


def _http(
    exposed: Exposed, name: str, desired: Desired, instances: list[Instance]
) -> Iterator[Part]:
    for route in desired.http:
        if route.host != name or not exposed.config.segments.has(route.segment):
            continue
        yield route.path, _NOBODY
        for instance in instances:
            yield route.path, _outside(exposed, desired, instance, route.port, route)


def _tcp(
    exposed: Exposed, name: str, desired: Desired, instances: list[Instance]
) -> Iterator[Part]:
    for route in desired.tcp:
        if route.group != name:
            continue
        yield str(route.external), _NOBODY
        for instance in instances:
            yield str(route.external), _outside(exposed, desired, instance, route.port)


def _internal_names(desired: Desired, config: CloudFoundryConfig) -> Iterator[str]:
    """Every instance has a name of its own besides."""
    for hostname in desired.internal:
        yield hostname
        yield from (f"{index}.{hostname}" for index in range(desired.instances))


def _internal(
    exposed: Exposed, name: str, desired: Desired, instances: list[Instance]
) -> Iterator[Part]:
    """At containers' addresses, wherever callers are: with TLS, under the guid as its name, where
    the instance's own proxy speaks it, and callers know who has to have signed for it."""
    is_whole = name in desired.internal
    ports = [port for port in desired.ports if port != SSH]
    for port in ports:
        yield str(port), _NOBODY
    for instance in instances:
        if not instance.container_address:
            continue
        if not is_whole and not any(name == f"{instance.index}.{h}" for h in desired.internal):
            continue
        for port in ports:
            has_tls = exposed.config.instance_ca_file is not None and any(
                m.container == port and m.container_tls == CONTAINER_TLS for m in instance.ports
            )
            number, tls_name = (CONTAINER_TLS, instance.guid) if has_tls else (port, "")
            yield (
                str(port),
                _route(desired, instance, (instance.container_address, number), tls_name),
            )


def _outside(
    exposed: Exposed,
    desired: Desired,
    instance: Instance,
    port: int,
    route: HttpRoute | None = None,
) -> Route:
    """Where callers of a route find the instance's port; of port 0 where they cannot."""
    found = [m for m in instance.ports if m.container == port]
    # The other one answers everybody who knocks, without asking for a certificate.
    usual = next((m for m in found if m.container_tls != CONTAINER_TLS), None)
    mapping = usual or (found[0] if found else Mapping(port))
    if exposed.is_container(instance):
        tls_port = usual.container_tls if usual else 0
        address, number = instance.container_address, tls_port or port
    else:
        tls_port = usual.host_tls if usual else 0
        address, number = instance.address, tls_port or mapping.host
    where = (address, number if address else 0)
    return _route(desired, instance, where, instance.guid if tls_port else "", route)


def _route(
    desired: Desired,
    instance: Instance,
    where: tuple[str, int],
    tls_name: str,
    route: HttpRoute | None = None,
) -> Route:
    about = route or HttpRoute("", "", 0)
    return Route(
        id=instance.guid,
        host=where[0],
        port=where[1],
        tls_name=tls_name,
        is_http2=about.is_http2,
        app=desired.app,
        zone=instance.zone,
        labels=_labels(desired, instance, about.segment or desired.segment),
        is_guarded=about.has_route_service or about.has_policy,
        health=_HEALTH[instance.presence],
        segment=about.segment or desired.segment,
        balancing=about.balancing,
        is_of_diego=True,
    )


def _labels(desired: Desired, instance: Instance, segment: str) -> tuple[tuple[str, str], ...]:
    tags = dict(desired.tags)
    process = desired.process[:_PROCESS_GUID]
    version = desired.process[_PROCESS_GUID + 1 :]
    made = {
        **{name: tags.get(tag, "") for name, tag in _TAGS},
        "cf.app.id": desired.app,
        "cf.cell": instance.cell,
        "cf.instance.id": instance.guid,
        "cf.instance.index": str(instance.index),
        "cf.isolation_segment": segment,
        "cf.process.id": process,
        "cf.process.version": version,
        "cfapp": process,
        "topology.zone": instance.zone,
        "version": version,
    }
    return tuple(sorted((k, v) for k, v in made.items() if v))
