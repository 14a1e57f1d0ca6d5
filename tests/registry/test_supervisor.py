from __future__ import annotations

import itertools

from msgspec.structs import replace

from pilot_core.adapter import Adapter, Denied, Unavailable
from pilot_core.aio import Backoff
from pilot_core.testing import FakeClock
from registries import registration, running


class Failing:
    """Notes when each session begins."""

    def __init__(self, error: Exception) -> None:
        self.error, self.clock = error, FakeClock()
        self.begun: list[float] = []
        self.syncs = False
        self.lasts = 0.0

    async def run(self, sink) -> None:
        self.begun.append(self.clock.monotonic())
        if self.syncs:
            sink.synced()
        await self.clock.sleep(self.lasts)
        raise self.error

    def running(self):
        return running(registration("dc1", self.run), clock=self.clock)

    @property
    def pauses(self) -> list[float]:
        return [b - a for a, b in itertools.pairwise(self.begun)]


async def test_an_outage_is_asked_about_at_growing_intervals_and_never_later_than_30_s():
    failing = Failing(Unavailable("closed"))
    async with failing.running() as stage:
        await stage.pass_time(600)
    steps = [0.5, 1, 2, 4, 8, 16] + [30] * 50
    assert all(
        step / 2 <= pause <= step for step, pause in zip(steps, failing.pauses, strict=False)
    )
    assert len(failing.pauses) > 20


async def test_a_refusal_is_not_asked_about_again_soon():
    failing = Failing(Denied("cannot list"))
    async with failing.running() as stage:
        await stage.pass_time(300)
    assert all(15 <= pause <= 30 for pause in failing.pauses)


async def test_a_session_that_has_synced_makes_the_next_outage_a_new_one():
    failing = Failing(Unavailable("closed"))
    async with failing.running() as stage:
        await stage.pass_time(300)
        failing.syncs = True
        failing.begun.clear()
        await stage.pass_time(60)
    assert all(pause <= 0.5 for pause in failing.pauses[1:])


async def test_a_session_that_has_lasted_makes_the_next_outage_a_new_one():
    failing = Failing(Unavailable("closed"))
    failing.lasts = 61.0
    async with failing.running() as stage:
        await stage.pass_time(1000)
    assert len(failing.pauses) > 10
    assert all(61 < pause <= 61.5 for pause in failing.pauses)


async def test_an_adapter_is_built_once_and_run_for_every_session():
    built, ran = [], []

    class Counting(Adapter):
        def __init__(self, config, host):
            super().__init__(config, host)
            built.append(host.name)

        async def run(self, sink):
            ran.append(self)
            raise Unavailable("closed")

    counting = replace(registration("dc1", Failing(Unavailable("")).run), adapter_type=Counting)
    async with running(counting) as stage:
        await stage.pass_time(60)
        assert stage.registry("dc1").sessions == len(ran)
    assert ["dc1"] == built
    assert (1, True) == (len(set(ran)), len(ran) > 3)


def test_backoff_doubles_up_to_its_longest_and_begins_again():
    backoff = Backoff(1.0, 10.0, uniform=lambda low, high: high)
    assert [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] == [backoff.delay() for _ in range(6)]
    backoff.reset()
    assert (1.0, 10.0, 10.0) == (backoff.delay(), backoff.longest(), backoff.delay())


def test_backoff_has_jitter_between_half_and_the_whole():
    assert (0.5, 1.0) == (
        Backoff(1.0, uniform=lambda low, high: low).delay(),
        Backoff(1.0, uniform=lambda low, high: high).delay(),
    )
