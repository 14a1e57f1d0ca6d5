"""The clock that plugin authors move by hand."""

from __future__ import annotations

import asyncio

from pilot_core.testing import FakeClock


async def test_it_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(100.0)

    assert (100.0, 100.0) == (clock.now(), clock.monotonic())
    await clock.advance(2.5)
    assert (102.5, 102.5) == (clock.now(), clock.monotonic())


async def test_sleepers_wake_in_the_order_in_which_they_are_due() -> None:
    clock, woken = FakeClock(0.0), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.now()))

    async with asyncio.TaskGroup() as group:
        for seconds in (3.0, 1.0, 2.0):
            group.create_task(sleeper(seconds))
        await clock.until_sleepers(3)
        await clock.advance(2.0)
        assert [(1.0, 1.0), (2.0, 2.0)] == woken
        assert 1 == clock.sleepers
        await clock.advance(1.0)
    assert [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)] == woken


async def test_who_sleeps_again_meanwhile_is_woken_again() -> None:
    clock, beats = FakeClock(0.0), []

    async def beat() -> None:
        while True:
            await clock.sleep(1.0)
            beats.append(clock.now())

    beating = asyncio.create_task(beat())
    await clock.advance(3.5)
    beating.cancel()
    assert [1.0, 2.0, 3.0] == beats
    assert 3.5 == clock.now()


async def test_a_sleeper_that_was_cancelled_is_no_sleeper() -> None:
    clock = FakeClock()
    sleeping = asyncio.create_task(clock.sleep(5.0))
    await clock.until_sleepers()
    sleeping.cancel()
    await asyncio.wait({sleeping})

    assert 0 == clock.sleepers
    await clock.advance(10.0)
    assert sleeping.cancelled()


async def test_no_sleep_at_all_gives_way() -> None:
    clock, others = FakeClock(), []
    asyncio.get_running_loop().call_soon(others.append, "ran")

    await clock.sleep(0)

    assert ["ran"] == others
