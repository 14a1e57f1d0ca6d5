"""Which owners have which things, both ways.

Rule 1: what has one owner, as almost everything has, costs no container: of the tens of thousands
that a large cluster would take, every full garbage collection would look at each one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Index:
    """`set` replaces all that an owner has; `owners` is as dear as its answer."""

    def __init__(self) -> None:
        self._things: dict[str, tuple[str, ...]] = {}
        self._owners: dict[str, str | set[str]] = {}

    def __len__(self) -> int:
        """How many things somebody has."""
        return len(self._owners)

    def set(self, owner: str, things: Iterable[str]) -> None:
        now, before = set(things), set(self._things.get(owner, ()))
        for thing in before - now:
            self._take(thing, owner)
        for thing in now - before:
            self._give(thing, owner)
        if now:
            self._things[owner] = tuple(now)
        else:
            self._things.pop(owner, None)

    def owners(self, thing: str) -> Collection[str]:
        found = self._owners.get(thing, ())
        return (found,) if isinstance(found, str) else tuple(found)

    def _give(self, thing: str, owner: str) -> None:
        found = self._owners.get(thing)
        if found is None:
            self._owners[thing] = owner
        elif isinstance(found, str):
            self._owners[thing] = {found, owner}
        else:
            found.add(owner)

    def _take(self, thing: str, owner: str) -> None:
        found = self._owners[thing]
        if isinstance(found, str):
            del self._owners[thing]
            return
        found.discard(owner)
        if len(found) == 1:
            [self._owners[thing]] = found
