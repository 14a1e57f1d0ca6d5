"""Methods that are served only when it is known who calls, which may take a while to find out.

What comes meanwhile is kept, as far as the stream's window allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pilot_core.rpc.call import Call, Method, Receiver
from pilot_core.rpc.status import Abort, Code

log = logging.getLogger(__name__)

T = TypeVar("T")
_tasks: set[asyncio.Task[None]] = set()
"""Those who are being looked at: the event loop itself would forget them."""


def guarded(prove: Callable[[Call], Awaitable[T]], open: Callable[[Call, T], Receiver]) -> Method:
    """A method that is opened with what `prove` finds out; it raises Abort to turn a call away."""

    def guard(call: Call) -> Receiver:
        made = _Guard()
        made.start(call, prove, open)
        return made

    return Method(guard)


class _Guard:
    """`call.Receiver` of a call that is being looked at."""

    is_full = True
    """Nothing more is to be sent before it is known who calls."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._is_ended = False
        self._task: asyncio.Task[None] | None = None

    def start(
        self,
        call: Call,
        prove: Callable[[Call], Awaitable[T]],
        open: Callable[[Call, T], Receiver],
    ) -> None:
        async def look() -> None:
            try:
                proved = await prove(call)
            except Abort as abort:
                call.finish(abort.code, str(abort))
            except Exception:
                log.exception("nobody knows who calls", extra={"path": call.path})
                call.finish(Code.INTERNAL, "the server has failed")
            else:
                call.hand_over(open(call, proved), self._messages, is_end=self._is_ended)

        self._task = asyncio.create_task(look())
        _tasks.add(self._task)
        self._task.add_done_callback(_tasks.discard)

    def message(self, data: bytes) -> None:
        self._messages.append(data)

    def ended(self) -> None:
        self._is_ended = True

    def ready(self) -> None:
        """Nothing has been sent."""

    def lost(self, words: str) -> None:
        if self._task is not None:
            self._task.cancel()
