"""A web server that serves one catalogue document, and remembers who asked."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATIENCE = 10.0


class HttpRegistry:
    """Use it as `async with HttpRegistry() as server`; change `document` or `answer` at will."""

    def __init__(self, document: str = "services: []\n", *, tls: ssl.SSLContext | None = None):
        self.document = document
        self.has_etag = True
        self.content_type = "application/yaml"
        self.answer: Answer = self.serve
        self.requests: list[web.Request] = []
        self.statuses: list[int] = []
        self._arrived = asyncio.Event()
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._port}/catalogue"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        address = "127.0.0.1", self._port
        await web.TCPSite(self._runner, *address, ssl_context=self._tls, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def asked(self, times: int) -> None:
        """Wait until so many requests have been answered."""
        async with asyncio.timeout(PATIENCE):
            while len(self.statuses) < times:
                self._arrived.clear()
                await self._arrived.wait()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The document, or 304 to whoever has it."""
        etag = f'"{hashlib.sha256(self.document.encode()).hexdigest()[:16]}"'
        headers = {"etag": etag} if self.has_etag else {}
        if self.has_etag and request.headers.get("if-none-match") == etag:
            return web.Response(status=304, headers=headers)
        content = self.document.encode()
        return web.Response(body=content, content_type=self.content_type, headers=headers)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        response = await self.answer(request)
        self.statuses.append(response.status)
        self._arrived.set()
        return response


def answer(status: int, body: str = "", **headers: str) -> Answer:
    """Always this."""

    async def same(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    return same
