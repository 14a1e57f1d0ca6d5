"""A Routing API on loopback: TCP routes by list and by event.

As the real one: ids of events begin at 0, nothing is resumed, every heartbeat raises the index, and
who registers an address again under another instance keeps the first one.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from consul_tls import Authority

Mapping = dict[str, Any]


class FakeRoutingApi:
    """`async with`; `tokens` are those that are good (shared with a UAA's)."""

    def __init__(self, authority: Authority, tokens: set[str]) -> None:
        self.tokens = tokens
        self.routes: dict[tuple[str, int, str, int], Mapping] = {}
        self.lists = 0
        self.port = 0
        self._streams: set[asyncio.Queue[bytes | None]] = set()
        self._authority = authority
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def upsert(self, group: str, port: int, ip: str, backend: int, **more: Any) -> None:
        """Register it, or say again that it is there."""
        key = (group, port, ip, backend)
        before = self.routes.get(key)
        tag = before["modification_tag"] if before else {"guid": str(uuid.uuid4()), "index": -1}
        made = {
            "router_group_guid": group,
            "port": port,
            "backend_ip": ip,
            "backend_port": backend,
            "backend_tls_port": 0,
            "instance_id": "",
            "ttl": 120,
            "isolation_segment": "",
            **more,
            "modification_tag": {"guid": tag["guid"], "index": tag["index"] + 1},
        }
        if before is not None and before["instance_id"]:
            made["instance_id"] = before["instance_id"]
        self.routes[key] = made
        self._tell("Upsert", made)

    def delete(self, group: str, port: int, ip: str, backend: int) -> None:
        self._tell("Delete", self.routes.pop((group, port, ip, backend)))

    def vanish(self, group: str, port: int, ip: str, backend: int) -> None:
        """It is past its lifetime: gone from lists before anybody is told."""
        del self.routes[group, port, ip, backend]

    def end_streams(self) -> None:
        for stream in self._streams:
            stream.put_nowait(None)

    async def subscribed(self) -> None:
        while not self._streams:
            await asyncio.sleep(0.005)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/routing/v1/tcp_routes", self._list)
        app.router.add_get("/routing/v1/tcp_routes/events", self._events)
        pair = self._authority.issue("routing-api.service.cf.internal")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_streams()
        if self._runner is not None:
            await self._runner.cleanup()

    def _tell(self, kind: str, mapping: Mapping) -> None:
        for stream in self._streams:
            stream.put_nowait(f"event: {kind}\ndata: {json.dumps(mapping)}\n\n".encode())

    def _is_let_in(self, request: web.Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("bearer ") in self.tokens

    async def _list(self, request: web.Request) -> web.Response:
        if not self._is_let_in(request):
            return web.json_response({"name": "UnauthorizedError"}, status=401)
        self.lists += 1
        return web.json_response(list(self.routes.values()))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not self._is_let_in(request):
            return web.json_response({"name": "UnauthorizedError"}, status=401)
        headers = {"Content-Type": "text/event-stream; charset=utf-8"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.add(stream)
        number = 0
        try:
            while (frame := await stream.get()) is not None:
                await response.write(b"id: %d\n" % number + frame)
                number += 1
        finally:
            self._streams.discard(stream)
        return response
