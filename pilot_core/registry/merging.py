"""From the mirror's dirty keys to what the world has to take over: pure, and as dear as the keys.

A new kind of record gets a branch in `merged`, and a table in the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pilot_core.model import Claim, Endpoints, MeshService, RecordKey, Shard
from pilot_core.model.merge import services
from pilot_core.registry.mirror import Mirror


class Merged(msgspec.Struct, frozen=True):
    """What `World.apply` takes: None and `()` mean that nobody says anything any more."""

    services: dict[str, MeshService | None]
    endpoints: dict[str, tuple[Shard, ...]]
    policies: dict[RecordKey, tuple[Claim, ...]]

    def hostnames(self) -> set[str]:
        return self.services.keys() | self.endpoints.keys()


def merged(mirror: Mirror, keys: Iterable[RecordKey], order: Mapping[str, int]) -> Merged:
    """These keys, with the registries' precedence (0 decides)."""
    result = Merged({}, {}, {})
    for kind, name in keys:
        ranked = claims(mirror, (kind, name), order)
        if kind == "service":
            result.services[name] = services(ranked)
        elif kind == "endpoints":
            result.endpoints[name] = _shards(ranked)
        else:
            result.policies[kind, name] = tuple(ranked)
    return result


def claims(mirror: Mirror, key: RecordKey, order: Mapping[str, int]) -> list[Claim]:
    """Who says what about a key, the decisive one first."""
    found = list(mirror.claims(key))
    if len(found) > 1:
        found.sort(key=lambda claim: (order.get(claim.registry, len(order)), claim.source))
    return found


def _shards(ranked: Sequence[Claim]) -> tuple[Shard, ...]:
    return tuple(
        Shard(claim.registry, claim.source, claim.record.endpoints, claim.record.origin)
        for claim in ranked
        if isinstance(claim.record, Endpoints) and claim.record.endpoints
    )
