"""The names that clients subscribe to, shared between all that subscribe to the same ones.

A thousand proxies of one scope name the same thousand clusters' endpoints. They get one `Names`
object, whatever the order in which they say the names, and whether at once or step by step.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakValueDictionary

import msgspec


class Names:
    """An immutable set of names.

    `raw` is how the first state-of-the-world request wrote them. `memory` holds what others have
    worked out for these very names; it lives as long as they do.
    """

    __slots__ = ("__weakref__", "_steps", "memory", "raw", "set")

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.set = names
        self.raw = b""
        self.memory: dict[object, object] = {}
        # Weak: a client that never moves on must not keep alive every set that came after its own.
        self._steps: WeakValueDictionary[tuple[frozenset[str], frozenset[str]], Names] = (
            WeakValueDictionary()
        )

    def __contains__(self, name: object) -> bool:
        return name in self.set

    def __len__(self) -> int:
        return len(self.set)

    def step(self, add: frozenset[str], drop: frozenset[str]) -> Names:
        """These names without the dropped and with the added ones; the same object for the same
        step."""
        found = self._steps.get((add, drop))
        if found is None:
            found = self._steps[add, drop] = of((self.set - drop) | add)
        return found


class Spelling(msgspec.Struct, frozen=True, gc=False):
    """How one client writes its names: it repeats the same bytes in every acknowledgement.

    Envoys order the names each in its own way, so a spelling that is not the shared `names.raw` is
    kept as a length and a hash, not as a copy per client.
    """

    names: Names
    length: int = 0
    digest: int | None = None
    """None: the spelling is `names.raw`."""

    def stands_at(self, data: bytes, at: int) -> bool:
        """Do the next `length` bytes say these names?"""
        if self.digest is None:
            return bool(self.length) and data.startswith(self.names.raw, at)
        return hash(data[at : at + self.length]) == self.digest


class Versions:
    """What a client that comes back says it has: versions by name."""

    __slots__ = ("_all", "_last", "by_name", "memory")

    def __init__(self, by_name: dict[str, str]) -> None:
        self.by_name = by_name
        self.memory: dict[object, object] = {}
        self._all = frozenset(by_name)
        self._last: tuple[frozenset[str], frozenset[str], frozenset[str]] | None = None

    def known_but(self, others: set[str]) -> frozenset[str]:
        """The names without these; the same object where none is taken away."""
        return self._all - others if others else self._all

    def without(self, names: frozenset[str], known: frozenset[str]) -> frozenset[str]:
        """`names - known`, worked out once for all that ask with the same two objects."""
        last = self._last
        if last is None or last[0] is not names or last[1] is not known:
            last = self._last = (names, known, names - known)
        return last[2]


NO_NAMES = Names()
NOT_SPELLED = Spelling(NO_NAMES)
_known: WeakValueDictionary[frozenset[str], Names] = WeakValueDictionary()


def of(names: Iterable[str]) -> Names:
    """The same object for everybody who says these names."""
    wanted = frozenset(names)
    if not wanted:
        return NO_NAMES
    found = _known.get(wanted)
    if found is None:
        found = _known[wanted] = Names(wanted)
    return found


def spelled(names: Iterable[str], raw: bytes) -> Spelling:
    """The names, and how they were written. The first spelling is kept, others are hashed."""
    found = of(names)
    if found is NO_NAMES:
        return NOT_SPELLED
    if not found.raw:
        found.raw = raw
    return Spelling(found, len(raw), None if found.raw == raw else hash(raw))
