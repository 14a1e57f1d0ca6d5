"""A hub with scripted adapters, and what tests look at in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from pilot_core.adapter import Adapter, NoConfig, Sink
from pilot_core.clock import Clock
from pilot_core.model import Delta, Endpoint, Endpoints, Problem, Service, World
from pilot_core.registry.hub import Hub, Limits, Registration
from pilot_core.registry.lastgood import LastGood
from pilot_core.registry.state import RegistryState
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock, NoMetrics
from pilot_core.testing.clock import settle

Run = Callable[[Sink], Awaitable[Any]]


def service(hostname: str, **more: Any) -> Service:
    return Service(hostname=hostname, **more)


def endpoints(hostname: str, *addresses: str) -> Endpoints:
    made = tuple(Endpoint(addresses=(address,)) for address in addresses)
    return Endpoints(hostname=hostname, endpoints=made)


def scripted(run: Run) -> type[Adapter]:
    """An adapter whose every session is this."""

    class Scripted(Adapter):
        async def run(self, sink: Sink) -> NoReturn:
            await run(sink)
            raise EOFError("the script has come to its end")

    return Scripted


def registration(name: str, run: Run, **more: Any) -> Registration:
    return Registration(
        name=name, kind="scripted", adapter_type=scripted(run), config=NoConfig(), **more
    )


class Stage:
    """A running hub, and everything that it told."""

    def __init__(self, clock: Clock, state: Path | None) -> None:
        self.clock = clock
        self.problems = Problems(clock)
        self.lastgood = LastGood(state, problems=self.problems, clock=clock) if state else None
        self.hub = Hub(
            clock=clock,
            problems=self.problems,
            limits=Limits(),
            metrics=lambda name: NoMetrics(),
            lastgood=self.lastgood,
        )
        self.heard: list[Delta] = []
        self.hub.follow(self._hear)

    def _hear(self, old: World, new: World, delta: Delta) -> None:
        self.heard.append(delta)

    def registry(self, name: str) -> RegistryState:
        [found] = [state for state in self.hub.registries() if state.name == name]
        return found

    def state(self, name: str) -> str:
        return self.registry(name).state.value

    @property
    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems]

    def problem(self, code: str) -> Problem:
        [found] = [problem for problem in self.problems if problem.code == code]
        return found

    def hostnames(self) -> list[str]:
        return sorted(self.hub.world.services)

    def addresses(self, hostname: str) -> list[str]:
        return sorted(e.address for e in self.hub.world.endpoints_of(hostname))

    async def pass_time(self, seconds: float) -> None:
        assert isinstance(self.clock, FakeClock)
        await self.clock.advance(seconds)


@contextlib.asynccontextmanager
async def running(
    *registrations: Registration, clock: Clock | None = None, state: Path | None = None
) -> AsyncIterator[Stage]:
    """A hub over these, stopped at the end; time stands still unless a clock is given."""
    stage = Stage(clock or FakeClock(), state)
    await stage.hub.start(registrations)
    await settle()
    try:
        yield stage
    finally:
        await stage.hub.stop()
