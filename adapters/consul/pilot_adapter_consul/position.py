"""Where a watch is in Consul's stream of changes, and how fast it may go on.

The rules of blocking queries (developer.hashicorp.com/consul/api-docs/features/blocking):
Rule 1: an index is taken from a successful answer alone; errors carry one that means nothing.
Rule 2: an index that goes backwards starts the watch anew, once: an index that lies in the future
would block while changes pass by.
Rule 3: an index below 1, or none at all, counts as 1; with 0 the query would not block.
Rule 4: answers that come without end are taken at a bounded rate.
"""

from __future__ import annotations

_BURST = 8.0
_PER_SECOND = 2.0


class Position:
    """The index of one watch. 0: read at once, without blocking."""

    def __init__(self) -> None:
        self.index = 0

    def advance(self, said: str | None) -> None:
        """After a successful answer with this `X-Consul-Index`."""
        self.index = 0 if self.is_ahead_of(said) else _index(said)

    def is_ahead_of(self, said: str | None) -> bool:
        """Does this `X-Consul-Index` go backwards?"""
        return _index(said) < self.index

    def is_at(self, said: str | None) -> bool:
        """Does this `X-Consul-Index` say that nothing has changed?"""
        return _index(said) == self.index

    def reset(self) -> None:
        """After an answer that was none: who knows what passed by meanwhile."""
        self.index = 0


def _index(said: str | None) -> int:
    return max(int(said), 1) if said and said.isdecimal() else 1


class Pace:
    """A bucket of permissions to ask again: a few at once, then two a second."""

    def __init__(self) -> None:
        self._left = _BURST
        self._seen = 0.0

    def delay(self, now: float) -> float:
        """Seconds to wait before the next query, asked for at `now` of a monotonic clock."""
        self._left = min(_BURST, self._left + (now - self._seen) * _PER_SECOND) - 1
        self._seen = now
        return max(0.0, -self._left / _PER_SECOND)
