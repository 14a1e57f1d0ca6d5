"""The guard against a registry that answers "nothing": sweeps that would remove too much are held.

Rule 1: a sweep that would remove a larger share than `max_drop` of the registry's sources removes
none of them; what it would have removed is shown and served on.
Rule 2: repetition confirms nothing, for a registry that lies once lies again. A held source goes
when the adapter drops it by name, when a later sweep is within the limit, when `max_drop` is
raised, or when an operator releases it. It is free again when it is put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pilot_core.clock import Clock
from pilot_core.model import Problem, Severity
from pilot_core.registry.state import Held
from pilot_core.telemetry.problems import Problems

HELD = "sweep-held"


class Guard:
    """One registry's limit, and the sources that it holds back from being removed."""

    def __init__(
        self,
        registry: str,
        *,
        max_drop: float,
        problems: Problems,
        clock: Clock,
        size: Callable[[], int],
    ) -> None:
        self.max_drop = max_drop
        self._registry, self._problems, self._clock, self._size = registry, problems, clock, size
        self._held: set[str] = set()
        self._since = 0.0

    @property
    def held(self) -> Held | None:
        if not self._held:
            return None
        share = len(self._held) / max(self._size(), len(self._held))
        return Held(share, tuple(sorted(self._held)), self._since)

    def judge(self, gone: list[str]) -> list[str]:
        """Those of `gone` that may go now: all of them, or none."""
        if not gone:
            return gone
        if len(gone) <= self.max_drop * self._size():
            self._free(gone)
            return gone
        self._hold(gone)
        return []

    def settled(self, source: str) -> None:
        """The adapter has put the source again, or dropped it by name."""
        if source in self._held:
            self._free((source,))

    def recheck(self) -> list[str]:
        """The held sources that may go because the limit has been raised."""
        held = sorted(self._held)
        if held and len(held) <= self.max_drop * self._size():
            return self.release()
        return []

    def release(self) -> list[str]:
        """Everything held, which is held no longer."""
        held = sorted(self._held)
        self._free(held)
        return held

    def _hold(self, gone: Iterable[str]) -> None:
        if not self._held:
            self._since = self._clock.now()
        self._held.update(gone)
        self._problems.raise_(
            Problem(
                code=HELD,
                severity=Severity.WARNING,
                registry=self._registry,
                object=self._registry,
                message=(
                    f"{len(self._held)} of {self._size()} sources are gone from the registry, more "
                    f"than max_drop {self.max_drop:g} allows: they are served on; if they are gone "
                    "for good, raise max_drop and reload"
                ),
                origin=self._registry,
            )
        )

    def _free(self, sources: Iterable[str]) -> None:
        if not self._held:
            return
        self._held.difference_update(sources)
        if not self._held:
            self._problems.clear(HELD, registry=self._registry)
