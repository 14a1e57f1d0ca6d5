"""The hub: every registry's records become one world, and whoever follows it hears of each change.

adapter → session → mirror (dirty keys) → batch → merge → world + delta → followers

Rule 1: a batch merges the dirty keys and nothing else.
Rule 2: followers are called on the event loop, one after the other, with the old world, the new
one and what differs; nothing happens in between, and one that fails keeps no other from hearing.
Rule 3: it is ready once every required registry has synced, or something of it has been loaded
from the last run, or the time for that has passed.
Rule 4: no adapter is waited for: one that does not stop delays its own successor and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

import msgspec

from pilot_core.adapter import Adapter, Attestor, Config, Host, Metrics
from pilot_core.clock import Clock
from pilot_core.model import Claim, Delta, Problem, RecordKey, World
from pilot_core.registry import confined, merging
from pilot_core.registry.batch import Batch
from pilot_core.registry.bound_log import BoundLog
from pilot_core.registry.guard import Guard
from pilot_core.registry.lastgood import LastGood
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.notices import Notices
from pilot_core.registry.remarks import Remarks
from pilot_core.registry.session import Session
from pilot_core.registry.state import RegistryState, Status
from pilot_core.registry.supervisor import STALE, Supervisor
from pilot_core.registry.unapplied import Unapplied
from pilot_core.registry.untrusted import Untrusted
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

FAILED = "internal-error"

Follower: TypeAlias = Callable[[World, World, Delta], None]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One configured adapter. Its precedence is its place among the others."""

    name: str
    kind: str
    adapter_type: type[Adapter]
    config: Config
    required: bool = True
    max_drop: float = 1.0

    def has_same_session(self, other: Registration) -> bool:
        """What the adapter itself sees is equal; the rest is the core's business."""
        mine = (self.kind, self.adapter_type, self.config)
        return mine == (other.kind, other.adapter_type, other.config)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: how long a start waits for registries, and how changes are batched."""

    sync_timeout: float = 30.0
    quiet: float = 0.01
    longest: float = 0.5


class _Running(msgspec.Struct):
    registration: Registration
    status: Status
    guard: Guard
    remarks: Remarks
    supervisor: Supervisor
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
        self._leaving: set[asyncio.Task[NoReturn]] = set()
        self._order: dict[str, int] = {}
        self._notices = Notices(problems)
        self._unapplied = Unapplied(problems)
        self._untrusted = Untrusted(problems)
        self._unnoticed: set[str] = set()
        self._progress = asyncio.Event()
        self._batch = Batch(self._take, quiet=limits.quiet, longest=limits.longest, clock=clock)
        self._mirror = Mirror(self._changed)
        self._tasks: list[asyncio.Task[NoReturn] | asyncio.Task[None]] = []

    def follow(self, follower: Follower) -> None:
        """Call it after every change of the world from now on."""
        self._followers.append(follower)

    async def start(self, registrations: Sequence[Registration]) -> None:
        """Load what was known, then run these registries until `stop`."""
        confined.install(asyncio.get_running_loop())
        if self._lastgood is not None:
            self._restore(self._lastgood, {r.name for r in registrations})
            keeping = self._lastgood.run(self._mirror.everything)
            self._own(asyncio.create_task(keeping, name="last known good"))
        await self.reconfigure(registrations)
        self._take()
        self._own(asyncio.create_task(self._batch.run(), name="batches"))
        self._own(asyncio.create_task(self._get_ready(), name="readiness"))

    async def stop(self) -> None:
        """End all sessions, and write down what was put last."""
        for running in self._running.values():
            self._retire(running)
        if self._leaving:
            await asyncio.wait(self._leaving)
        self._take()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lastgood is not None:
            await self._lastgood.close()

    async def reconfigure(self, registrations: Sequence[Registration]) -> None:
        """Run these and no others. Equal ones are not touched; changed ones begin a new session,
        and what they said stays until it has synced."""
        wanted = {r.name: r for r in registrations}
        for name in [name for name in self._running if name not in wanted]:
            self._remove(self._running.pop(name))
        before, self._order = list(self._order), {name: n for n, name in enumerate(wanted)}
        for registration in registrations:
            running = self._running.get(registration.name)
            if running is None:
                self._add(registration)
            else:
                self._adjust(running, registration)
        stayed = [name for name in before if name in wanted]
        if stayed != [name for name in wanted if name in before]:
            self._mirror.touch(self._order)
            self._batch.wake()
        self._progress.set()

    def registries(self) -> tuple[RegistryState, ...]:
        """How each is doing, in order of precedence."""
        counts = self._mirror.tally()
        ordered = sorted(self._running, key=self._order.__getitem__)
        return tuple(self._state(self._running[n], *counts.get(n, (0, 0))) for n in ordered)

    def readiness(self) -> dict[str, str]:
        """What each required registry still lacks; empty text where nothing is."""
        return {
            name: "" if running.status.has_data else running.status.error or "not read yet"
            for name, running in self._running.items()
            if running.registration.required
        }

    def attestor(self, name: str) -> Attestor | None:
        """The adapter of this name where it vouches for workloads; None where there is none, or it
        has not begun yet."""
        running = self._running.get(name)
        adapter = running.supervisor.adapter if running else None
        return adapter if isinstance(adapter, Attestor) else None

    def release(self, name: str) -> bool:
        """Let a held sweep go through. False where none is held. Raises KeyError."""
        return self._drop(name, self._running[name].guard.release())

    def claims(self, key: RecordKey) -> list[Claim]:
        """Who says what about a service or its endpoints, the decisive one first."""
        return merging.claims(self._mirror, key, self._order)

    # Registries

    def _add(self, registration: Registration) -> None:
        name = registration.name
        status = Status(name, self._clock)
        if self._mirror.count(name):
            status.restored()
        guard = Guard(
            name,
            max_drop=registration.max_drop,
            problems=self.problems,
            clock=self._clock,
            size=lambda: self._mirror.count(name),
        )
        self._run(registration, status, guard, Remarks(name, self.problems), after=None)

    def _adjust(self, running: _Running, registration: Registration) -> None:
        if not running.registration.has_same_session(registration):
            task = self._retire(running)
            self._run(registration, running.status, running.guard, running.remarks, after=task)
        running = self._running[registration.name]
        running.registration = registration
        running.guard.max_drop = registration.max_drop
        self._drop(registration.name, running.guard.recheck())

    def _run(
        self,
        registration: Registration,
        status: Status,
        guard: Guard,
        remarks: Remarks,
        *,
        after: asyncio.Task[NoReturn] | None,
    ) -> None:
        name = registration.name

        def open_session(on_synced: Callable[[], None]) -> Session:
            def synced() -> None:
                on_synced()
                if self._lastgood is not None:
                    self._write_down()
                    self._lastgood.complete(name)
                self._progress.set()

            return Session(name, self._mirror, guard=guard, remarks=remarks, on_synced=synced)

        supervisor = Supervisor(
            status,
            build=lambda: registration.adapter_type(registration.config, self._host(registration)),
            open_session=open_session,
            problems=self.problems,
            clock=self._clock,
            patience=self._limits.sync_timeout,
        )
        task = asyncio.create_task(supervisor.run(after), name=f"registry {name}")
        self._running[name] = _Running(registration, status, guard, remarks, supervisor, task)

    def _host(self, registration: Registration) -> Host:
        name = registration.name
        bound = BoundLog(
            logging.getLogger(f"pilot_core.adapters.{name}"),
            {"registry": name, "kind": registration.kind},
        )
        return Host(name=name, log=bound, clock=self._clock, metrics=self._metrics(name))

    def _retire(self, running: _Running) -> asyncio.Task[NoReturn]:
        """End its session; what the adapter does from now on has no effect."""
        running.supervisor.close()
        running.task.cancel()
        self._leaving.add(running.task)
        running.task.add_done_callback(self._leaving.discard)
        return running.task

    def _remove(self, running: _Running) -> None:
        name = running.registration.name
        self._retire(running)
        self._mirror.forget(name)
        if self._lastgood is not None:
            self._write_down()
            self._lastgood.forget(name)
        running.guard.release()
        running.remarks.forget()
        self.problems.clear(STALE, registry=name)

    def _drop(self, name: str, sources: Sequence[str]) -> bool:
        for source in sources:
            self._running[name].remarks.settle(source)
            self._mirror.put(name, source, ())
        return bool(sources)

    def _changed(self, registry: str) -> None:
        running = self._running.get(registry)
        if running is not None:
            running.status.changed()
        self._batch.wake()

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
            warnings=len(running.remarks),
            held=running.guard.held,
        )

    # Readiness

    def _restore(self, lastgood: LastGood, names: set[str]) -> None:
        for registry, source, records in lastgood.load(names):
            self._mirror.put(registry, source, records)
        self._mirror.take_unwritten()

    async def _get_ready(self) -> None:
        timeout = asyncio.create_task(self._clock.sleep(self._limits.sync_timeout))
        try:
            while any(self.readiness().values()) and not timeout.done():
                progress = asyncio.create_task(self._progress.wait())
                await asyncio.wait({timeout, progress}, return_when=asyncio.FIRST_COMPLETED)
                progress.cancel()
                self._progress.clear()
        finally:
            timeout.cancel()
        missing = [name for name, why in self.readiness().items() if why]
        if missing:
            log.warning("ready without all registries", extra={"missing": missing})
        self._take()
        self.ready.set()
        self._notice_endpoints(set())

    # Merging

    def _take(self) -> None:
        """Merge what has changed, and tell the followers."""
        self._write_down()
        dirty = self._mirror.take()
        if not dirty:
            return
        merged = merging.merged(self._mirror, dirty, self._order)
        old = self.world
        self.world, delta = old.apply(merged.services, merged.endpoints, merged.policies)
        self._notices.services(merged.services)
        self._unapplied.policies(merged.policies)
        self._notice_endpoints(merged.hostnames() | self._untrusted.concerned(merged.policies))
        if delta:
            for follower in self._followers:
                self._tell(follower, old, delta)

    def _notice_endpoints(self, hostnames: set[str]) -> None:
        # While registries are read for the first time, endpoints may come before their services.
        self._unnoticed |= hostnames
        if self.ready.is_set():
            self._notices.endpoints(self.world, self._unnoticed)
            self._untrusted.endpoints(self.world, self._unnoticed)
            self._unnoticed = set()

    def _tell(self, follower: Follower, old: World, delta: Delta) -> None:
        try:
            follower(old, self.world, delta)
        except Exception as error:
            name = getattr(follower, "__qualname__", repr(follower))
            log.exception("a follower of the world failed", extra={"follower": name})
            message = f"{name} failed on a change: {type(error).__name__}: {error}"
            self.problems.raise_(Problem(code=FAILED, object=name, message=message))

    def _write_down(self) -> None:
        if self._lastgood is None:
            self._mirror.take_unwritten()
            return
        self._lastgood.keep(
            (registry, source, self._mirror.records(registry, source))
            for registry, sources in self._mirror.take_unwritten().items()
            for source in sources
        )

    def _own(self, task: asyncio.Task[NoReturn] | asyncio.Task[None]) -> None:
        """A task of the hub's own never fails; if one does, that is not to go unseen."""
        self._tasks.append(task)
        task.add_done_callback(self._watch)

    def _watch(self, task: asyncio.Task[NoReturn] | asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.critical("the hub is broken", exc_info=error, extra={"task": task.get_name()})
            message = f"{task.get_name()} stopped working: {error!r}; restart pilot-core"
            self.problems.raise_(Problem(code=FAILED, object=task.get_name(), message=message))
