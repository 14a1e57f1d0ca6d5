"""A crowd passes a few at a time, and others get their turn between them."""

from __future__ import annotations

import asyncio

from pilot_certs.turns import Turns


async def test_a_crowd_leaves_room_for_others_after_every_few() -> None:
    turns, seen = Turns(at_a_time=3), []

    async def one(number: int) -> None:
        await turns.next()
        seen.append(number)

    async def bystander() -> None:
        while sum(number >= 0 for number in seen) < 12:
            seen.append(-1)
            await asyncio.sleep(0)

    await asyncio.gather(bystander(), *(one(number) for number in range(12)))

    assert list(range(12)) == [number for number in seen if number >= 0]
    between = "".join("." if number < 0 else "x" for number in seen)
    assert 3 == max(len(run) for run in between.split("."))


async def test_who_comes_alone_waits_for_nobody() -> None:
    turns, passed = Turns(at_a_time=1), 0
    for _ in range(3):
        await turns.next()
        passed += 1

    assert 3 == passed


async def test_who_gives_up_takes_nobody_s_turn() -> None:
    turns, seen = Turns(at_a_time=1), []

    async def one(number: int) -> None:
        await turns.next()
        seen.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert [0, 1, 3] == seen
