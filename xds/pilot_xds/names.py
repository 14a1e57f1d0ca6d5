"""The names that clients subscribe to, shared between all that subscribe to the same ones.

A thousand proxies of one scope name the same thousand clusters' endpoints. They get one `Names`
object: it is found again when they say the same, or take the same step from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from weakref import WeakValueDictionary

_STEPS_REMEMBERED = 8


class Names:
    """An immutable set of names. `raw` is how a state-of-the-world request wrote them, if one did.

    `memory` holds what others have worked out for these very names; it lives as long as they do.
    """

    __slots__ = ("__weakref__", "_steps", "memory", "raw", "set")

    def __init__(self, names: Iterable[str] = (), raw: bytes = b"") -> None:
        self.set = frozenset(names)
        self.raw = raw
        self.memory: dict[object, object] = {}
        self._steps: dict[tuple[frozenset[str], frozenset[str]], Names] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.set

    def __len__(self) -> int:
        return len(self.set)

    def step(self, add: frozenset[str], drop: frozenset[str]) -> Names:
        """These names with some added and some dropped; the same object for the same step."""
        if add <= self.set and not drop & self.set:
            return self
        found = self._steps.get((add, drop))
        if found is None:
            if len(self._steps) >= _STEPS_REMEMBERED:
                self._steps.clear()
            found = self._steps[add, drop] = Names((self.set | add) - drop)
        return found


class Versions:
    """What a client that comes back says it has: versions by name."""

    __slots__ = ("by_name", "memory")

    def __init__(self, by_name: dict[str, str]) -> None:
        self.by_name = by_name
        self.memory: dict[object, object] = {}


NO_NAMES = Names()
_known: WeakValueDictionary[tuple[str, ...], Names] = WeakValueDictionary()


def of(names: Sequence[str], raw: bytes = b"") -> Names:
    """The names of one request; the same object for everybody who says them in this order."""
    if not names:
        return NO_NAMES
    ordered = tuple(names)
    found = _known.get(ordered)
    if found is None:
        found = _known[ordered] = Names(ordered, raw)
    elif raw and not found.raw:
        found.raw = raw
    return found
