"""How answers are written: as JSON, and long ones piece by piece.

A mesh of 10,000 services makes answers that take a second to encode. After every few milliseconds
of that the proxies get their turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from pilot_core.admin import shapes

JSON = "application/json"
_AT_A_TIME = 0.004
"""Seconds of encoding before others get their turn."""
_BUFFER = 64 * 1024


def answer(
    value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """One value, small enough to be encoded at once."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)


def missing(what: str, near: str | None, otherwise: str | None = None) -> web.Response:
    """404, with the name that was probably meant, or else with what to do."""
    hint = f"did you mean {near}?" if near else otherwise
    return answer(shapes.ShownError(error=what, hint=hint), 404)


def bad(what: str) -> web.Response:
    return answer(shapes.ShownError(error=what), 400)


async def listing(request: web.Request, kind: str, items: Iterable[Any]) -> web.StreamResponse:
    """A list in the envelope that all lists have."""
    head = {"apiVersion": shapes.API_VERSION, "kind": kind}
    return await lists(request, head, {"items": items})


async def lists(
    request: web.Request, head: Mapping[str, Any], parts: Mapping[str, Iterable[Any]]
) -> web.StreamResponse:
    """An object with the fields of `head`, and then these lists."""
    writer = await _Writer.open(request)
    before = msgspec.json.encode(head)[:-1]
    separator = b"," if head else b""
    for name, items in parts.items():
        writer.add(before + separator + msgspec.json.encode(name) + b":")
        await writer.array(items)
        before, separator = b"", b","
    writer.add(before + b"}")
    return await writer.close()


async def array(request: web.Request, items: Iterable[Any]) -> web.StreamResponse:
    """A bare list."""
    writer = await _Writer.open(request)
    await writer.array(items)
    return await writer.close()


class _Writer:
    """One answer on its way."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._waiting: list[bytes] = []
        self._size = 0
        self._until = time.monotonic() + _AT_A_TIME

    @classmethod
    async def open(cls, request: web.Request) -> _Writer:
        response = web.StreamResponse(headers={"content-type": JSON})
        await response.prepare(request)
        return cls(response)

    def add(self, piece: bytes) -> None:
        self._waiting.append(piece)
        self._size += len(piece)

    async def array(self, items: Iterable[Any]) -> None:
        separator = b"["
        for item in items:
            self.add(separator + msgspec.json.encode(item))
            separator = b","
            if self._size > _BUFFER or time.monotonic() > self._until:
                await self._give_way()
        self.add(b"]" if separator == b"," else b"[]")

    async def _give_way(self) -> None:
        await self._response.write(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0
        await asyncio.sleep(0)
        self._until = time.monotonic() + _AT_A_TIME

    async def close(self) -> web.StreamResponse:
        await self._response.write(b"".join(self._waiting))
        await self._response.write_eof()
        return self._response
