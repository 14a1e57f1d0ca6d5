"""Blocking iterators on the event loop, as adapters with blocking clients use them."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import aclosing

import pytest

from mesh import until
from pilot_core import aio


async def test_the_items_come_in_order_from_a_thread_of_their_own():
    threads = set()

    def items():
        for n in range(1_000):
            threads.add(threading.current_thread())
            yield n

    assert list(range(1_000)) == [n async for n in aio.iterate(items)]
    assert threading.current_thread() not in threads


async def test_an_error_inside_is_raised_here_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("cut off")

    consumed = aio.iterate(items)
    assert 1 == await anext(consumed)
    with pytest.raises(OSError, match="cut off"):
        await anext(consumed)


async def test_an_iterator_that_cannot_be_opened_is_an_error_here():
    def opening():
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(ConnectionRefusedError):
        await anext(aio.iterate(opening))


async def test_a_consumer_that_is_slow_holds_up_the_iterator_and_not_the_memory():
    made = []

    def items():
        for n in itertools.count():
            made.append(n)
            yield n

    async with aclosing(aio.iterate(items)) as consumed:
        for _ in range(10):
            await anext(consumed)

        async def is_full():
            return len(made) >= 70

        await until(is_full, "the iterator to be ahead as far as it may")
        assert len(made) <= 10 + 64 + 2


async def test_who_stops_listening_closes_the_iterator():
    closed = threading.Event()

    def items():
        try:
            yield from itertools.count()
        finally:
            closed.set()

    async with aclosing(aio.iterate(items)) as consumed:
        assert 0 == await anext(consumed)
    await asyncio.to_thread(closed.wait, 30)
    assert closed.is_set()


async def test_a_plain_iterator_without_close_will_do():
    assert [1, 2] == [n async for n in aio.iterate(lambda: iter([1, 2]))]
