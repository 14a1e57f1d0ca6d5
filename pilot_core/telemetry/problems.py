"""The ledger of problems: what is wrong now, each once, however often it happened.

Rule: whatever the texts are made of, what is shown is short and can be written as UTF-8. They come
from registries, from plugins and from proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from pilot_core.clock import Clock
from pilot_core.model import Problem, Severity

Key: TypeAlias = tuple[str, str, str, str]
"""(code, registry, source, object): the same key is the same problem."""

_LONGEST_MESSAGE = 2000
_LONGEST_NAME = 500
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def key(problem: Problem) -> Key:
    return (problem.code, problem.registry, problem.source, problem.object)


def legible(text: object, longest: int = _LONGEST_MESSAGE) -> str:
    """The text as it can be shown: cut where it is too long, without halves of characters."""
    shown = str(text)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    return shown if shown.isascii() else shown.encode("utf-8", "replace").decode()


class Problems:
    """Raised by whoever notices, cleared by whoever sees that it is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[Key, Problem] = {}
        self._listeners: list[Callable[[], None]] = []

    def raise_(self, problem: Problem) -> None:
        """Note it: `since` stays that of its first time, `count` rises, the newest text wins."""
        known = self._open.get(key(problem))
        since = known.since if known else self._clock.now()
        count = known.count + 1 if known else 1
        self._open[key(problem)] = _shown(problem, since, count)
        self._tell()

    def clear(
        self, code: str, *, registry: str = "", source: str | None = None, object: str | None = None
    ) -> None:
        """It is over. Without `source` or `object`, all of that code and registry are."""
        if source is not None and object is not None:
            # The usual case, which must not cost the number of all that is open.
            gone = [k for k in [(code, registry, source, object)] if k in self._open]
        else:
            gone = [
                k
                for k in self._open
                if k[0] == code
                and k[1] == registry
                and source in (None, k[2])
                and object in (None, k[3])
            ]
        for k in gone:
            del self._open[k]
        if gone:
            self._tell()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change."""
        self._listeners.append(listener)

    def __iter__(self) -> Iterator[Problem]:
        """Open problems, sorted by severity, code, registry, source and object."""
        return iter(sorted(self._open.values(), key=lambda p: (_ORDER[p.severity], key(p))))

    def __len__(self) -> int:
        return len(self._open)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def _shown(problem: Problem, since: float, count: int) -> Problem:
    return msgspec.structs.replace(
        problem,
        source=legible(problem.source, _LONGEST_NAME),
        object=legible(problem.object, _LONGEST_NAME),
        message=legible(problem.message),
        origin=legible(problem.origin, _LONGEST_NAME),
        since=since,
        count=count,
    )
