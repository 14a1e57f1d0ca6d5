"""The mirror: every source of every registry, as last put, and which keys have changed since.

Rule 1: a put of equal records changes nothing.
Rule 2: what differs is known by key; how it is merged is the hub's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from pilot_core.model import Claim, Endpoints, Record, RecordKey

_NOTHING: tuple[Record, ...] = ()


class Mirror:
    """Records by (registry, source), and an index from key to those that claim it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._sources: dict[str, dict[str, tuple[Record, ...]]] = {}
        self._claims: dict[RecordKey, dict[tuple[str, str], Record]] = {}
        self._dirty: set[RecordKey] = set()
        self._unwritten: dict[str, set[str]] = {}
        self._tally: dict[str, Counter[str]] = {}
        self._wake = wake

    def put(self, registry: str, source: str, records: tuple[Record, ...]) -> bool:
        """Replace a source; an empty tuple removes it. True where something differs."""
        sources = self._sources.setdefault(registry, {})
        old = sources.get(source, _NOTHING)
        if old == records:
            if records:
                sources[source] = records
                self._keep_origins(registry, source, records)
            return False
        if records:
            sources[source] = records
        else:
            sources.pop(source, None)
        self._claim(registry, source, old, records)
        self._unwritten.setdefault(registry, set()).add(source)
        self._wake()
        return True

    def _keep_origins(self, registry: str, source: str, records: tuple[Record, ...]) -> None:
        """Equal records may stand on other lines than before."""
        for record in records:
            self._claims[record.key][registry, source] = record

    def _claim(
        self, registry: str, source: str, old: tuple[Record, ...], new: tuple[Record, ...]
    ) -> None:
        tally = self._tally.setdefault(registry, Counter())
        tally.subtract(_count(old))
        tally.update(_count(new))
        before = {record.key: record for record in old}
        after = {record.key: record for record in new}
        for key in before.keys() - after.keys():
            claims = self._claims[key]
            del claims[registry, source]
            if not claims:
                del self._claims[key]
            self._dirty.add(key)
        for key, record in after.items():
            self._claims.setdefault(key, {})[registry, source] = record
            if before.get(key) != record:
                self._dirty.add(key)

    def forget(self, registry: str) -> None:
        """Remove a registry with all its sources."""
        for source in self.sources(registry):
            self.put(registry, source, _NOTHING)
        self._sources.pop(registry, None)

    def sources(self, registry: str) -> list[str]:
        return list(self._sources.get(registry, ()))

    def records(self, registry: str, source: str) -> tuple[Record, ...]:
        return self._sources.get(registry, {}).get(source, _NOTHING)

    def count(self, registry: str) -> int:
        return len(self._sources.get(registry, ()))

    def tally(self) -> dict[str, tuple[int, int]]:
        """How many services and endpoints each registry has; kept up to date by `put`."""
        return {
            name: (counts["service"], counts["endpoint"]) for name, counts in self._tally.items()
        }

    def claims(self, key: RecordKey) -> Iterator[Claim]:
        """Who says what about a key, in no order."""
        for (registry, source), record in self._claims.get(key, {}).items():
            yield Claim(registry, source, record)

    def touch(self, registries: Iterable[str]) -> None:
        """Merge again whatever these registries have a say in: their precedence has changed."""
        wanted = set(registries)
        for key, claims in self._claims.items():
            if len(claims) > 1 and any(registry in wanted for registry, _ in claims):
                self._dirty.add(key)
        if self._dirty:
            self._wake()

    def take(self) -> set[RecordKey]:
        """The keys that have changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def take_unwritten(self) -> dict[str, set[str]]:
        """The sources that have changed since the last call, for whoever writes them down."""
        unwritten, self._unwritten = self._unwritten, {}
        return unwritten


def _count(records: tuple[Record, ...]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for record in records:
        if isinstance(record, Endpoints):
            counted["endpoint"] += len(record.endpoints)
        else:
            counted[record.kind] += 1
    return counted
