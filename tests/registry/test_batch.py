from __future__ import annotations

import asyncio
import contextlib
import itertools

from pilot_core.registry.batch import Batch
from pilot_core.testing import FakeClock
from pilot_core.testing.clock import settle


class Taken:
    """When a batch was taken, in seconds since the start."""

    def __init__(self, *, quiet: float = 0.01, longest: float = 0.5) -> None:
        self.clock = FakeClock(0.0)
        self.times: list[float] = []
        self.batch = Batch(self._take, quiet=quiet, longest=longest, clock=self.clock)

    def _take(self) -> None:
        self.times.append(round(self.clock.monotonic(), 3))

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.batch.run())
        await settle()
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def burst(self, *, every: float, seconds: float) -> None:
        for _ in range(round(seconds / every)):
            self.batch.wake()
            await self.clock.advance(every)


async def test_the_first_change_pays_no_delay():
    async with Taken().running() as taken:
        assert [] == taken.times
        taken.batch.wake()
        await settle()
        assert [0.0] == taken.times


async def test_whoever_is_in_the_middle_of_a_view_gets_to_finish_it():
    async with Taken().running() as taken:
        for _ in range(1000):
            taken.batch.wake()
        await settle()
        assert [0.0] == taken.times


async def test_what_comes_right_behind_a_batch_is_taken_after_the_quiet():
    async with Taken().running() as taken:
        taken.batch.wake()
        await settle()
        taken.batch.wake()
        await taken.clock.advance(0.009)
        assert [0.0] == taken.times
        await taken.clock.advance(0.011)
        assert 2 == len(taken.times)
        await taken.clock.advance(10)
        assert 2 == len(taken.times)


async def test_a_single_change_after_a_while_goes_at_once_again():
    async with Taken().running() as taken:
        taken.batch.wake()
        await taken.clock.advance(3)
        taken.batch.wake()
        await settle()
        assert [0.0, 3.0] == taken.times


async def test_a_burst_without_a_pause_is_taken_every_half_second_and_no_oftener():
    async with Taken().running() as taken:
        await taken.burst(every=0.005, seconds=3.0)
        gaps = [b - a for a, b in itertools.pairwise(taken.times)]
        assert all(0.5 <= gap <= 0.52 for gap in gaps)
        assert 6 <= len(taken.times) <= 7


async def test_with_no_quiet_to_wait_for_everything_goes_at_once():
    async with Taken(quiet=0.0, longest=0.0).running() as taken:
        taken.batch.wake()
        await settle()
        taken.batch.wake()
        await settle()
        assert [0.0, 0.0] == taken.times
