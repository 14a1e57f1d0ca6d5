"""The world: one immutable snapshot of everything that all registries know.

Rule 1: a world never changes; `apply` makes the next one, and tells what differs.
Rule 2: making the next one costs the size of the change: tables and indexes are shared.
Rule 3: an equal value is no change and is in no delta.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from pilot_core.model.delta import Delta
from pilot_core.model.endpoint import Endpoint, Shard
from pilot_core.model.inbound import Inbound, InboundRules
from pilot_core.model.merge import MeshService
from pilot_core.model.record import Claim, RecordKey
from pilot_core.model.service import EVERYWHERE, Service
from pilot_core.model.table import Table
from pilot_core.model.trust import Roots

R = TypeVar("R", Roots, Inbound)

_NO_NAMES: Table[str, bool] = Table()
_NO_SHARDS: tuple[Shard, ...] = ()
_NO_CLAIMS: tuple[Claim, ...] = ()
_NO_POLICIES: Mapping[RecordKey, tuple[Claim, ...]] = {}


class World:
    """Services and endpoints by hostname, with the indexes that planning needs.

    A hostname may have endpoints and no service (its service has not come yet), and a service may
    have no endpoints.
    """

    __slots__ = (
        "_by_address",
        "_by_namespace",
        "_private_to",
        "endpoints",
        "inbound",
        "policies",
        "services",
    )

    services: Table[str, MeshService]
    endpoints: Table[str, tuple[Shard, ...]]
    policies: Table[RecordKey, tuple[Claim, ...]]
    """Whoever says something under that key, the decisive one first."""
    inbound: InboundRules
    _by_address: Table[str, Table[str, bool]]
    _by_namespace: Table[str, Table[str, bool]]
    _private_to: Table[str, Table[str, bool]]

    def __init__(self) -> None:
        self.services = Table()
        self.endpoints = Table()
        self.policies = Table()
        self.inbound = InboundRules()
        self._by_address = Table()
        self._by_namespace = Table()
        self._private_to = Table()

    def apply(
        self,
        services: Mapping[str, MeshService | None],
        endpoints: Mapping[str, tuple[Shard, ...]],
        policies: Mapping[RecordKey, tuple[Claim, ...]] = _NO_POLICIES,
    ) -> tuple[World, Delta]:
        """The world in which these hostnames and keys have these values; None and `()` mean
        gone."""
        new_services = {h: s for h, s in services.items() if self.services.get(h) != s}
        new_endpoints = {
            h: e for h, e in endpoints.items() if self.endpoints.get(h, _NO_SHARDS) != e
        }
        new_policies = {k: p for k, p in policies.items() if self.policies.get(k, _NO_CLAIMS) != p}
        if not new_services and not new_endpoints and not new_policies:
            return self, Delta()
        world = World.__new__(World)
        world.services = _replace(self.services, new_services)
        world.endpoints = _replace(self.endpoints, new_endpoints)
        world.policies = _replace(self.policies, new_policies)
        world.inbound = self.inbound
        if any(kind == Inbound.kind for kind, _ in new_policies):
            world.inbound = InboundRules(world._said(Inbound))
        world._by_namespace = self._index_namespaces(new_services)
        world._private_to = self._index_audiences(new_services)
        moved = self._moved_addresses(new_endpoints)
        world._by_address = _reindex(self._by_address, moved)
        touched = {a for gone, come in moved.values() for a in gone | come}
        touched |= self._changed_addresses(new_endpoints)
        for hostname in new_services:
            touched |= _addresses(world.endpoints.get(hostname, _NO_SHARDS) or ())
        delta = Delta(
            frozenset(new_services),
            frozenset(new_endpoints),
            frozenset(touched),
            frozenset(new_policies),
        )
        return world, delta

    def service(self, hostname: str) -> Service | None:
        found = self.services.get(hostname)
        return found.service if found else None

    def roots(self) -> Iterator[Roots]:
        """The decisive roots of each name, sorted by name."""
        last = ""
        for record in self._said(Roots):
            if record.name != last:
                yield record
            last = record.name

    def _said(self, kind: type[R]) -> Iterator[R]:
        """All records of that kind, sorted by name, the decisive one of each first."""
        for key in sorted(key for key in self.policies if key[0] == kind.kind):
            for claim in self.policies[key]:
                if isinstance(claim.record, kind):
                    yield claim.record

    def endpoints_of(self, hostname: str) -> Iterator[Endpoint]:
        """Every endpoint of the hostname, in order of precedence; the same address may recur."""
        for shard in self.endpoints.get(hostname) or ():
            yield from shard.endpoints

    def hostnames_at(self, address: str) -> list[str]:
        """The hostnames that have an endpoint with this address, sorted."""
        return sorted(self._by_address.get(address) or ())

    def hostnames_in(self, namespace: str) -> list[str]:
        """The hostnames of services that belong to the namespace, sorted."""
        return sorted(self._by_namespace.get(namespace) or ())

    def private_to(self, namespace: str) -> list[str]:
        """The hostnames of services seen in this namespace, and not from everywhere, sorted."""
        return sorted(self._private_to.get(namespace) or ())

    def public(self) -> Iterator[MeshService]:
        """The services that every namespace sees, in no order."""
        for hostname in self.services:
            found = self.services[hostname]
            if found.service.is_public:
                yield found

    def _index_namespaces(
        self, changed: Mapping[str, MeshService | None]
    ) -> Table[str, Table[str, bool]]:
        moved = {}
        for hostname, new in changed.items():
            old = self.services.get(hostname)
            gone = {old.service.namespace} if old else set()
            come = {new.service.namespace} if new else set()
            moved[hostname] = (gone - come, come - gone)
        return _reindex(self._by_namespace, moved)

    def _index_audiences(
        self, changed: Mapping[str, MeshService | None]
    ) -> Table[str, Table[str, bool]]:
        moved = {}
        for hostname, new in changed.items():
            old = self.services.get(hostname)
            gone = set(old.service.audience()) - {EVERYWHERE} if old else set()
            come = set(new.service.audience()) - {EVERYWHERE} if new else set()
            moved[hostname] = (gone - come, come - gone)
        return _reindex(self._private_to, moved)

    def _moved_addresses(
        self, changed: Mapping[str, tuple[Shard, ...]]
    ) -> dict[str, tuple[set[str], set[str]]]:
        moved = {}
        for hostname, new in changed.items():
            gone = _addresses(self.endpoints.get(hostname) or ())
            come = _addresses(new)
            moved[hostname] = (gone - come, come - gone)
        return moved

    def _changed_addresses(self, changed: Mapping[str, tuple[Shard, ...]]) -> set[str]:
        """Addresses that stay, with another endpoint (other ports, another workload)."""
        touched: set[str] = set()
        for hostname, new in changed.items():
            before = {e for s in self.endpoints.get(hostname) or () for e in s.endpoints}
            after = {e for s in new for e in s.endpoints}
            touched.update(a for e in before ^ after for a in e.addresses)
        return touched


def _addresses(shards: tuple[Shard, ...]) -> set[str]:
    return {a for shard in shards for endpoint in shard.endpoints for a in endpoint.addresses}


def _replace(table: Table, changed: Mapping) -> Table:  # type: ignore[type-arg]
    # mypy: the one place where two tables of different value types share code.
    if not changed:
        return table
    return table.replace(
        {k: v for k, v in changed.items() if v}, [k for k, v in changed.items() if not v]
    )


def _reindex(
    index: Table[str, Table[str, bool]], moved: Mapping[str, tuple[set[str], set[str]]]
) -> Table[str, Table[str, bool]]:
    """The index in which each name has left the first set of keys and entered the second."""
    leave: dict[str, list[str]] = {}
    enter: dict[str, dict[str, bool]] = {}
    for name, (gone, come) in moved.items():
        for key in gone:
            leave.setdefault(key, []).append(name)
        for key in come:
            enter.setdefault(key, {})[name] = True
    keys = leave.keys() | enter.keys()
    if not keys:
        return index
    fresh = {
        key: (index.get(key) or _NO_NAMES).replace(enter.get(key, {}), leave.get(key, ()))
        for key in keys
    }
    return index.replace(
        {key: names for key, names in fresh.items() if names},
        [key for key, names in fresh.items() if not names],
    )
