"""A sink that keeps what it is told, and lets a test wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pilot_core.clock import Clock, SystemClock
from pilot_core.model import Endpoints, Record, RecordKey, Service
from pilot_core.registry.guard import Guard
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.remarks import NOT_HONOURED, PART_STALE, REFUSED, Remarks
from pilot_core.registry.session import Session
from pilot_core.telemetry.problems import Problems

PATIENCE = 10.0
"""Seconds that `until` waits."""
_NAME = "test"


class RecordingSink:
    """The sink of production over a mirror of its own: what it takes, refuses and sweeps is what
    the daemon would take, refuse and sweep. `next_session` begins again, as the core does."""

    def __init__(self, *, max_drop: float = 1.0, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.puts: list[str] = []
        """The sources put so far, in order; clear it at will."""
        self.sweeps: list[set[str]] = []
        """The sources that each `resync` removed."""
        self.synced_with: dict[str, list[str]] | None = None
        """`view` at the moment when the session had synced; None before."""
        self._changed = asyncio.Event()
        self._problems = Problems(clock)
        self._mirror = Mirror(lambda registry: self._changed.set())
        self._guard = Guard(
            _NAME,
            max_drop=max_drop,
            problems=self._problems,
            clock=clock,
            size=lambda: self._mirror.count(_NAME),
        )
        self._remarks = Remarks(_NAME, self._problems)
        self._session = self._open()

    def next_session(self) -> None:
        """The session is over: what it put stays until the next one has synced."""
        self._session.close()
        self.synced_with = None
        self._session = self._open()

    # The sink

    def put(self, source: str, records: Iterable[Record]) -> None:
        self.puts.append(source)
        self._session.put(source, records)
        self._changed.set()

    def drop(self, source: str) -> None:
        self._session.drop(source)
        self._changed.set()

    @contextmanager
    def resync(self, prefix: str) -> Iterator[None]:
        before = set(self.sources)
        with self._session.resync(prefix):
            yield
        self.sweeps.append(before - set(self.sources))
        self._changed.set()

    def synced(self, prefix: str = "") -> None:
        self._session.synced(prefix)
        self._changed.set()

    def keep(self, prefix: str, problem: str) -> None:
        self._session.keep(prefix, problem)
        self._changed.set()

    def known(self, prefix: str) -> frozenset[str]:
        return self._session.known(prefix)

    def warn(self, problem: str, *, source: str = "", origin: str = "") -> None:
        self._session.warn(problem, source=source, origin=origin)
        self._changed.set()

    def note(self, remark: str, *, source: str = "", origin: str = "") -> None:
        self._session.note(remark, source=source, origin=origin)
        self._changed.set()

    # What tests ask

    @property
    def is_synced(self) -> bool:
        return self._session.is_synced

    @property
    def sources(self) -> dict[str, tuple[Record, ...]]:
        """What is served now, by source."""
        names = self._mirror.sources(_NAME)
        return {name: self._mirror.records(_NAME, name) for name in names}

    @property
    def services(self) -> dict[str, Service]:
        """The services of all sources, by hostname."""
        return {r.hostname: r for r in self._records() if isinstance(r, Service)}

    @property
    def hostnames(self) -> list[str]:
        """Of the services of all sources, sorted, as often as they are there."""
        return sorted(r.hostname for r in self._records() if isinstance(r, Service))

    def endpoints(self, hostname: str) -> list[Endpoints]:
        """The hostname's endpoint records, in the order of their sources."""
        records = (r for r in self._records() if isinstance(r, Endpoints))
        return [record for record in records if record.hostname == hostname]

    def addresses(self, hostname: str) -> list[str]:
        return [e.address for record in self.endpoints(hostname) for e in record.endpoints]

    @property
    def view(self) -> dict[str, list[str]]:
        """The addresses behind each hostname that has a service, sorted."""
        # In one pass: it is made at every synced(), of registries of any size.
        found: dict[str, list[str]] = {hostname: [] for hostname in self.services}
        for record in self._records():
            if isinstance(record, Endpoints) and record.hostname in found:
                found[record.hostname] += (endpoint.address for endpoint in record.endpoints)
        return {hostname: sorted(addresses) for hostname, addresses in found.items()}

    def take_changes(self) -> set[RecordKey]:
        """The keys of the records that differ from what they were at the last call."""
        return self._mirror.take()

    @property
    def problems(self) -> list[tuple[str, str]]:
        """(origin, message) of everything that was warned about or refused, sorted."""
        return self._said(REFUSED)

    @property
    def notes(self) -> list[tuple[str, str]]:
        """(origin, message) of everything that was noted as not honoured, sorted."""
        return self._said(NOT_HONOURED)

    @property
    def lost(self) -> list[tuple[str, str]]:
        """(origin, message) of the parts that cannot be read, sorted."""
        return self._said(PART_STALE)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds; looked at whenever the sink is told something."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _said(self, code: str) -> list[tuple[str, str]]:
        return sorted((p.origin, p.message) for p in self._problems if p.code == code)

    def _on_synced(self) -> None:
        self.synced_with = self.view
        self._changed.set()

    def _records(self) -> Iterator[Record]:
        for records in self.sources.values():
            yield from records

    def _open(self) -> Session:
        return Session(
            _NAME,
            self._mirror,
            guard=self._guard,
            remarks=self._remarks,
            on_synced=self._on_synced,
        )
