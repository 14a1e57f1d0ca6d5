"""Which owners have which things, both ways."""

from __future__ import annotations

from collections.abc import Collection

_NOBODY: frozenset[str] = frozenset()


class Index:
    """`set` replaces all that an owner has; `owners` is as dear as its answer."""

    def __init__(self) -> None:
        self._things: dict[str, frozenset[str]] = {}
        self._owners: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """How many things somebody has."""
        return len(self._owners)

    def set(self, owner: str, things: Collection[str]) -> None:
        now, before = frozenset(things), self._things.get(owner, _NOBODY)
        for thing in before - now:
            owners = self._owners[thing]
            owners.discard(owner)
            if not owners:
                del self._owners[thing]
        for thing in now - before:
            self._owners.setdefault(thing, set()).add(owner)
        if now:
            self._things[owner] = now
        else:
            self._things.pop(owner, None)

    def owners(self, thing: str) -> Collection[str]:
        return tuple(self._owners.get(thing, _NOBODY))
