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
    """Records by (registry, source), and an index from key to those that claim it.

    `changed` is called with the registry's name after every put that differs.
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._sources: dict[str, dict[str, tuple[Record, ...]]] = {}
        self._claims: dict[RecordKey, dict[tuple[str, str], Record]] = {}
        self._dirty: set[RecordKey] = set()
        self._unwritten: dict[str, set[str]] = {}
        self._tally: dict[str, Counter[str]] = {}
        self._changed = changed

    def put(self, registry: str, source: str, records: tuple[Record, ...]) -> bool:
        """Replace a source; an empty tuple removes it. True where something differs.

        The records of a source have different keys (`Session` sees to that).
        """
        sources = self._sources.setdefault(registry, {})
        old = sources.get(source, _NOTHING)
        if old == records:
            if records:
                sources[source] = records
                self._keep_origins((registry, source), old, records)
            return False
        if records:
            sources[source] = records
        else:
            del sources[source]
        self._claim((registry, source), old, records)
        self._unwritten.setdefault(registry, set()).add(source)
        self._changed(registry)
        return True

    def _keep_origins(
        self, claimant: tuple[str, str], old: tuple[Record, ...], new: tuple[Record, ...]
    ) -> None:
        """Equal records may stand on other lines than before."""
        for was, record in zip(old, new, strict=True):
            if was is not record:
                self._claims[record.key][claimant] = record

    def _claim(
        self, claimant: tuple[str, str], old: tuple[Record, ...], new: tuple[Record, ...]
    ) -> None:
        tally = self._tally.setdefault(claimant[0], Counter())
        before = {record.key: record for record in old}
        for record in new:
            key = record.key
            was = before.pop(key, None)
            if was is None or was != record:
                self._dirty.add(key)
                tally[key[0]] += _size(record) - (_size(was) if was else 0)
            self._claims.setdefault(key, {})[claimant] = record
        for key, record in before.items():
            claims = self._claims[key]
            del claims[claimant]
            if not claims:
                del self._claims[key]
            tally[key[0]] -= _size(record)
            self._dirty.add(key)

    def forget(self, registry: str) -> None:
        """Remove a registry with all its sources."""
        for source in self.sources(registry):
            self.put(registry, source, _NOTHING)
        self._sources.pop(registry, None)
        self._tally.pop(registry, None)

    def sources(self, registry: str) -> list[str]:
        return list(self._sources.get(registry, ()))

    def records(self, registry: str, source: str) -> tuple[Record, ...]:
        return self._sources.get(registry, {}).get(source, _NOTHING)

    def count(self, registry: str) -> int:
        return len(self._sources.get(registry, ()))

    def tally(self) -> dict[str, tuple[int, int]]:
        """How many services and endpoints each registry has; kept up to date by `put`."""
        return {
            name: (counts["service"], counts["endpoints"]) for name, counts in self._tally.items()
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

    def everything(self) -> Iterator[tuple[str, str, tuple[Record, ...]]]:
        """(registry, source, records) of all there is."""
        for registry, sources in self._sources.items():
            for source, records in sources.items():
                yield registry, source, records

    def take(self) -> set[RecordKey]:
        """The keys that have changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def take_unwritten(self) -> dict[str, set[str]]:
        """The sources that have changed since the last call, for whoever writes them down."""
        unwritten, self._unwritten = self._unwritten, {}
        return unwritten


def _size(record: Record) -> int:
    return len(record.endpoints) if isinstance(record, Endpoints) else 1
