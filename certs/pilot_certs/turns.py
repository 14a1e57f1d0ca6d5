"""Turns: a crowd passes a few at a time, and between them everybody else on the event loop does.

A thousand calls that come at once are a thousand tasks that are ready at once. The loop would run
all of them before it looks at anything else, and a second of signing is a second in which no proxy
hears of a change.
"""

from __future__ import annotations

import asyncio
from collections import deque

_AT_A_TIME = 10
"""Signatures in one turn of the loop: together about as long as a push."""


class Turns:
    """One gate, for everybody who signs."""

    def __init__(self, at_a_time: int = _AT_A_TIME) -> None:
        self._at_a_time = self._left = at_a_time
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False

    async def next(self) -> None:
        """Return when it is one's turn, in the order of coming."""
        loop = asyncio.get_running_loop()
        if not self._is_turning:
            self._is_turning = True
            loop.call_soon(self._turn, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        waiter = loop.create_future()
        self._waiting.append(waiter)
        await waiter

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._at_a_time
        while self._left and self._waiting:
            waiter = self._waiting.popleft()
            # Who has given up meanwhile takes nobody's turn.
            if not waiter.done():
                waiter.set_result(None)
                self._left -= 1
        self._is_turning = self._left < self._at_a_time or bool(self._waiting)
        if self._is_turning:
            loop.call_soon(self._turn, loop)
