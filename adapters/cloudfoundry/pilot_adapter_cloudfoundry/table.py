"""The table of routes: what to make of one message after the other. Pure; time is an argument.

Rule 1: a register adds and refreshes. Who is new at an address takes it from whoever was there,
under every URI at once: the port belongs to another instance now.
Rule 2: an unregister removes where address and instance agree; emitters repeat theirs for minutes,
and the address may have been given away meanwhile. Who does not say its instance is believed.
Rule 3: what nobody repeats for its lifetime goes, TLS or not. Silence counts only while somebody
listens: `restamp` gives everything one lifetime more.
Rule 4: a message that cannot be used is remembered, and removes nothing.
An instance may serve one URI on two ports, so that its place in a pool is its address.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from pilot_adapter_cloudfoundry.messages import Start
from pilot_adapter_cloudfoundry.route import Route, Uri

Address = tuple[str, int]
_INTERVALS = 3
"""How often an emitter may be missed."""


class Held(msgspec.Struct):
    route: Route
    heard: float
    lifetime: float


class Refusal(msgspec.Struct):
    reason: str
    heard: float


class _Owner(msgspec.Struct):
    id: str
    uris: set[Uri]


class Table:
    """`ttl` is in seconds, on the clock that gives `now`."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.interval = 0.0
        """Seconds after which emitters repeat themselves; 0 where no router has said so."""
        self.changed: set[str] = set()
        """Hostnames that look different since somebody has emptied this."""
        self._pools: dict[str, dict[str, dict[Address, Held]]] = {}
        self._owners: dict[Address, _Owner] = {}
        self._refused: dict[str, dict[tuple[str, str], Refusal]] = {}

    def __len__(self) -> int:
        return sum(len(owner.uris) for owner in self._owners.values())

    @property
    def names(self) -> Iterable[str]:
        return self._pools.keys() | self._refused.keys()

    def pools(self, hostname: str) -> Mapping[str, tuple[Route, ...]]:
        """The instances by path, sorted by their addresses."""
        found = self._pools.get(hostname, {})
        return {
            path: tuple(pool[address].route for address in sorted(pool))
            for path, pool in sorted(found.items())
        }

    def reasons(self, hostname: str) -> tuple[str, ...]:
        """Why some messages about it could not be used."""
        return tuple(sorted({r.reason for r in self._refused.get(hostname, {}).values()}))

    def begin(self, said: Start) -> None:
        """A router has said how often emitters repeat themselves, and how long it waits."""
        interval, prune = said.interval or 0, said.prune or 0
        if interval > 0:
            self.interval = interval
        if interval > 0 or prune > 0:
            self.ttl = max(prune, _INTERVALS * interval)

    def register(
        self, uris: Iterable[Uri], route: Route, now: float, *, lifetime: float = math.inf
    ) -> None:
        """This instance is there, under these URIs among others."""
        owner = self._owners.get(route.address)
        if owner is not None and route.id and route.id != owner.id:
            self._evict(route.address)
            owner = None
        if owner is None:
            owner = self._owners[route.address] = _Owner(route.id, set())
        for uri in uris:
            pool = self._pools.setdefault(uri.host, {}).setdefault(uri.path, {})
            known = pool.get(route.address)
            if known is None or known.route != route:
                self.changed.add(uri.host)
            pool[route.address] = Held(route, now, lifetime)
            owner.uris.add(uri)
        if not owner.uris:
            del self._owners[route.address]

    def unregister(self, uris: Iterable[Uri], id: str, address: Address) -> None:
        """This instance is no longer there, under these URIs."""
        for uri in uris:
            owner = self._owners.get(address)
            if owner is None or uri not in owner.uris:
                continue
            if not id or not owner.id or id == owner.id:
                self._remove(uri, address)

    def refuse(self, uris: Iterable[Uri], who: str, reason: str, now: float) -> None:
        """Somebody (an instance, or a host) says what cannot be used."""
        for uri in uris:
            refused = self._refused.setdefault(uri.host, {})
            known = refused.get((uri.path, who))
            if known is None or known.reason != reason:
                self.changed.add(uri.host)
            refused[uri.path, who] = Refusal(reason, now)

    def accept(self, uris: Iterable[Uri], who: str) -> None:
        """Somebody says again what can be used."""
        for uri in uris:
            self._forget_refusal(uri, who)

    def restamp(self, now: float) -> None:
        """Nobody has listened until now."""
        for pools in self._pools.values():
            for pool in pools.values():
                for held in pool.values():
                    held.heard = now
        for refused in self._refused.values():
            for refusal in refused.values():
                refusal.heard = now

    def expire(self, now: float) -> int:
        """Let go of what has not been repeated; how many went."""
        gone = [
            (Uri(host, path), address)
            for host, pools in self._pools.items()
            for path, pool in pools.items()
            for address, held in pool.items()
            if held.heard + min(held.lifetime, self.ttl) <= now
        ]
        for uri, address in gone:
            self._remove(uri, address)
        silent = [
            (Uri(host, path), who)
            for host, refused in self._refused.items()
            for (path, who), refusal in refused.items()
            if refusal.heard + self.ttl <= now
        ]
        for uri, who in silent:
            self._forget_refusal(uri, who)
        return len(gone)

    def _evict(self, address: Address) -> None:
        for uri in tuple(self._owners[address].uris):
            self._remove(uri, address)

    def _remove(self, uri: Uri, address: Address) -> None:
        pools = self._pools[uri.host]
        del pools[uri.path][address]
        if not pools[uri.path]:
            del pools[uri.path]
        if not pools:
            del self._pools[uri.host]
        owner = self._owners[address]
        owner.uris.discard(uri)
        if not owner.uris:
            del self._owners[address]
        self.changed.add(uri.host)

    def _forget_refusal(self, uri: Uri, who: str) -> None:
        refused = self._refused.get(uri.host, {})
        if refused.pop((uri.path, who), None) is not None:
            self.changed.add(uri.host)
            if not refused:
                del self._refused[uri.host]
