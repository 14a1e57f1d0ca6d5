"""The HTTP server of the daemon: its routes, and how long answers are written.

Answers about a large mesh are encoded piece by piece, so that no proxy waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pilot_core import __version__
from pilot_core.admin import debug, events, openapi, shapes
from pilot_core.admin.guard import guard
from pilot_core.admin.view import View
from pilot_xds.rendering import KINDS

_AT_A_TIME = 200
"""Items that are encoded before others get their turn: a few milliseconds."""


class AdminServer:
    """Serves the API of one daemon; `is_ready` is what /readyz says, besides the registries."""

    def __init__(
        self, view: View, metrics: CollectorRegistry, *, listen: str, token_file: Path | None
    ) -> None:
        self.is_ready = False
        self._view, self._metrics, self._listen = view, metrics, listen
        self._application = web.Application(middlewares=[guard(token_file)])
        self._application.add_routes(self._routes())
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        assert self._runner is not None
        host, port = self._runner.addresses[0][:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises OSError."""
        host, _, port = self._listen.rpartition(":")
        self._runner = web.AppRunner(self._application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"admin.address: cannot listen on {self._listen}: {reason}") from None

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _routes(self) -> list[web.RouteDef]:
        api = "/api/v1"
        return [
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics_text),
            web.get("/version", self._version),
            web.get(f"{api}/openapi.json", openapi.answer),
            web.get(f"{api}/services", self._services),
            web.get(f"{api}/services/{{hostname}}", self._service),
            web.get(f"{api}/services/{{hostname}}/endpoints", self._endpoints),
            web.get(f"{api}/registries", self._registries),
            web.get(f"{api}/proxies", self._proxies),
            web.get(f"{api}/proxies/{{id:[^/]+}}", self._proxy),
            web.get(f"{api}/proxies/{{id:[^/]+}}/config", self._config),
            web.get(f"{api}/problems", self._problems),
            web.get(f"{api}/events", events.stream(self._view)),
            *debug.routes(self._view),
        ]

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        lacking = self._view.hub.readiness()
        lines = [f"{name}: {why or 'ok'}" for name, why in lacking.items()]
        text = "ready\n" if self.is_ready else "not ready\n"
        if request.query.get("verbose"):
            text += "".join(f"{line}\n" for line in lines)
        return web.Response(status=200 if self.is_ready else 503, text=text)

    async def _metrics_text(self, request: web.Request) -> web.Response:
        body = await asyncio.to_thread(generate_latest, self._metrics)
        return web.Response(body=body, headers={"content-type": CONTENT_TYPE_LATEST})

    async def _version(self, request: web.Request) -> web.Response:
        return answer({"name": "pilot-core", "version": __version__, "api": shapes.API_VERSION})

    async def _services(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "ServiceList", self._view.services())

    async def _service(self, request: web.Request) -> web.Response:
        hostname = request.match_info["hostname"].lower()
        found = self._view.service(hostname)
        if found is None:
            return missing(f"no service {hostname}", self._view.near_hostname(hostname))
        return answer(found)

    async def _endpoints(self, request: web.Request) -> web.StreamResponse:
        hostname = request.match_info["hostname"].lower()
        found = self._view.endpoints(hostname)
        if not found and self._view.service(hostname) is None:
            return missing(f"no service {hostname}", self._view.near_hostname(hostname))
        return await listing(request, "EndpointList", found)

    async def _registries(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "RegistryList", self._view.registries())

    async def _proxies(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "ProxyList", self._view.proxies())

    async def _proxy(self, request: web.Request) -> web.Response:
        proxy_id = request.match_info["id"]
        found = self._view.proxy(proxy_id)
        if found is None:
            return missing(f"no proxy {proxy_id} is connected", self._view.near_proxy(proxy_id))
        return answer(found)

    async def _config(self, request: web.Request) -> web.Response:
        proxy_id, kind = request.match_info["id"], request.query.get("type", "all")
        if kind != "all" and kind not in KINDS:
            return bad(f"type {kind!r} is none of {', '.join(KINDS)}, all")
        kinds = list(KINDS) if kind == "all" else [kind]
        found = self._view.config(proxy_id, kinds)
        if found is None:
            return missing(f"no proxy {proxy_id} is connected", self._view.near_proxy(proxy_id))
        return answer(found)

    async def _problems(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "ProblemList", self._view.shown_problems())


def answer(value: Any, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json")


def missing(what: str, near: str | None) -> web.Response:
    hint = f"did you mean {near}?" if near else None
    return answer(shapes.ShownError(error=what, hint=hint), 404)


def bad(what: str) -> web.Response:
    return answer(shapes.ShownError(error=what), 400)


async def listing(request: web.Request, kind: str, items: Iterable[Any]) -> web.StreamResponse:
    """A list, encoded piece by piece."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    head = {"apiVersion": shapes.API_VERSION, "kind": kind}
    written = [msgspec.json.encode(head)[:-1] + b',"items":[']
    await response.prepare(request)
    separator = b""
    for number, item in enumerate(items, 1):
        written.append(separator + msgspec.json.encode(item))
        separator = b","
        if number % _AT_A_TIME == 0:
            await response.write(b"".join(written))
            written.clear()
            await asyncio.sleep(0)
    written.append(b"]}")
    await response.write(b"".join(written))
    await response.write_eof()
    return response
