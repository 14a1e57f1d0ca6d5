"""How a registry is doing, as people see it."""

from __future__ import annotations

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


class Status:
    """The part of it that sessions change, while they do."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self._clock = name, clock
        self.state = State.STARTING
        self.since = clock.now()
        self.sessions = 0
        self.last_change: float | None = None
        self.error: str | None = None
        self.has_data = False
        """There is a complete view to serve: from this run, or from the last one."""

    def began(self) -> None:
        """A session has begun; what is served is still that of the one before."""
        self.sessions += 1
        self._turn(State.STALE if self.has_data else State.STARTING)

    def changed(self) -> None:
        self.last_change = self._clock.now()

    def synced(self) -> None:
        self.has_data = True
        self.error = None
        self._turn(State.SYNCED)

    def failed(self, error: str) -> None:
        self.error = error
        self._turn(State.STALE if self.has_data else State.STARTING)

    def interrupted(self) -> None:
        """The session was ended by us, to begin another."""
        self._turn(State.STALE if self.has_data else State.STARTING)

    def restored(self) -> None:
        """What it said in an earlier run has been loaded."""
        self.has_data = True
        self._turn(State.STALE)

    def stopped(self) -> None:
        self._turn(State.STOPPED)

    def _turn(self, state: State) -> None:
        if state is not self.state:
            self.state, self.since = state, self._clock.now()
