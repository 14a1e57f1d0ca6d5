"""The hub: every registry's records become one world, and whoever follows it hears of each change.

adapter → session → mirror (dirty keys) → batch → merge → world + delta → followers

Rule 1: a batch merges the dirty keys and nothing else.
Rule 2: followers are called on the event loop, one after the other, with the old world, the new
one and what differs; nothing happens in between.
Rule 3: it is ready once every required registry has synced, or the time for that has passed, or
what was known in the last run has been loaded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

import msgspec

from pilot_core.adapter import Adapter, Config, Host, Metrics
from pilot_core.clock import Clock
from pilot_core.model import (
    Claim,
    Delta,
    Endpoints,
    Problem,
    RecordKey,
    Severity,
    Shard,
    World,
)
from pilot_core.model.merge import MeshService, services
from pilot_core.registry.batch import Batch
from pilot_core.registry.lastgood import LastGood
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.state import RegistryState, RegistryStatus
from pilot_core.registry.supervisor import STALE, Supervisor
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

CONFLICT = "service-conflict"
_GRACE = 5.0
"""Seconds that an adapter has for cleaning up before it is left behind."""

Follower: TypeAlias = Callable[[World, World, Delta], None]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One configured adapter. Its precedence is its place among the others."""

    name: str
    kind: str
    adapter_type: type[Adapter]
    config: Config
    required: bool = True
    max_drop: float = 1.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: how long a start waits for registries, and how changes are batched."""

    sync_timeout: float = 30.0
    quiet: float = 0.01
    longest: float = 0.5


class _Running(msgspec.Struct):
    registration: Registration
    status: RegistryStatus
    adapter: Adapter
    task: asyncio.Task[NoReturn]


class Hub:
    """Runs the registries between `start` and `stop`."""

    def __init__(
        self,
        *,
        clock: Clock,
        problems: Problems,
        limits: Limits,
        metrics: Callable[[str], Metrics],
        lastgood: LastGood | None = None,
    ) -> None:
        self.world = World()
        self.ready = asyncio.Event()
        self.problems = problems
        self._clock, self._limits, self._metrics = clock, limits, metrics
        self._lastgood = lastgood
        self._followers: list[Follower] = []
        self._running: dict[str, _Running] = {}
        self._order: dict[str, int] = {}
        self._in_conflict: set[str] = set()
        self._batch = Batch(self._take, quiet=limits.quiet, longest=limits.longest, clock=clock)
        self._mirror = Mirror(self._batch.wake)
        self._tasks: list[asyncio.Task[NoReturn] | asyncio.Task[None]] = []

    def follow(self, follower: Follower) -> None:
        """Call it after every change of the world from now on."""
        self._followers.append(follower)

    async def start(self, registrations: Sequence[Registration]) -> None:
        """Load what was known, then run these registries until `stop`."""
        self._restore({r.name for r in registrations})
        await self.reconfigure(registrations)
        self._take()
        self._tasks.append(asyncio.create_task(self._batch.run(), name="batch"))
        self._tasks.append(asyncio.create_task(self._get_ready(), name="ready"))
        if self._lastgood is not None:
            self._tasks.append(asyncio.create_task(self._lastgood.run(), name="state"))

    async def stop(self) -> None:
        """End all sessions, and write down what was put last."""
        await self._end(list(self._running.values()))
        self._take()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lastgood is not None:
            await self._lastgood.flush()

    async def reconfigure(self, registrations: Sequence[Registration]) -> None:
        """Run these and no others. Equal ones are not touched; changed ones begin a new session,
        and what they said stays until it has synced."""
        wanted = {r.name: r for r in registrations}
        gone = [r for n, r in self._running.items() if wanted.get(n) != r.registration]
        await self._end(gone)
        for running in gone:
            del self._running[running.registration.name]
            if running.registration.name not in wanted:
                self._forget(running.registration.name)
        before, self._order = self._order, {name: n for n, name in enumerate(wanted)}
        for registration in registrations:
            if registration.name not in self._running:
                self._begin(registration)
        if list(before) != [name for name in self._order if name in before]:
            self._mirror.touch(self._order)

    def registries(self) -> tuple[RegistryState, ...]:
        """How each is doing, in order of precedence."""
        ordered = sorted(self._running, key=self._order.__getitem__)
        counts = self._mirror.tally()
        return tuple(
            self._state(self._running[name], *counts.get(name, (0, 0))) for name in ordered
        )

    def readiness(self) -> dict[str, str]:
        """What each required registry still lacks; empty text where nothing is."""
        return {
            name: "" if running.status.has_data else running.status.error or "not read yet"
            for name, running in self._running.items()
            if running.registration.required
        }

    def release(self, name: str) -> bool:
        """Let a held sweep go through. False where none is held. Raises KeyError."""
        status = self._running[name].status
        if status.held is None:
            return False
        for source in status.held.sources:
            self._mirror.put(name, source, ())
        status.held = None
        self.problems.clear("sweep-held", registry=name)
        return True

    def claims(self, key: RecordKey) -> list[Claim]:
        """Who says what about a service or its endpoints, the decisive one first."""
        last = len(self._order)
        return sorted(
            self._mirror.claims(key),
            key=lambda claim: (self._order.get(claim.registry, last), claim.source),
        )

    # Registries

    def _begin(self, registration: Registration) -> None:
        name = registration.name
        status = RegistryStatus(name, max_drop=registration.max_drop, clock=self._clock)
        if self._mirror.count(name):
            status.restored()
        bound = logging.LoggerAdapter(
            logging.getLogger(f"pilot_core.adapters.{name}"),
            {"registry": name, "kind": registration.kind},
        )
        host = Host(name=name, log=bound, clock=self._clock, metrics=self._metrics(name))
        adapter = registration.adapter_type(registration.config, host)
        supervisor = Supervisor(adapter, status, self._mirror, self.problems, self._clock)
        task = asyncio.create_task(supervisor.run(), name=f"registry {name}")
        self._running[name] = _Running(registration, status, adapter, task)

    async def _end(self, running: Sequence[_Running]) -> None:
        for each in running:
            each.task.cancel()
        if not running:
            return
        _, stuck = await asyncio.wait([each.task for each in running], timeout=_GRACE)
        for task in stuck:
            log.error("adapter does not stop; left behind", extra={"task": task.get_name()})

    def _forget(self, name: str) -> None:
        self._mirror.forget(name)
        for code in (STALE, "sweep-held", "object-refused"):
            self.problems.clear(code, registry=name)

    def _state(self, running: _Running, services: int, endpoints: int) -> RegistryState:
        status, registration = running.status, running.registration
        return RegistryState(
            name=registration.name,
            kind=registration.kind,
            state=status.state,
            since=status.since,
            required=registration.required,
            services=services,
            endpoints=endpoints,
            sources=self._mirror.count(registration.name),
            sessions=status.sessions,
            last_change=status.last_change,
            error=status.error,
            warnings=status.warnings,
            held=status.held,
        )

    # Readiness

    def _restore(self, names: set[str]) -> None:
        if self._lastgood is None:
            return
        loaded = self._lastgood.load()
        for registry, source, records in loaded:
            if registry in names:
                self._mirror.put(registry, source, records)
        self._lastgood.keep((r, s, ()) for r, s, _ in loaded if r not in names)
        self._mirror.take_unwritten()
        if any(registry in names for registry, _, _ in loaded):
            self.ready.set()

    async def _get_ready(self) -> None:
        required = [r for r in self._running.values() if r.registration.required]
        everybody = asyncio.create_task(_all_synced([r.status for r in required]))
        timeout = asyncio.create_task(self._clock.sleep(self._limits.sync_timeout))
        try:
            await asyncio.wait([everybody, timeout], return_when=asyncio.FIRST_COMPLETED)
            if not everybody.done():
                late = [name for name, why in self.readiness().items() if why]
                log.warning("ready without all registries", extra={"missing": late})
        finally:
            timeout.cancel()
            everybody.cancel()
        self._take()
        self.ready.set()

    # Merging

    def _take(self) -> None:
        """Merge what has changed, and tell the followers."""
        dirty = self._mirror.take()
        self._write_down()
        if not dirty:
            return
        new_services: dict[str, MeshService | None] = {}
        new_endpoints: dict[str, tuple[Shard, ...]] = {}
        for kind, name in dirty:
            claims = self.claims((kind, name))
            if kind == "service":
                new_services[name] = services(claims)
            else:
                new_endpoints[name] = _shards(claims)
        old = self.world
        self.world, delta = old.apply(new_services, new_endpoints)
        self._show_conflicts(new_services)
        if delta:
            for follower in self._followers:
                follower(old, self.world, delta)

    def _write_down(self) -> None:
        unwritten = self._mirror.take_unwritten()
        if self._lastgood is None:
            return
        self._lastgood.keep(
            (registry, source, self._mirror.records(registry, source))
            for registry, sources in unwritten.items()
            for source in sources
        )

    def _show_conflicts(self, changed: dict[str, MeshService | None]) -> None:
        for hostname, merged in changed.items():
            if hostname in self._in_conflict:
                self._in_conflict.discard(hostname)
                for registry in self._order:
                    self.problems.clear(CONFLICT, registry=registry, object=hostname)
            for conflict in merged.conflicts if merged else ():
                self._in_conflict.add(hostname)
                self.problems.raise_(
                    Problem(
                        code=CONFLICT,
                        severity=Severity.WARNING,
                        registry=conflict.registry,
                        source=f"{conflict.source}#{conflict.field}",
                        object=hostname,
                        message=conflict.message,
                        origin=conflict.place,
                    )
                )


async def _all_synced(statuses: Sequence[RegistryStatus]) -> None:
    for status in statuses:
        await status.first_sync.wait()


def _shards(claims: Sequence[Claim]) -> tuple[Shard, ...]:
    return tuple(
        Shard(claim.registry, claim.source, claim.record.endpoints, claim.record.origin)
        for claim in claims
        if isinstance(claim.record, Endpoints)
    )
