"""What one registry's objects are refused for, until their source is put again.

Rule 1: a put of a source with nothing refused costs one dict lookup, however much else is wrong.
Rule 2: what a flood of bad objects shows is bounded: beyond the limit one problem counts the rest.
"""

from __future__ import annotations

from collections.abc import Collection

from pilot_core.model import Problem, Severity
from pilot_core.telemetry.problems import Problems

REFUSED = "object-refused"
LIMIT = 1000
"""Refused objects of one registry that are shown one by one."""


class Refusals:
    """The open `object-refused` problems of one registry."""

    def __init__(self, registry: str, problems: Problems) -> None:
        self._registry, self._problems = registry, problems
        self._open: dict[str, set[str]] = {}
        self._count = 0
        self._more = 0

    def __len__(self) -> int:
        return self._count + self._more

    def refuse(self, source: str, object: str, message: str, *, origin: str = "") -> None:
        """Show it until `source` is settled."""
        here = self._open.setdefault(source, set())
        if object not in here:
            if self._count >= LIMIT:
                self._overflow()
                return
            here.add(object)
            self._count += 1
        self._problems.raise_(
            Problem(
                code=REFUSED,
                registry=self._registry,
                source=source,
                object=object,
                message=message,
                origin=origin or f"{self._registry}/{source}",
            )
        )

    def settle(self, source: str) -> None:
        """The source has been put or dropped: what was wrong with it before is over."""
        objects = self._open.pop(source, None)
        if objects is None:
            return
        self._count -= len(objects)
        for object in objects:
            self._problems.clear(REFUSED, registry=self._registry, source=source, object=object)

    def settle_all_but(self, sources: Collection[str]) -> None:
        """A complete view has been read: only these are wrong in it."""
        for source in [s for s in self._open if s not in sources]:
            self.settle(source)
        self._more = 0
        self._problems.clear(REFUSED, registry=self._registry, source="", object="")

    def forget(self) -> None:
        """The registry is gone, and so is whatever was wrong with it."""
        self.settle_all_but(())

    def _overflow(self) -> None:
        self._more += 1
        self._problems.raise_(
            Problem(
                code=REFUSED,
                severity=Severity.ERROR,
                registry=self._registry,
                message=f"{self._more} more objects are refused than the {LIMIT} shown",
                origin=self._registry,
            )
        )
