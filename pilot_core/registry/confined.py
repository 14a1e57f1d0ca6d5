"""Tasks of adapters, and of whatever they start: none of them takes the daemon along.

A task that lets SystemExit or KeyboardInterrupt out ends the event loop it runs on (asyncio raises
these two on). An adapter's tasks let out an error instead, which ends their session.
Rule: only what an adapter has started is wrapped; the daemon's own tasks are as asyncio makes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

from pilot_core.registry.failure import Ended

T = TypeVar("T")

_owner: ContextVar[str] = ContextVar("registry", default="")


async def confined(owner: str, work: Coroutine[Any, Any, T]) -> T:
    """Do the work of the registry `owner`. Raises Ended where it wants to end the process."""
    _owner.set(owner)
    try:
        return await work
    except SystemExit as error:
        raise Ended(f"the adapter called sys.exit({error.code})") from error
    except KeyboardInterrupt as error:
        raise Ended("the adapter raised KeyboardInterrupt") from error


def install(loop: asyncio.AbstractEventLoop) -> None:
    """From now on, tasks that are started by confined work are confined too."""
    before = loop.get_task_factory()
    if getattr(before, "confines", False):
        return

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        owner = _owner.get()
        wrapped = confined(owner, work) if owner and asyncio.iscoroutine(work) else work
        if before is not None:
            return before(loop, wrapped, **options)
        return asyncio.Task(wrapped, loop=loop, **options)

    make.confines = True  # type: ignore[attr-defined]  # how it is known again
    loop.set_task_factory(make)


def owner_of(frame: FrameType | None) -> tuple[str, FrameType | None]:
    """The registry whose work this frame is part of, and the outermost frame of that work; an
    empty name where it is none's."""
    inner = None
    while frame is not None:
        if frame.f_code is confined.__code__:
            return str(frame.f_locals["owner"]), inner
        inner, frame = frame, frame.f_back
    return "", None
