"""Long-running processes as Diego knows them: what is desired, and the instances there are.

Source: the BBS's own protocol (cloudfoundry/bbs, `models/*.proto`), of which this keeps what a mesh
needs. Environment variables, passwords and keys of a process are never among it.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from pilot_adapter_cloudfoundry.route import Balancing

CONTAINER_TLS = 61443
"""Where an instance's own proxy speaks TLS to other containers, without asking who they are."""
SSH = 2222
"""Diego's own port in every container."""


class Presence(enum.IntEnum):
    ORDINARY = 0
    EVACUATING = 1
    """Its cell is being emptied; it serves until its successor does."""
    SUSPECT = 2
    """Its cell has not been heard from."""


class Tag(msgspec.Struct, frozen=True, gc=False):
    """A modification tag: versions of one epoch are ordered by their index."""

    epoch: str = ""
    index: int = 0


class Mapping(msgspec.Struct, frozen=True, gc=False):
    """One port of a container, and where else it can be reached; 0 where it cannot."""

    container: int
    host: int = 0
    container_tls: int = 0
    host_tls: int = 0


class Instance(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An actual LRP that has an instance guid."""

    guid: str
    process: str
    index: int = 0
    domain: str = ""
    cell: str = ""
    is_running: bool = False
    is_ready: bool = False
    """Its readiness check passes, or it has none."""
    presence: Presence = Presence.ORDINARY
    address: str = ""
    """The cell's."""
    container_address: str = ""
    prefers_container: bool = False
    ports: tuple[Mapping, ...] = ()
    zone: str = ""
    since: int = 0
    """Nanoseconds since the epoch; newer where two claim one place."""


class HttpRoute(msgspec.Struct, frozen=True, gc=False):
    """A hostname and path that lead to a container's port."""

    host: str
    path: str
    port: int
    is_http2: bool = False
    segment: str = ""
    has_route_service: bool = False
    has_policy: bool = False
    balancing: Balancing = Balancing()


class TcpRoute(msgspec.Struct, frozen=True, gc=False):
    """A port of the TCP routers that leads to a container's port."""

    group: str
    external: int
    port: int


class Desired(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A desired LRP: what instances of it are to exist, and what leads to them."""

    process: str
    domain: str = ""
    app: str = ""
    instances: int = 0
    ports: tuple[int, ...] = ()
    http: tuple[HttpRoute, ...] = ()
    tcp: tuple[TcpRoute, ...] = ()
    internal: tuple[str, ...] = ()
    segment: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    """Metric tags that are the same for all instances, sorted."""
    problem: str = ""
    """What of its routes could not be read."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """Something exists, in this version; `replaces` is the version before, where it is told."""

    key: str
    tag: Tag
    value: Any
    rank: int = 0
    replaces: Tag | None = None
    replaced_rank: int = 0


class Gone(msgspec.Struct, frozen=True, gc=False):
    """Something does not exist any more; this was its last version."""

    key: str
    tag: Tag


class InstanceEvent(msgspec.Struct, frozen=True, gc=False):
    what: Seen | Gone


class DesiredEvent(msgspec.Struct, frozen=True, gc=False):
    what: Seen | Gone


Event = InstanceEvent | DesiredEvent
