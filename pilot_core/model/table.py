"""An immutable mapping whose changed copy shares all that did not change.

Rule 1: a copy with k changes costs about k small dict copies, however large the table is.
Rule 2: two tables that came from each other are compared shard by shard, by identity first, so
that finding what differs costs the size of the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_SHARD = 48
"""Entries per shard aimed for: a dict of this size is copied in about half a microsecond."""


class Table(Mapping[K, V], Generic[K, V]):
    """A hash map split into 2^n dicts, none of which is ever changed in place."""

    __slots__ = ("_len", "_mask", "_shards")

    _shards: tuple[dict[K, V], ...]
    _mask: int
    _len: int

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        items = items or {}
        size = _shard_count(len(items))
        shards: list[dict[K, V]] = [{} for _ in range(size)]
        for key, value in items.items():
            shards[hash(key) & (size - 1)][key] = value
        self._shards, self._mask, self._len = tuple(shards), size - 1, len(items)

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) & self._mask][key]

    def get(self, key: K, default: V | None = None) -> V | None:  # type: ignore[override]
        # mypy: typeshed's overloads of Mapping.get; the behaviour is the same.
        return self._shards[hash(key) & self._mask].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) & self._mask]

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        return self._len

    def replace(self, put: Mapping[K, V], drop: Iterable[K] = ()) -> Table[K, V]:
        """A table with `put` set and `drop` absent; keys in both are dropped."""
        if self._len + len(put) > 4 * _SHARD * len(self._shards):
            merged = dict(self.items())
            merged.update(put)
            for key in drop:
                merged.pop(key, None)
            return Table(merged)
        fresh: dict[int, dict[K, V]] = {}
        for key, value in put.items():
            self._own(fresh, key)[key] = value
        for key in drop:
            self._own(fresh, key).pop(key, None)
        return self._with_shards(fresh)

    def diff(self, old: Table[K, V]) -> tuple[dict[K, V], tuple[K, ...]]:
        """What is new or different here, and which keys of `old` are gone."""
        if self._mask != old._mask:
            return _dict_diff(dict(self.items()), dict(old.items()))
        changed: dict[K, V] = {}
        removed: list[K] = []
        for mine, theirs in zip(self._shards, old._shards, strict=True):
            if mine is not theirs:
                more, fewer = _dict_diff(mine, theirs)
                changed.update(more)
                removed.extend(fewer)
        return changed, tuple(removed)

    def _own(self, fresh: dict[int, dict[K, V]], key: K) -> dict[K, V]:
        index = hash(key) & self._mask
        shard = fresh.get(index)
        if shard is None:
            shard = fresh[index] = dict(self._shards[index])
        return shard

    def _with_shards(self, fresh: dict[int, dict[K, V]]) -> Table[K, V]:
        shards = list(self._shards)
        length = self._len
        for index, shard in fresh.items():
            length += len(shard) - len(shards[index])
            shards[index] = shard
        table: Table[K, V] = Table.__new__(Table)
        table._shards, table._mask, table._len = tuple(shards), self._mask, length
        return table


def _shard_count(items: int) -> int:
    count = 1
    while count * _SHARD < items:
        count *= 2
    return count


def _dict_diff(new: dict[K, V], old: dict[K, V]) -> tuple[dict[K, V], tuple[K, ...]]:
    missing = object()
    changed = {k: v for k, v in new.items() if (o := old.get(k, missing)) is not v and o != v}
    return changed, tuple(k for k in old if k not in new)
