"""Asking an agent about one scope, once or for ever.

Rule 1: one question that fails while others are answered is asked again after a pause, from the
beginning; it is told of, and harms nothing else. Where the agent does not answer at all, the
session is over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from pilot_adapter_consul.agent import SHORT, Agent, Crowded, Reply
from pilot_adapter_consul.position import Pace, Position
from pilot_adapter_consul.scope import Scope
from pilot_core.adapter import Host, Sink, Unavailable
from pilot_core.aio import Backoff
from pilot_core.clock import Clock

T = TypeVar("T")

_ANYTHING = "/v1/catalog/services"
_LEADERLESS = 5
"""Seconds that a question is held while Consul has no leader: to hear soon that it has one."""
_ROOM = 2.0
"""Seconds until a question for which there was no connection is asked again."""
_BELIEVED = 1.0
"""Seconds for which an agent that has answered is taken to be there."""

Told = Callable[[str], None]
"""Called with the words of a failure each time, and with none once it is over."""


class Reader:
    """One session's way to ask; every method raises Unavailable and Denied."""

    def __init__(self, agent: Agent, scope: Scope, host: Host) -> None:
        self.agent, self.scope, self.host = agent, scope, host
        self._probing = asyncio.Lock()
        self._answered = 0.0
        self.on_crowded: Callable[[str], None] = lambda path: None
        """Called with every question for which the agent had no connection to spare."""

    async def ask(
        self, path: str, *, is_decisive: bool = False, absent: bytes | None = None
    ) -> Reply:
        """One answer, at once; the leader's, where it is decisive."""
        return await self.agent.read(path, scope=self.scope, is_decisive=is_decisive, absent=absent)

    async def follow(
        self,
        path: str,
        position: Position,
        taken: Callable[[Reply], None],
        *,
        told: Told,
        wait: int = SHORT,
        absent: bytes | None = None,
    ) -> NoReturn:
        """Hand over every answer to a blocking query, for ever."""
        pace, held, failures = Pace(), wait, 0
        backoff, room = Backoff(), Backoff(_ROOM / 2, _ROOM)
        while True:
            await self._sleep(pace.delay(self.host.clock.monotonic()))
            try:
                reply = await self.agent.read(
                    path, scope=self.scope, index=position.index, wait=held, absent=absent
                )
            except Unavailable as error:
                position.reset()
                await self.probe(path, error)
                failures += 1
                # One is no news: every change of the leader costs each query that is held one.
                if failures > 1 and not isinstance(error, Crowded):
                    told(str(error))
                await self._sleep(room.delay() if isinstance(error, Crowded) else backoff.delay())
                continue
            taken(reply)
            position.advance(reply.index)
            if failures > 1:
                told("")
            failures, held = 0, wait if reply.has_leader else min(wait, _LEADERLESS)
            backoff.reset()

    async def probe(self, path: str, error: Unavailable) -> None:
        """After this question has failed: raises Unavailable where the agent answers nothing else
        either."""
        if isinstance(error, Crowded):
            self.on_crowded(path)
            return
        clock = self.host.clock
        async with self._probing:
            if clock.monotonic() - self._answered > _BELIEVED:
                with contextlib.suppress(Crowded):
                    await self.agent.read(_ANYTHING, scope=self.scope)
                self._answered = clock.monotonic()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self.host.clock.sleep(seconds)


async def within(clock: Clock, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of the work, if it comes in time by this clock. Raises TimeoutError."""
    task, timer = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        timer.cancel()


def tell(sink: Sink, source: str) -> Told:
    """Of a question that has no answer: under a source that holds nothing else."""

    def told(words: str) -> None:
        if words:
            sink.warn(f"{words}; what was read before stays", source=source)
        else:
            sink.drop(source)

    return told
