"""Who of several replicas may write: a lock that a platform's own engine keeps.

Every replica computes the same and serves it; a few things only one may do at a time, such as
writing a status, or taking the next step of a rotation.

Rule 1: a leader steps down before the platform would let another one lead.
Rule 2: no clock and no lock stops a process that was asleep: what is written carries the fence of
the term, and who keeps it refuses a fence lower than one seen before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from pilot_core.clock import Clock

T = TypeVar("T")


class Term:
    """One time of leading. Ask `holds()` before each write, and write its `fence` with it."""

    def __init__(self, clock: Clock, fence: int, until: float) -> None:
        self._clock, self._until = clock, until
        self.fence = fence
        """Grows from term to term, whoever leads."""

    def holds(self) -> bool:
        """Whether it lasts still, by this process's own monotonic clock."""
        return self.remaining() > 0

    def remaining(self) -> float:
        """Seconds until it ends, unless it is prolonged before."""
        return self._until - self._clock.monotonic()

    def prolong(self, until: float) -> None:
        """It lasts until then, in monotonic seconds; a term that is over stays over."""
        if self.holds():
            self._until = max(self._until, until)

    def end(self) -> None:
        """It is over now."""
        self._until = float("-inf")


class LeaderLock(Protocol):
    """A lock that one replica holds at a time."""

    async def run(self, lead: Callable[[Term], Coroutine[Any, Any, T]]) -> T:
        """Wait to become the leader, lead, and return what `lead` returned; the lock is free then.

        Where the term ends first, `lead` is cancelled, and runs anew with the next term. Raises
        Denied where the platform refuses, and what `lead` raises; both in an exception group
        where they come while it leads. Unavailable is waited out.
        """


async def reign(
    term: Term,
    clock: Clock,
    lead: Callable[[Term], Coroutine[Any, Any, T]],
    *ends: Callable[[Term], Coroutine[Any, Any, None]],
) -> asyncio.Task[T]:
    """Lead for one term: until `lead` is done, the term is over, or one of `ends` returns, such as
    what prolongs the term and what watches the lock. The task of `lead`, done or cancelled; the
    term is over. For those who implement a lock."""

    async def expire(term: Term) -> None:
        while term.holds():
            await clock.sleep(term.remaining())

    try:
        async with asyncio.TaskGroup() as group:
            work = group.create_task(lead(term))
            tasks = [group.create_task(end(term)) for end in (*ends, expire)]
            await asyncio.wait((work, *tasks), return_when=asyncio.FIRST_COMPLETED)
            term.end()
            for task in (work, *tasks):
                task.cancel()
    finally:
        term.end()
    return work
