"""Pieces of asyncio that adapters share: backoff, and blocking iterables on the event loop."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_PENDING_AT_MOST = 64


class Backoff:
    """Growing delays with full jitter between half and the whole of each step, in seconds."""

    def __init__(
        self,
        first: float = 0.5,
        longest: float = 30.0,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first, self._longest, self._uniform = first, longest, uniform
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def delay(self) -> float:
        step = self._next
        self._next = min(step * 2, self._longest)
        return self._uniform(step / 2, step)

    def longest(self) -> float:
        """The delay for a refusal: no gain in asking again soon."""
        self._next = self._longest
        return self.delay()


class _End:
    """The iterable is exhausted, or failed with `error`."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


async def iterate(opening: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """The items of a blocking iterator, which runs in a thread of its own.

    At most 64 items wait in between. The iterator's `close()`, where it has one, is called when
    the consumer stops; an error inside it is raised here. Do not use it across a timeout or task
    group of the caller's: consume it in one `async for`.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[T | _End] = asyncio.Queue()
    room = threading.Semaphore(_PENDING_AT_MOST)
    stopped = threading.Event()

    def hand_over(item: T | _End) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def pump(items: Iterator[T]) -> None:
        for item in items:
            room.acquire()
            if stopped.is_set():
                return
            hand_over(item)

    def run() -> None:
        error: BaseException | None = None
        try:
            with _closing(opening()) as items:
                pump(items)
        except BaseException as raised:  # noqa: BLE001  it is raised again at the consumer
            error = raised
        hand_over(_End(error))

    threading.Thread(target=run, name="blocking-iterator", daemon=True).start()
    try:
        while not isinstance(item := await queue.get(), _End):
            yield item
            room.release()
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        room.release()


@contextmanager
def _closing(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Generators and most client libraries' iterators have a `close`; plain ones do not."""
    try:
        yield items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
