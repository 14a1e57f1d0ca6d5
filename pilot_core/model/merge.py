"""Several registries, one hostname: who decides what, and every disagreement made visible.

Rule 1: claims come in order of precedence; the first one decides namespace, ports, protocols,
resolution and visibility.
Rule 2: addresses and identities are united, labels too (the first value of a key stays).
Rule 3: a later claim that says otherwise is a `Conflict`, never silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from pilot_core.model.record import Claim
from pilot_core.model.service import Port, Service

_DECIDED_BY_THE_FIRST = ("namespace", "ports", "resolution", "visibility")


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """Two sources disagree about one field of a service, and one of them has been overruled."""

    hostname: str
    field: str
    registry: str
    source: str
    place: str
    says: str
    kept: str
    kept_from: str

    @property
    def message(self) -> str:
        return (
            f"{self.field} of {self.hostname} is {self.says} here, "
            f"but {self.kept_from} takes precedence with {self.kept}"
        )


class MeshService(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A service as the whole mesh sees it."""

    service: Service
    registries: tuple[str, ...]
    """In order of precedence: the first one decides."""
    conflicts: tuple[Conflict, ...] = ()


def services(claims: Sequence[Claim]) -> MeshService | None:
    """The one service that these claims (of one hostname, highest precedence first) make up.

    None where there is no claim.
    """
    said = [(claim, claim.record) for claim in claims if isinstance(claim.record, Service)]
    if not said:
        return None
    first_claim, first = said[0]
    if len(said) == 1:
        return MeshService(first, (first_claim.registry,))
    records = [record for _, record in said]
    merged = msgspec.structs.replace(
        first,
        addresses=_union(r.addresses for r in records),
        identities=_union(r.identities for r in records),
        labels=_first_of_each_key(records),
    )
    conflicts = tuple(c for claim, r in said[1:] for c in _conflicts(first_claim, first, claim, r))
    return MeshService(merged, tuple(dict.fromkeys(c.registry for c, _ in said)), conflicts)


def _conflicts(kept: Claim, first: Service, claim: Claim, other: Service) -> Iterator[Conflict]:
    for field in _DECIDED_BY_THE_FIRST:
        mine, theirs = getattr(first, field), getattr(other, field)
        if mine != theirs:
            yield Conflict(
                hostname=first.hostname,
                field=field,
                registry=claim.registry,
                source=claim.source,
                place=claim.place,
                says=_text(theirs),
                kept=_text(mine),
                kept_from=f"{kept.registry}/{kept.source}",
            )


def _text(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return "[" + ", ".join(_port(v) if isinstance(v, Port) else str(v) for v in value) + "]"


def _port(port: Port) -> str:
    return f"{port.name} {port.number}/{port.protocol}"


def _union(parts: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))


def _first_of_each_key(records: Sequence[Service]) -> tuple[tuple[str, str], ...]:
    labels: dict[str, str] = {}
    for record in records:
        for key, value in record.labels:
            labels.setdefault(key, value)
    return tuple(sorted(labels.items()))
