"""What the fleet looks like from outside: who is connected, and how far each one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pilot_core.clock import Clock
from pilot_core.model import World
from pilot_xds import rendering
from pilot_xds.connection import Connection
from pilot_xds.fleet import Fleet
from pilot_xds.snapshot import EMPTY
from pilot_xds.types import ResourceType

SHOWN = (
    ResourceType.CLUSTER,
    ResourceType.LISTENER,
    ResourceType.ENDPOINTS,
    ResourceType.ROUTES,
    ResourceType.SECRET,
)


class TypeState(msgspec.Struct, frozen=True, gc=False):
    """How far a proxy is with one type; `since` is seconds since the epoch."""

    state: str
    version: str | None
    acked: str | None
    error: str | None
    since: float


class ProxyState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One connected proxy; a type that it has not asked for is None."""

    id: str
    namespace: str
    workload: str | None
    address: str | None
    mode: str
    platform: str | None
    version: str | None
    connected_since: float
    variant: str
    types: dict[str, TypeState | None]


def proxies(fleet: Fleet, clock: Clock) -> Iterator[ProxyState]:
    """Everybody who is connected, by id; each as it is when it is its turn."""
    for connection in sorted(fleet.connections, key=lambda c: (_id(c), c.connected_since)):
        yield state(connection, fleet.world, clock)


def names(fleet: Fleet) -> set[str]:
    """What `find` takes."""
    return {name for c in fleet.connections for name in (_id(c), *_nicknames(c))}


def namesakes(fleet: Fleet, name: str) -> list[str]:
    """The ids of the proxies whose workload has this name, sorted."""
    return sorted({_id(c) for c in fleet.connections if name in _nicknames(c)})


def find(fleet: Fleet, proxy_id: str) -> Connection | None:
    """The newest connection of the proxy with this id, or with this workload's name if it is the
    only one of that name."""
    exact = [c for c in fleet.connections if _id(c) == proxy_id]
    if exact:
        return max(exact, key=lambda c: c.connected_since)
    ids = namesakes(fleet, proxy_id)
    return find(fleet, ids[0]) if len(ids) == 1 else None


def config(connection: Connection, kinds: Iterable[str]) -> dict[str, Iterator[dict[str, Any]]]:
    """What the server holds for a proxy: resources by kind, in protobuf's JSON form, each made
    when it is asked for."""
    snapshot = connection.cohort.snapshot if connection.cohort else EMPTY
    return {
        kind: map(rendering.as_dict, snapshot.resources(rendering.KINDS[kind])) for kind in kinds
    }


def _id(connection: Connection) -> str:
    return connection.proxy.id if connection.proxy else ""


def _nicknames(connection: Connection) -> tuple[str, ...]:
    proxy = connection.proxy
    if proxy is None or not proxy.workload:
        return ()
    return (proxy.workload, f"{proxy.workload}.{proxy.namespace}")


def state(connection: Connection, world: World, clock: Clock) -> ProxyState:
    """One of them, now."""
    proxy = connection.proxy
    assert proxy is not None
    address = proxy.addresses[0] if proxy.addresses else None
    return ProxyState(
        id=proxy.id,
        namespace=proxy.namespace,
        workload=proxy.workload or None,
        address=address,
        mode=proxy.mode,
        platform=_platform(world, address),
        version=proxy.version or None,
        connected_since=connection.connected_since,
        variant=connection.stream.variant,
        types={kind.short: _type(connection, kind, clock) for kind in SHOWN},
    )


def _platform(world: World, address: str | None) -> str | None:
    """The registry that knows the workload at this address."""
    for hostname in world.hostnames_at(address or ""):
        for shard in world.endpoints.get(hostname) or ():
            if any(address in endpoint.addresses for endpoint in shard.endpoints):
                return shard.registry
    return None


def _type(connection: Connection, kind: ResourceType, clock: Clock) -> TypeState | None:
    now = clock.monotonic()
    status = connection.stream.status(kind, now)
    if status is None:
        return None
    return TypeState(
        state=status.state,
        version=status.version or None,
        acked=status.acked or None,
        error=status.error or None,
        since=clock.now() - (now - status.since),
    )
