"""TCP routes as the Routing API tells them, one after the other: pure.

Rule 1: of one route, the version with the higher index holds; one that was made anew (another guid)
holds in any case.
Rule 2: whoever repeats itself changes nothing: every heartbeat is a version of its own.
Rule 3: a list holds against all that was known when it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pilot_adapter_cloudfoundry.messages import is_ip
from pilot_adapter_cloudfoundry.route import Pools, Route

_PORT_LIMIT = 65535


class ModificationTag(msgspec.Struct, frozen=True):
    guid: str = ""
    index: int = 0


class TcpMapping(msgspec.Struct, frozen=True):
    """A port of a router group, and one backend of it."""

    router_group_guid: str = ""
    port: int = 0
    backend_ip: str = ""
    backend_port: int = 0
    backend_tls_port: int | None = None
    instance_id: str | None = None
    isolation_segment: str | None = None
    modification_tag: ModificationTag = ModificationTag()

    @property
    def key(self) -> tuple[str, int, str, int]:
        return (self.router_group_guid, self.port, self.backend_ip, self.backend_port)


class TcpTable:
    """`pilot_adapter_cloudfoundry.route.Routes` of kind TCP."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._known: dict[tuple[str, int, str, int], TcpMapping] = {}
        self._heard: set[tuple[str, int, str, int]] = set()

    @property
    def names(self) -> Iterable[str]:
        return {group for group, *_ in self._known}

    def pools(self, name: str) -> Pools:
        found: dict[str, list[Route]] = {}
        for key in sorted(self._known):
            mapping = self._known[key]
            route = _route(mapping) if mapping.router_group_guid == name else None
            if route is not None:
                found.setdefault(str(mapping.port), []).append(route)
        return {port: tuple(found[port]) for port in sorted(found, key=int)}

    def reasons(self, name: str) -> tuple[str, ...]:
        """Why some backends cannot be used."""
        bad = [m for m in self._known.values() if m.router_group_guid == name and not _route(m)]
        return tuple(
            sorted(
                f"backend {m.backend_ip[:60]}:{m.backend_port} of port {m.port} has no "
                "address that a proxy could use"
                for m in bad
            )
        )

    def upsert(self, new: TcpMapping) -> None:
        self._heard.add(new.key)
        old = self._known.get(new.key)
        if old is not None and not _is_newer(new.modification_tag, old.modification_tag):
            return
        self._put(new)

    def delete(self, gone: TcpMapping) -> None:
        self._heard.add(gone.key)
        old = self._known.get(gone.key)
        if old is None or _is_newer(old.modification_tag, gone.modification_tag, same_guid=True):
            return
        self._drop(old)

    def ask(self) -> None:
        """A list is about to be asked for."""
        self._heard.clear()

    def listed(self, found: Iterable[TcpMapping]) -> None:
        """The list that was asked for; what has been heard since is newer."""
        listed = {mapping.key: mapping for mapping in found}
        for key in self._known.keys() - listed.keys() - self._heard:
            self._drop(self._known[key])
        for key in listed.keys() - self._heard:
            self._put(listed[key])

    def _put(self, new: TcpMapping) -> None:
        old = self._known.get(new.key)
        self._known[new.key] = new
        if old is None or _content(old) != _content(new):
            self.changed.add(new.router_group_guid)

    def _drop(self, old: TcpMapping) -> None:
        del self._known[old.key]
        self.changed.add(old.router_group_guid)


def _content(mapping: TcpMapping) -> TcpMapping:
    return msgspec.structs.replace(mapping, modification_tag=ModificationTag())


def _is_newer(one: ModificationTag, other: ModificationTag, *, same_guid: bool = False) -> bool:
    if one.guid != other.guid:
        return not same_guid
    return one.index > other.index


def _route(mapping: TcpMapping) -> Route | None:
    """None where no proxy could use it: a TLS port whose server has no name to expect."""
    tls_port, id = mapping.backend_tls_port or 0, mapping.instance_id or ""
    port = tls_port if tls_port > 0 else mapping.backend_port
    is_usable = is_ip(mapping.backend_ip) and 0 < port <= _PORT_LIMIT
    if not is_usable or (tls_port > 0 and not id):
        return None
    return Route(
        id=id,
        host=mapping.backend_ip,
        port=port,
        tls_name=id if tls_port > 0 else "",
        segment=mapping.isolation_segment or "",
        labels=(("cf.isolation_segment", mapping.isolation_segment),)
        if mapping.isolation_segment
        else (),
    )
