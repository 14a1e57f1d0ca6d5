"""A session: one run of one adapter, from its first put to its end; the sink it is given.

Rule 1: what earlier sessions put stays until this one has synced; then what it did not put goes.
Rule 2: a sweep that would take away a larger share than `max_drop` is held and shown. It goes
through when a later sweep is within the limit, or when somebody raises `max_drop` (a reload) or
releases it: an operator knows whether the platform is really that much smaller now.
Rule 3: a session that has ended changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pilot_core.model import Problem, Record, Severity
from pilot_core.registry.admission import admit
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.state import Held, RegistryStatus
from pilot_core.telemetry.problems import Problems

REFUSED = "object-refused"


class Session:
    """The production `pilot_core.adapter.Sink`."""

    def __init__(self, status: RegistryStatus, mirror: Mirror, problems: Problems) -> None:
        self._status, self._mirror, self._problems = status, mirror, problems
        self._name = status.name
        self._seen: set[str] = set()
        self._buffer: dict[str, tuple[Record, ...]] | None = None
        self._is_synced = False
        self._is_open = True

    def put(self, source: str, records: Iterable[Record]) -> None:
        if not self._is_open:
            return
        sound, refused = admit(records)
        self._report(source, refused)
        if self._buffer is not None:
            self._buffer[source] = sound
        else:
            self._apply(source, sound)

    def drop(self, source: str) -> None:
        self.put(source, ())

    @contextmanager
    def resync(self, prefix: str) -> Iterator[None]:
        if self._buffer is not None:
            raise RuntimeError("resync blocks do not nest")
        fresh: dict[str, tuple[Record, ...]] = {}
        self._buffer = fresh
        try:
            yield
        finally:
            # An exception discards the block: stale beats partial.
            self._buffer = None
        for source, records in fresh.items():
            self._apply(source, records)
        # Before the first complete view, sweeping is the business of `synced`.
        if self._is_open and self._is_synced:
            self._sweep(prefix, fresh)

    def synced(self) -> None:
        if self._is_synced or not self._is_open:
            return
        self._is_synced = True
        self._sweep("", self._seen)
        self._status.synced()

    def warn(self, problem: str, *, source: str = "", origin: str = "") -> None:
        if self._is_open:
            self._status.warnings += 1
            self._refuse(source, problem, origin)

    def close(self) -> None:
        """The session is over; whoever still holds the sink can do no harm with it."""
        self._is_open = False

    def _apply(self, source: str, records: tuple[Record, ...]) -> None:
        self._seen.add(source)
        if self._mirror.put(self._name, source, records):
            self._status.changed()

    def _sweep(self, prefix: str, keep: Iterable[str]) -> None:
        kept = set(keep)
        sources = self._mirror.sources(self._name)
        gone = [s for s in sources if s.startswith(prefix) and s not in kept]
        if not self._status.may_drop(len(gone), len(sources)):
            self._hold(gone, len(sources))
            return
        for source in gone:
            self.release(source)
        self._status.held = None
        self._problems.clear("sweep-held", registry=self._name)

    def release(self, source: str) -> None:
        """Remove what is stale under a source."""
        self._problems.clear(REFUSED, registry=self._name, source=source)
        if self._mirror.put(self._name, source, ()):
            self._status.changed()

    def _hold(self, gone: list[str], all_sources: int) -> None:
        share = len(gone) / all_sources
        self._status.held = Held(share, tuple(sorted(gone)), self._status.now())
        self._problems.raise_(
            Problem(
                code="sweep-held",
                severity=Severity.WARNING,
                registry=self._name,
                object=self._name,
                message=(
                    f"{len(gone)} of {all_sources} sources are gone, more than max_drop allows: "
                    "they are kept; raise max_drop and reload if they are gone for good"
                ),
                origin=self._name,
            )
        )

    def _report(self, source: str, refused: list[str]) -> None:
        self._problems.clear(REFUSED, registry=self._name, source=source)
        for problem in refused:
            self._refuse(source, problem, "")

    def _refuse(self, source: str, problem: str, origin: str) -> None:
        self._problems.raise_(
            Problem(
                code=REFUSED,
                registry=self._name,
                source=source,
                object=origin or problem,
                message=problem,
                origin=origin or f"{self._name}/{source}",
            )
        )
