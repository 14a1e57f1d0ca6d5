"""How a registry is doing, as people see it."""

from __future__ import annotations

import asyncio
import enum

import msgspec

from pilot_core.clock import Clock


class State(enum.StrEnum):
    STARTING = "starting"
    """It has not shown a complete view yet, and nothing of it is known from before."""
    SYNCED = "synced"
    STALE = "stale"
    """What it last said is served; it cannot be asked now."""
    STOPPED = "stopped"


class Held(msgspec.Struct, frozen=True, gc=False):
    """A sweep that waits for somebody to confirm it; `share` is of all sources, 0…1."""

    share: float
    sources: tuple[str, ...]
    since: float


class RegistryState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of `pilot-core registries`; times are seconds since the epoch."""

    name: str
    kind: str
    state: State
    since: float
    required: bool
    services: int
    endpoints: int
    sources: int
    sessions: int
    last_change: float | None
    error: str | None
    warnings: int
    held: Held | None


class RegistryStatus:
    """The same, while it changes: written by the session and the supervisor."""

    def __init__(self, name: str, *, max_drop: float, clock: Clock) -> None:
        self.name, self.max_drop, self._clock = name, max_drop, clock
        self.state = State.STARTING
        self.since = clock.now()
        self.sessions = 0
        self.warnings = 0
        self.last_change: float | None = None
        self.error: str | None = None
        self.held: Held | None = None
        self.has_data = False
        """There is something to serve: from this run, or from the last one."""
        self.has_synced = asyncio.Event()
        self.first_sync = asyncio.Event()
        self._session_synced = False

    def now(self) -> float:
        return self._clock.now()

    def turn(self, state: State) -> None:
        if state is not self.state:
            self.state, self.since = state, self._clock.now()

    def changed(self) -> None:
        self.last_change = self._clock.now()

    def begin(self) -> None:
        self.sessions += 1
        self.warnings = 0
        self._session_synced = False

    def synced(self) -> None:
        self._session_synced = self.has_data = True
        self.error = None
        self.turn(State.SYNCED)
        self.has_synced.set()
        self.first_sync.set()

    @property
    def was_session_synced(self) -> bool:
        return self._session_synced

    def restored(self) -> None:
        """What it said in an earlier run has been loaded."""
        self.has_data = True
        self.turn(State.STALE)

    def may_drop(self, gone: int, all_sources: int) -> bool:
        return gone == 0 or gone / all_sources <= self.max_drop
