"""What one registry's objects are refused for, until their source is put again.

Rule 1: a put of a source with nothing refused costs two lookups, however much else is wrong.
Rule 2: what a flood of bad objects shows is bounded: beyond the limit, one problem stands for all
the sources with more of them, until the last of these is settled.
"""

from __future__ import annotations

from collections.abc import Collection

from pilot_core.model import Problem
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
        self._hidden: set[str] = set()
        """Sources with refused objects that are not shown."""

    def __len__(self) -> int:
        """How many there are; a source with hidden ones counts one more."""
        return self._count + len(self._hidden)

    def refuse(self, source: str, object: str, message: str, *, origin: str = "") -> None:
        """Show it until `source` is settled."""
        here = self._open.get(source, ())
        if object not in here:
            if self._count >= LIMIT:
                self._hide(source)
                return
            self._open.setdefault(source, set()).add(object)
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
        objects = self._open.pop(source, ())
        self._count -= len(objects)
        for object in objects:
            self._problems.clear(REFUSED, registry=self._registry, source=source, object=object)
        if source in self._hidden:
            self._hidden.discard(source)
            self._show_hidden()

    def settle_all_but(self, sources: Collection[str]) -> None:
        """A complete view has been read: only these are wrong in it."""
        for source in [s for s in (*self._open, *self._hidden) if s not in sources]:
            self.settle(source)

    def forget(self) -> None:
        """The registry is gone, and so is whatever was wrong with it."""
        self.settle_all_but(())

    def _hide(self, source: str) -> None:
        if source not in self._hidden:
            self._hidden.add(source)
            self._show_hidden()

    def _show_hidden(self) -> None:
        if not self._hidden:
            self._problems.clear(REFUSED, registry=self._registry, source="", object="")
            return
        self._problems.raise_(
            Problem(
                code=REFUSED,
                registry=self._registry,
                message=(
                    f"more than {LIMIT} objects are refused: those of {len(self._hidden)} "
                    "sources are not all shown"
                ),
                origin=self._registry,
            )
        )
