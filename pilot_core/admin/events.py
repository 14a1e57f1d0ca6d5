"""Live events as Server-Sent Events: what changes, as it changes.

A slow listener misses events rather than making anybody wait; each event says how to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from pilot_core.admin.view import View
from pilot_core.model import Delta, World

_WAITING_AT_MOST = 100
_NAMES_AT_MOST = 50
_HEARTBEAT = 15.0


class _Listeners:
    """Everybody who listens, each with a short queue."""

    def __init__(self, view: View) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._view = view
        view.hub.follow(self._changed)
        view.problems.subscribe(self._problems)

    def add(self) -> asyncio.Queue[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_AT_MOST)
        self._queues.add(queue)
        return queue

    def remove(self, queue: asyncio.Queue[bytes]) -> None:
        self._queues.discard(queue)

    def _tell(self, event: str, body: dict[str, Any]) -> None:
        if not self._queues:
            return
        text = b"event: " + event.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(text)

    def _changed(self, old: World, new: World, delta: Delta) -> None:
        if self._queues:
            body = {
                "services": sorted(delta.services)[:_NAMES_AT_MOST],
                "endpoints": sorted(delta.endpoints)[:_NAMES_AT_MOST],
                "changed": len(delta.hostnames),
            }
            self._tell("change", body)

    def _problems(self) -> None:
        self._tell("problems", {"open": len(self._view.problems)})


def stream(view: View) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of /api/v1/events."""
    listeners = _Listeners(view)

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "cache-control": "no-store"}
        )
        await response.prepare(request)
        queue = listeners.add()
        try:
            await response.write(b": connected\n\n")
            while True:
                await response.write(await _next(queue))
        except ConnectionError:
            return response
        finally:
            listeners.remove(queue)

    return handle


async def _next(queue: asyncio.Queue[bytes]) -> bytes:
    try:
        async with asyncio.timeout(_HEARTBEAT):
            return await queue.get()
    except TimeoutError:
        return b": still here\n\n"
