"""What there is to say about one registry's objects and parts, until it is over.

Rule 1: a put of a source about which nothing is said costs three lookups, however much else is
wrong.
Rule 2: what a flood of bad objects shows is bounded: beyond the limit, one problem stands for all
the sources with more of them, until the last of these is settled.
"""

from __future__ import annotations

from collections.abc import Callable

from pilot_core.model import Problem, Severity
from pilot_core.telemetry.problems import Problems

REFUSED = "object-refused"
NOT_HONOURED = "not-honoured"
PART_STALE = "registry-part-stale"
LIMIT = 1000
"""Objects of one registry that are shown one by one, of each kind."""


class Remarks:
    """All that is open about one registry."""

    def __init__(self, registry: str, problems: Problems) -> None:
        self._registry, self._problems = registry, problems
        self._refused = _Shown(registry, problems, REFUSED, Severity.ERROR)
        self._noted = _Shown(registry, problems, NOT_HONOURED, Severity.WARNING)
        self._parts: set[str] = set()

    def __len__(self) -> int:
        """How many objects there are something to say about; a source with hidden ones counts one
        more."""
        return len(self._refused) + len(self._noted)

    def refuse(self, source: str, object: str, message: str, *, origin: str = "") -> None:
        """It cannot be used; shown until `source` is settled."""
        self._refused.show(source, object, message, origin)

    def note(self, source: str, object: str, message: str, *, origin: str = "") -> None:
        """It is used, but not all of it; shown until `source` is settled."""
        self._noted.show(source, object, message, origin)

    def settle(self, source: str) -> None:
        """The source has been put or dropped: what was said about it before is over."""
        self._refused.settle(source)
        self._noted.settle(source)

    def lose(self, prefix: str, message: str) -> None:
        """What is under the prefix cannot be read; shown until `find` or `find_all_but`."""
        self._parts.add(prefix)
        self._problems.raise_(
            Problem(
                code=PART_STALE,
                registry=self._registry,
                source=prefix,
                object=prefix,
                message=f"{message}; what was last read of {prefix} is served",
                origin=f"{self._registry}/{prefix}",
            )
        )

    def find(self, prefix: str) -> None:
        """It can be read again."""
        if prefix in self._parts:
            self._parts.discard(prefix)
            self._problems.clear(PART_STALE, registry=self._registry, source=prefix, object=prefix)

    def settle_all_but(self, stays: Callable[[str], bool], lost: set[str]) -> None:
        """A complete view has been read: only about sources that `stays` takes there is still
        something to say, and only these parts are lost."""
        for shown in (self._refused, self._noted):
            for source in [s for s in shown.sources if not stays(s)]:
                shown.settle(source)
        for prefix in self._parts - lost:
            self.find(prefix)

    def forget(self) -> None:
        """The registry is gone, and so is whatever there was to say about it."""
        self.settle_all_but(lambda source: False, set())


_MANY = {
    REFUSED: "objects are refused",
    NOT_HONOURED: "objects have something that is not honoured",
}


class _Shown:
    """The open problems of one code about the objects of one registry."""

    def __init__(self, registry: str, problems: Problems, code: str, severity: Severity) -> None:
        self._registry, self._problems = registry, problems
        self._code, self._severity = code, severity
        self._open: dict[str, set[str]] = {}
        self._count = 0
        self._hidden: set[str] = set()
        """Sources with objects that are not shown."""

    def __len__(self) -> int:
        return self._count + len(self._hidden)

    @property
    def sources(self) -> tuple[str, ...]:
        return (*self._open, *self._hidden)

    def show(self, source: str, object: str, message: str, origin: str) -> None:
        here = self._open.get(source, ())
        if object not in here:
            if self._count >= LIMIT:
                self._hide(source)
                return
            self._open.setdefault(source, set()).add(object)
            self._count += 1
        self._problems.raise_(
            Problem(
                code=self._code,
                severity=self._severity,
                registry=self._registry,
                source=source,
                object=object,
                message=message,
                origin=origin or f"{self._registry}/{source}",
            )
        )

    def settle(self, source: str) -> None:
        objects = self._open.pop(source, ())
        self._count -= len(objects)
        for object in objects:
            self._problems.clear(self._code, registry=self._registry, source=source, object=object)
        if source in self._hidden:
            self._hidden.discard(source)
            self._show_hidden()

    def _hide(self, source: str) -> None:
        if source not in self._hidden:
            self._hidden.add(source)
            self._show_hidden()

    def _show_hidden(self) -> None:
        if not self._hidden:
            self._problems.clear(self._code, registry=self._registry, source="", object="")
            return
        self._problems.raise_(
            Problem(
                code=self._code,
                severity=self._severity,
                registry=self._registry,
                message=(
                    f"more than {LIMIT} {_MANY[self._code]}: those of {len(self._hidden)} "
                    "sources are not all shown"
                ),
                origin=self._registry,
            )
        )
