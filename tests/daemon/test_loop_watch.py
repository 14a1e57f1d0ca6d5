"""An event loop that stands still is noticed from outside, with who holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import AsyncIterator

import pytest

from mesh import until
from pilot_core.adapter import Adapter, NoConfig
from pilot_core.clock import SystemClock
from pilot_core.daemon.loop_watch import BLOCKED, LoopWatch
from pilot_core.registry.hub import Registration
from registries import Stage, running

PATIENCE = 20.0


class Told(logging.Handler):
    """Hears what is logged, in whatever thread, and lets a blocked loop go on then."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.heard = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.heard.set()

    def block(self) -> None:
        assert self.heard.wait(PATIENCE), "nobody noticed"


@pytest.fixture
def told():
    handler, logger = Told(), logging.getLogger("pilot_core.daemon.loop_watch")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@contextlib.asynccontextmanager
async def watched(stage: Stage, *, after: float = 0.5, shown: float = 60.0) -> AsyncIterator[None]:
    watch = asyncio.create_task(LoopWatch(stage.problems, after=after, shown=shown).run())
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait({watch})


def blocking(told: Told, begun: asyncio.Event, *, in_a_task: bool = False):
    """An adapter that holds the loop up until somebody has noticed."""

    async def hold_up():
        await begun.wait()
        told.block()
        await asyncio.Event().wait()

    class Slow(Adapter):
        async def run(self, sink):
            sink.synced()
            if not in_a_task:
                await hold_up()
            async with asyncio.TaskGroup() as group:
                group.create_task(hold_up())

    return Registration(name="slow", kind="slow", adapter_type=Slow, config=NoConfig())


@pytest.mark.parametrize("in_a_task", [False, True])
async def test_an_adapter_that_holds_the_loop_up_is_named_with_its_line(told, in_a_task):
    begun = asyncio.Event()
    adapter = blocking(told, begun, in_a_task=in_a_task)
    async with running(adapter, clock=SystemClock()) as stage, watched(stage):
        begun.set()

        async def shown():
            return BLOCKED in stage.codes

        await until(shown, "the problem")
        problem = stage.problem(BLOCKED)
    [record] = told.records
    assert ("slow", "the event loop stands still") == (record.registry, record.getMessage())
    assert "told.block()" in record.stack
    assert ("slow", "warning") == (problem.registry, problem.severity)
    assert re.fullmatch(r".*/test_loop_watch\.py:\d+", problem.origin)
    assert re.search(r"held everything up for \d+\.\d s, at .*: blocking calls", problem.message)


async def test_it_is_shown_for_a_while(told):
    begun = asyncio.Event()
    async with (
        running(blocking(told, begun), clock=SystemClock()) as stage,
        watched(stage, shown=0.3),
    ):
        begun.set()
        heard: list[bool] = []
        stage.problems.subscribe(lambda: heard.append(BLOCKED in stage.codes))

        async def over():
            return heard == [True, False]

        await until(over, "the problem to come and to go")


async def test_what_is_nobodys_adapter_is_logged_alone(told):
    async with running(clock=SystemClock()) as stage, watched(stage):
        task = asyncio.create_task(asyncio.to_thread(lambda: None))
        await task
        told.block()
        await until(lambda: asyncio.sleep(0, told.records), "a line in the log")
        assert ("", []) == (told.records[0].registry, stage.codes)
        assert "test_loop_watch.py" in told.records[0].place


async def test_a_loop_that_turns_is_left_alone(told):
    async with running(clock=SystemClock()) as stage, watched(stage, after=5.0):
        turns = 0

        async def turned():
            nonlocal turns
            turns += 1
            return turns > 100

        await until(turned, "a hundred turns")
    assert ([], []) == (told.records, stage.codes)
