"""Requests without a pause: what they were answered, and which of them failed."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator

from mesh import http_get, until

SAMPLE = 300
_CALLERS = 4


class Load:
    """Callers of the service, one request after the other, on a connection each."""

    def __init__(self, listener: str, host: str) -> None:
        self.answers: collections.Counter[str] = collections.Counter()
        self.failed: list[str] = []
        self._listener, self._host = listener, host

    async def _call(self) -> None:
        while True:
            try:
                status, body = await http_get(self._listener, host=self._host)
            except (OSError, TimeoutError) as error:
                self.failed.append(repr(error))
                continue
            if status == 200:
                self.answers[body.decode()] += 1
            else:
                self.failed.append(f"{status} {body[:100]!r}")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._call()) for _ in range(_CALLERS)]
        try:
            yield
        finally:
            for task_ in tasks:
                task_.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def share(self, prefix: str) -> float:
        """Of the next requests, how many are answered by backends of this prefix."""
        counted = await self.more()
        return sum(n for name, n in counted.items() if name.startswith(prefix)) / counted.total()

    async def more(self) -> collections.Counter[str]:
        """Wait for as many more requests as make a sample: who answered them."""
        before = self.answers.copy()

        async def enough() -> collections.Counter[str] | None:
            now = self.answers - before
            return now if now.total() >= SAMPLE else None

        found: collections.Counter[str] = await until(enough, f"{SAMPLE} more requests")
        return found
