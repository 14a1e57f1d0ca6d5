"""A client of the xDS protocol as simple as can be: what it has is what a server made it have.

It behaves as an Envoy does: everything of CDS and LDS, endpoints for each cluster that it has,
routes for each listener. It refuses content that says `bad`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pilot_xds.types import ResourceType, Variant
from xds_messages import CDS, EDS, LDS, RDS, Said, delta, node, sotw

PARENT = {EDS: CDS, RDS: LDS}
TYPES = (CDS, EDS, LDS, RDS)
BAD = "bad"


class ModelClient:
    """`outbox` holds requests for the server. `keeps_good`: the good parts of a response that it
    refuses are applied, as Envoy does; else none is."""

    def __init__(self, variant: Variant, *, keeps_good: bool = True, is_wordy: bool = True) -> None:
        self.variant, self.keeps_good, self.is_wordy = variant, keeps_good, is_wordy
        self.has: dict[ResourceType, dict[str, str]] = {kind: {} for kind in TYPES}
        self.ids: dict[str, str] = {}
        """Versions by type or, in delta, by type and name."""
        self.outbox: deque[bytes] = deque()
        self.asked: dict[ResourceType, tuple[str, ...]] = {}
        self.nonces: dict[ResourceType, str] = {}
        self.warming: set[str] = set()
        self.refusals = 0

    def connect(self, order: Sequence[ResourceType] = TYPES) -> None:
        """A new stream, with all types asked for in this order; what it has, it says."""
        self.outbox.clear()
        self.asked, self.nonces = {}, {}
        if self.variant is Variant.DELTA:
            # An interrupted warming is not seen by the server: see rule 7 of the stream.
            self.warming -= self.has[EDS].keys()
        for number, kind in enumerate(order):
            self._ask(kind, node() if number == 0 else None)

    def _wanted(self, kind: ResourceType) -> tuple[str, ...]:
        return tuple(self.has[PARENT[kind]]) if kind in PARENT else ()

    def _ask(self, kind: ResourceType, said: object) -> None:
        names = self.asked[kind] = self._wanted(kind)
        if self.variant is Variant.DELTA:
            have = {name: self.ids[f"{kind.short} {name}"] for name in self.has[kind]}
            self.outbox.append(delta(kind, names, node=said, initial_resource_versions=have))
        else:
            version = self.ids.get(kind.short, "")
            self.outbox.append(sotw(kind, names, node=said, version_info=version))

    def hear(self, said: Said) -> None:
        """Take a response and answer it."""
        assert said.type is not None
        assert len(said.names) == len(set(said.names)), "a name twice in one response"
        bad = [name for name, text in said.contents if text == BAD]
        before = dict(self.has[said.type])
        if self.keeps_good or not bad:
            self._apply(said.type, said)
        self.nonces[said.type] = said.nonce
        if said.type is CDS:
            self.warming |= {n for n, c in self.has[CDS].items() if before.get(n) != c}
            self.warming &= self.has[CDS].keys()
        elif said.type is EDS:
            self.warming.difference_update(n for n, c in said.contents if c != BAD)
        self._answer(said, bad)
        child = {CDS: EDS, LDS: RDS}.get(said.type)
        if child is not None and child in self.asked:
            self._follow(child)

    def _apply(self, kind: ResourceType, said: Said) -> None:
        has = self.has[kind]
        if self.variant is Variant.SOTW and kind in (CDS, LDS):
            for name in has.keys() - set(said.names):
                del has[name]
        versions = dict(said.versions)
        for name, text in said.contents:
            is_ours = kind not in PARENT or name in self.has[PARENT[kind]]
            if text != BAD and is_ours:
                has[name] = text
                self.ids[f"{kind.short} {name}"] = versions.get(name, "")
        for name in said.removed:
            has.pop(name, None)

    def _answer(self, said: Said, bad: list[str]) -> None:
        kind = said.type
        assert kind is not None
        error = None
        if bad:
            self.refusals += 1
            error = f"cannot take {', '.join(bad)}: it is bad" if self.is_wordy else "no"
        if self.variant is Variant.DELTA:
            self.outbox.append(delta(kind, response_nonce=said.nonce, error=error))
            return
        # After a partial refusal it does not claim a version: see rule 7 of the stream.
        self.ids[kind.short] = "" if bad else said.version
        self._repeat(kind, error)

    def _repeat(self, kind: ResourceType, error: str | None = None) -> None:
        self.outbox.append(
            sotw(
                kind,
                self.asked[kind],
                version_info=self.ids.get(kind.short, ""),
                response_nonce=self.nonces.get(kind, ""),
                error=error,
            )
        )

    def _follow(self, kind: ResourceType) -> None:
        """Ask for what belongs to what it has now, and forget what does not."""
        wanted, asked = self._wanted(kind), self.asked[kind]
        for name in self.has[kind].keys() - set(wanted):
            del self.has[kind][name]
        if wanted == asked:
            return
        self.asked[kind] = wanted
        if self.variant is Variant.SOTW:
            self._repeat(kind)
            return
        more = [n for n in wanted if n not in asked]
        fewer = [n for n in asked if n not in wanted]
        if more or fewer:
            self.outbox.append(delta(kind, more, fewer))
