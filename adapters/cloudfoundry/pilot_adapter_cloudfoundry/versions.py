"""Which of several versions of a thing holds, whatever the order in which they are heard: pure.

The BBS promises no order: an event may come late, or twice. What orders them is the modification
tag, and nothing else.

Rule 1: within an epoch the higher index holds; at the same index, that it is gone, and then the
higher rank (a cell that is lost changes no tag). A step from just what is held is always taken.
Rule 2: an epoch that another one has replaced, or that a list no longer has, is dead: whatever
comes of it is too late.
Rule 3: what is gone is gone in its epoch; the same name may come back in another.
Rule 4: a list holds against all that was known when it was asked for, and not against what has
been heard since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from pilot_adapter_cloudfoundry.lrp import Gone, Seen

T = TypeVar("T")


class _Version(msgspec.Struct, gc=False):
    index: int
    is_gone: bool
    rank: int
    value: object

    @property
    def order(self) -> tuple[int, bool, int]:
        return (self.index, self.is_gone, self.rank)


class _Known(msgspec.Struct):
    """`epochs` in the order in which they were first heard of."""

    epochs: dict[str, _Version]
    dead: set[str]
    is_old: bool = False
    """It had gone by the last list already."""

    def holds(self) -> _Version | None:
        live = [v for e, v in self.epochs.items() if e not in self.dead and not v.is_gone]
        return live[-1] if live else None


class Versions(Generic[T]):
    """The things of one kind, by key."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def __iter__(self) -> Iterator[str]:
        return (key for key, known in self._known.items() if known.holds() is not None)

    def get(self, key: str) -> T | None:
        known = self._known.get(key)
        held = known.holds() if known is not None else None
        return held.value if held is not None else None  # type: ignore[return-value]
        # mypy: what is put in is a T; frozen structs are not generic without cost.

    def has_heard(self, key: str) -> bool:
        """Whether anything is known of it, be it that it is gone."""
        return key in self._known

    def take(self, said: Seen | Gone) -> None:
        """One event."""
        known = self._known.setdefault(said.key, _Known({}, set()))
        epoch = said.tag.epoch
        if isinstance(said, Seen):
            new = _Version(said.tag.index, False, said.rank, said.value)
            if said.replaces is not None and said.replaces.epoch != epoch:
                known.dead.add(said.replaces.epoch)
        else:
            new = _Version(said.tag.index, True, 0, None)
        held = known.epochs.get(epoch)
        if held is None or new.order >= held.order or _is_step(said, held):
            known.epochs[epoch], known.is_old = new, False

    def epochs(self) -> dict[str, frozenset[str]]:
        """Every epoch that has been heard of, by key: what a list that is asked for now decides."""
        return {
            key: frozenset(known.epochs) | frozenset(known.dead)
            for key, known in self._known.items()
        }

    def listed(
        self, found: Iterable[Seen], decided: Mapping[str, frozenset[str]], keep: Iterable[str] = ()
    ) -> Versions[T]:
        """What holds after a list that was asked for when `decided` was known. Those to `keep`
        stay though they are not in it. Events heard since have to be taken again."""
        made: Versions[T] = Versions()
        for seen in found:
            made.take(seen)
            made._known[seen.key].dead |= decided.get(seen.key, frozenset()) - {seen.tag.epoch}
        for key in keep:
            if key not in made._known and key in self._known:
                made._known[key] = self._known[key]
        for key, known in self._known.items():
            # One that has just gone may still be spoken of, until the next list.
            if key not in made._known and key in decided and not known.is_old:
                made._known[key] = _Known({}, set(decided[key]), is_old=True)
        return made


def _is_step(said: Seen | Gone, held: _Version) -> bool:
    """Is it a step from just what is held, which changes the rank and no tag?"""
    if not isinstance(said, Seen) or said.replaces != said.tag or held.is_gone:
        return False
    return held.index == said.tag.index and held.rank == said.replaced_rank
