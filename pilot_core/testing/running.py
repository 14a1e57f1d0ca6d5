"""An adapter that runs in a conformance check, and what the check waits for.

Rule 1: a check that waits for what never comes fails with what it waited for, and what it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import pytest

from pilot_core.adapter import Adapter
from pilot_core.registry import failure
from pilot_core.registry.failure import Cause
from pilot_core.testing.platform import Platform, Services
from pilot_core.testing.sink import RecordingSink

_OVERALL = 60.0
"""Seconds for a whole check."""
_STEP = 0.02

Scenario = Callable[[], Coroutine[Any, Any, None]]


def run_scenario(platform: Platform, scenario: Scenario) -> None:
    """Run it on a loop of its own, inside the platform."""

    async def main() -> None:
        async with asyncio.timeout(_OVERALL), platform:
            await scenario()

    asyncio.run(main())


def needs(ability: bool, otherwise: str) -> None:
    """Skip the check where the platform cannot do what it needs."""
    if not ability:
        pytest.skip(otherwise)


@contextlib.asynccontextmanager
async def running(
    platform: Platform, adapter: Adapter, *, patience: float, grace: float
) -> AsyncIterator[Running]:
    """The adapter's first session; it is cancelled at the end of the block."""
    run = Running(platform, adapter, patience=patience, grace=grace)
    try:
        yield run
    finally:
        await run.cancel()


class Running:
    """One adapter, session after session over one sink.

    `patience` is for whatever it has to notice, `grace` for cleaning up; both in seconds.
    """

    def __init__(
        self, platform: Platform, adapter: Adapter, *, patience: float, grace: float
    ) -> None:
        self._patience, self._grace = patience, grace
        self.sink = RecordingSink()
        self._platform, self._adapter = platform, adapter
        self._task = self._begin()

    def view(self) -> Services:
        """What is served of the services that the suite knows, by their names in the suite."""
        return self.of_suite(self.sink.view)

    def of_suite(self, view: Mapping[str, list[str]]) -> Services:
        """A view without what the platform brings along, such as its own services."""
        names = {self._platform.hostname(name): name for name in ("web", "api", "extra")}
        return {names[host]: found for host, found in view.items() if host in names}

    async def synced(self) -> None:
        await self.until(lambda: self.sink.is_synced, "it does not say synced()")

    async def sees(self, services: Services, problem: str = "it is not there") -> None:
        """Synced, and serving exactly these."""
        await self.synced()
        await self.until(lambda: self.view() == services, f"{problem}: expected {services}")

    async def until(self, condition: Callable[[], object], problem: str) -> None:
        """Wait until it holds, while the session runs."""
        watched = asyncio.ensure_future(_hold(condition))
        await asyncio.wait(
            {watched, self._task}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
        )
        watched.cancel()
        if condition():
            return
        end = f"the session ended: {_ending(self._task)}" if self._task.done() else "in time"
        shown = f"; refused: {self.sink.problems}" if self.sink.problems else ""
        raise AssertionError(f"{problem} ({end}); there is {self.sink.view}{shown}")

    async def outage(self) -> None:
        """Wait for the end of the session, which has to be one that the core takes for an outage:
        Unavailable, or an error of the network or of aiohttp."""
        await asyncio.wait({self._task}, timeout=self._patience)
        assert self._task.done(), (
            f"run() goes on {self._patience:g} s after the platform left: no reconnect loop, raise"
        )
        assert not self._task.cancelled(), "run() cancelled itself: raise Unavailable"
        error = self._task.exception()
        assert error is not None, "run() returned: raise Unavailable, so that the core knows why"
        assert failure.cause(error) is not Cause.BUG, (
            f"the core takes this for a bug in the adapter: {error!r}; raise Unavailable from it"
        )

    async def outage_and_back(self) -> None:
        """The platform goes away, the session ends, the platform is there again."""
        await self._platform.disconnect()
        await self.outage()
        await self._platform.reconnect()

    async def again(self) -> None:
        """The next session, as the core begins it."""
        self.sink.next_session()
        self._task = self._begin()

    async def stop(self) -> None:
        """Cancel it, and see that it ends by that, and soon."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=self._grace)
        assert self._task.done(), f"run() goes on {self._grace:g} s after it was cancelled"
        assert self._task.cancelled(), (
            f"run() was cancelled, and ended otherwise: {_ending(self._task)}; let the "
            "CancelledError pass through"
        )

    async def cancel(self) -> None:
        """Cancel it at the end of a check, however that came."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=self._grace)
        if self._task.done() and not self._task.cancelled():
            self._task.exception()

    async def gone(self, kind: Callable[[], set[str]], known: set[str]) -> None:
        """Wait until nothing is left of this kind but what had been known."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await _hold(lambda: not kind() - known)
        left = sorted(kind() - known)
        assert not left, f"left behind when run() had ended: {kind.__name__} {', '.join(left)}"

    def _begin(self) -> asyncio.Task[Any]:
        return asyncio.create_task(self._adapter.run(self.sink), name="adapter")


async def _hold(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  what is looked at is not only the sink's
        await asyncio.sleep(_STEP)


def _ending(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    return f"it raised {error!r}" if error is not None else "it returned"
