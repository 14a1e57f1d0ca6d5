"""Rate limits: token buckets, one per name, and never more of them than fit."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from pilot_core.clock import Clock


class Rate(msgspec.Struct, frozen=True):
    """So many per second in the long run, and so many at once."""

    per_second: float
    burst: float


class Buckets:
    """A bucket for each name that has been seen lately.

    The least lately seen one is forgotten when there are too many: it is full again by then, or
    somebody sends under more names than there can be, which the other limits stop.
    """

    def __init__(self, rate: Rate, clock: Clock, *, names_at_most: int = 100_000) -> None:
        self._rate, self._clock, self._most = rate, clock, names_at_most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def is_empty(self, name: str) -> bool:
        """Is there nothing left to take?"""
        return self._level(name) < 1

    def take(self, name: str) -> bool:
        """Take one; False where there is none."""
        level = self._level(name)
        has_one = level >= 1
        self._levels[name] = (level - has_one, self._clock.monotonic())
        self._levels.move_to_end(name)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return has_one

    def _level(self, name: str) -> float:
        level, then = self._levels.get(name, (self._rate.burst, self._clock.monotonic()))
        gained = (self._clock.monotonic() - then) * self._rate.per_second
        return min(self._rate.burst, level + gained)
