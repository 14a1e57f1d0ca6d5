"""The daemon's parts as the API shows them: reading only, everything from memory."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pilot_core.admin import shapes
from pilot_core.clock import Clock
from pilot_core.model import Endpoint, Health, MeshService, Problem, Shard, World
from pilot_core.registry.hub import Hub
from pilot_core.registry.state import Held, RegistryState
from pilot_core.telemetry.problems import Problems
from pilot_xds import status
from pilot_xds.fleet import Fleet

LISTED = "pilot-core ps lists those that are"


class HeldConfig(NamedTuple):
    """What the server holds for a proxy; resources are made when they are asked for."""

    proxy: str
    resources: Mapping[str, Iterator[dict[str, Any]]]


class View:
    """Answers questions about a running daemon."""

    def __init__(self, *, hub: Hub, fleet: Fleet, problems: Problems, clock: Clock) -> None:
        self.hub, self.fleet, self.problems, self.clock = hub, fleet, problems, clock

    def services(self) -> Iterator[shapes.ShownService]:
        """By hostname, all of one world, however long it takes to show them."""
        world = self.hub.world
        for hostname in sorted(world.services):
            yield _service(world, world.services[hostname])

    def service(self, hostname: str) -> shapes.ShownService | None:
        world = self.hub.world
        found = world.services.get(hostname)
        return _service(world, found) if found else None

    def endpoints(self, hostname: str) -> list[shapes.ShownEndpoint]:
        """In order of address, registry and source."""
        shards = self.hub.world.endpoints.get(hostname) or ()
        shown = [_endpoint(e, shard) for shard in shards for e in shard.endpoints]
        return sorted(shown, key=lambda e: (e.address, sorted(e.ports.items()), e.registry))

    def registries(self) -> list[shapes.ShownRegistry]:
        return [_registry(state) for state in self.hub.registries()]

    def proxies(self) -> Iterator[shapes.ShownProxy]:
        return map(_proxy, status.proxies(self.fleet, self.clock))

    def proxy(self, proxy_id: str) -> shapes.ShownProxy | None:
        """By its id, or by the name of its workload where only one has it."""
        found = status.find(self.fleet, proxy_id)
        return _proxy(status.state(found, self.fleet.world, self.clock)) if found else None

    def namesakes(self, name: str) -> list[str]:
        return status.namesakes(self.fleet, name)

    def proxy_names(self) -> set[str]:
        return status.names(self.fleet)

    def config(self, proxy_id: str, kinds: Iterable[str]) -> HeldConfig | None:
        found = status.find(self.fleet, proxy_id)
        if found is None or found.proxy is None:
            return None
        return HeldConfig(found.proxy.id, status.config(found, kinds))

    def shown_problems(self) -> list[shapes.ShownProblem]:
        return [_problem(problem) for problem in self.problems]


async def near(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant. In a thread: it compares with every one of them."""
    found = await asyncio.to_thread(difflib.get_close_matches, word[:253], list(words), 1)
    return found[0] if found else None


def _service(world: World, found: MeshService) -> shapes.ShownService:
    service = found.service
    endpoints = list(world.endpoints_of(service.hostname))
    healthy = sum(e.health is Health.HEALTHY for e in endpoints)
    return shapes.ShownService(
        hostname=service.hostname,
        namespace=service.namespace,
        registries=list(found.registries),
        ports=[
            shapes.ShownPort(name=p.name, number=p.number, protocol=p.protocol)
            for p in service.ports
        ],
        resolution=service.resolution,
        visibility=list(service.visibility),
        endpoints=shapes.EndpointCount(total=len(endpoints), healthy=healthy),
        conflicts=[f"{c.place}: {c.message}" for c in found.conflicts],
    )


def _endpoint(endpoint: Endpoint, shard: Shard) -> shapes.ShownEndpoint:
    return shapes.ShownEndpoint(
        address=endpoint.address,
        ports=dict(endpoint.ports),
        health=endpoint.health,
        weight=endpoint.weight,
        locality=str(endpoint.locality) or None,
        network=endpoint.network or None,
        labels=dict(endpoint.labels),
        workload=endpoint.workload or None,
        service_account=endpoint.service_account or None,
        identity=endpoint.identity or None,
        tls=endpoint.tls,
        registry=shard.registry,
        source=shard.source,
    )


def _registry(state: RegistryState) -> shapes.ShownRegistry:
    return shapes.ShownRegistry(
        name=state.name,
        kind=state.kind,
        state=state.state,
        since=shapes.time(state.since),
        required=state.required,
        services=state.services,
        endpoints=state.endpoints,
        sources=state.sources,
        sessions=state.sessions,
        last_change=shapes.time_or_none(state.last_change),
        error=state.error,
        warnings=state.warnings,
        held=_held(state.held),
    )


def _held(held: Held | None) -> shapes.ShownHeld | None:
    if held is None:
        return None
    return shapes.ShownHeld(
        share=held.share, sources=list(held.sources), since=shapes.time(held.since)
    )


def _proxy(state: status.ProxyState) -> shapes.ShownProxy:
    return shapes.ShownProxy(
        id=state.id,
        namespace=state.namespace,
        workload=state.workload,
        address=state.address,
        mode=state.mode,
        platform=state.platform,
        version=state.version,
        connected_since=shapes.time(state.connected_since),
        variant=state.variant,
        types={name: _type(shown) for name, shown in state.types.items()},
    )


def _type(state: status.TypeState | None) -> shapes.ShownType | None:
    if state is None:
        return None
    return shapes.ShownType(
        state=state.state,
        version=state.version,
        acked=state.acked,
        error=state.error,
        since=shapes.time(state.since),
    )


def _problem(problem: Problem) -> shapes.ShownProblem:
    return shapes.ShownProblem(
        code=problem.code,
        severity=problem.severity,
        registry=problem.registry or None,
        source=problem.source or None,
        object=problem.object or None,
        message=problem.message,
        origin=problem.origin or None,
        since=shapes.time(problem.since),
        count=problem.count,
    )
