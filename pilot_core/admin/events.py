"""Live events as Server-Sent Events: what changes, as it changes.

A slow listener misses events rather than making anybody wait; each event says how to ask again.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from pilot_core.admin.view import View
from pilot_core.model import Delta, World

_WAITING_AT_MOST = 100
_NAMES_AT_MOST = 50
_HEARTBEAT = 15.0
_END = b""


class Events:
    """Everybody who listens at /api/v1/events, each with a short queue."""

    def __init__(self, view: View) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._view = view
        view.hub.follow(self._changed)
        view.problems.subscribe(self._problems)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """One listener, until it or the server goes."""
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "cache-control": "no-store"}
        )
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_AT_MOST)
        self._queues.add(queue)
        try:
            text = b": connected\n\n"
            while text != _END:
                await response.write(text)
                text = await _next(queue)
        except ConnectionError:
            return response
        finally:
            self._queues.discard(queue)
        return response

    async def end(self, application: web.Application) -> None:
        """Let everybody go: the server stops."""
        for queue in self._queues:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(_END)

    def _tell(self, event: str, body: dict[str, Any]) -> None:
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
                "see": "/api/v1/services",
            }
            self._tell("change", body)

    def _problems(self) -> None:
        if self._queues:
            self._tell("problems", {"open": len(self._view.problems), "see": "/api/v1/problems"})


async def _next(queue: asyncio.Queue[bytes]) -> bytes:
    try:
        async with asyncio.timeout(_HEARTBEAT):
            return await queue.get()
    except TimeoutError:
        return b": still here\n\n"
