"""The HTTP server of the daemon, and its routes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pilot_core import __version__
from pilot_core.admin import health, openapi, shapes
from pilot_core.admin.answers import answer, bad, listing, lists, missing
from pilot_core.admin.debug import Debug
from pilot_core.admin.events import Events
from pilot_core.admin.failures import shown
from pilot_core.admin.guard import guard
from pilot_core.admin.identity import IdentityApi, Office
from pilot_core.admin.view import LISTED, View, near
from pilot_core.config import address
from pilot_core.telemetry.metrics import ReadFigures, exposition
from pilot_xds.rendering import KINDS

_GRACE = 1.0
"""Seconds for answers that are on their way when the server stops."""


class AdminServer:
    """Serves the API of one daemon; `is_ready` is what /readyz says."""

    def __init__(
        self,
        view: View,
        metrics: CollectorRegistry,
        *,
        figures: ReadFigures,
        listen: str,
        token_file: Path | None,
        office: Office | None = None,
    ) -> None:
        self.is_ready = False
        self._office = office
        self._view, self._metrics, self._figures, self._listen = view, metrics, figures, listen
        events = Events(view)
        application = web.Application(middlewares=[shown, guard(token_file)])
        application.add_routes([*self._routes(), web.get("/api/v1/events", events.stream)])
        application.add_routes(IdentityApi(office).routes())
        application.on_shutdown.append(events.end)
        self._application = application
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE)

    @property
    def address(self) -> str:
        """With the real port; known once it listens."""
        host, port = self._runner.addresses[0][:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def paths(self) -> set[str]:
        """Every path that is answered, with names in braces for what varies."""
        return {resource.canonical for resource in self._application.router.resources()}

    async def start(self) -> None:
        """Listen. Raises OSError."""
        host, port = address.split(self._listen)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot listen on {self._listen}: {reason}") from None

    async def stop(self) -> None:
        await self._runner.cleanup()

    def _routes(self) -> list[web.RouteDef]:
        api = "/api/v1"
        return [
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics_page),
            web.get("/version", self._version),
            web.get(f"{api}/openapi.json", openapi.description),
            web.get(f"{api}/services", self._services),
            web.get(f"{api}/services/{{hostname}}", self._service),
            web.get(f"{api}/services/{{hostname}}/endpoints", self._endpoints),
            web.get(f"{api}/registries", self._registries),
            web.get(f"{api}/proxies", self._proxies),
            web.get(f"{api}/proxies/{{id}}", self._proxy),
            web.get(f"{api}/proxies/{{id}}/config", self._config),
            web.get(f"{api}/problems", self._problems),
            *Debug(self._view).routes(),
        ]

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        is_verbose = request.query.get("verbose", "0") not in ("0", "false")
        text = health.page(
            self._view.hub,
            is_ready=self.is_ready,
            is_verbose=is_verbose,
            authority=self._office.authority if self._office else None,
        )
        return web.Response(status=200 if self.is_ready else 503, text=text)

    async def _metrics_page(self, request: web.Request) -> web.Response:
        self._figures.take()
        body = await asyncio.to_thread(exposition, self._metrics)
        return web.Response(body=body, headers={"content-type": CONTENT_TYPE_LATEST})

    async def _version(self, request: web.Request) -> web.Response:
        return answer(shapes.ShownVersion(version=__version__))

    async def _services(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "ServiceList", self._view.services())

    async def _service(self, request: web.Request) -> web.Response:
        hostname = request.match_info["hostname"].lower()
        found = self._view.service(hostname)
        return answer(found) if found else await self._no_service(hostname)

    async def _endpoints(self, request: web.Request) -> web.StreamResponse:
        hostname = request.match_info["hostname"].lower()
        found = self._view.endpoints(hostname)
        if not found and self._view.service(hostname) is None:
            return await self._no_service(hostname)
        return await listing(request, "EndpointList", found)

    async def _registries(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "RegistryList", self._view.registries())

    async def _proxies(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "ProxyList", self._view.proxies())

    async def _proxy(self, request: web.Request) -> web.Response:
        proxy_id = request.match_info["id"]
        found = self._view.proxy(proxy_id)
        return answer(found) if found else await self._no_proxy(proxy_id)

    async def _config(self, request: web.Request) -> web.StreamResponse:
        proxy_id, kind = request.match_info["id"], request.query.get("type", "all")
        if kind != "all" and kind not in KINDS:
            return bad(f"type {kind!r} is none of {', '.join(KINDS)}, all")
        found = self._view.config(proxy_id, list(KINDS) if kind == "all" else [kind])
        if found is None:
            return await self._no_proxy(proxy_id)
        unasked = {name: None for name in KINDS if name not in found.resources}
        return await lists(request, {"proxy": found.proxy, **unasked}, found.resources)

    async def _problems(self, request: web.Request) -> web.StreamResponse:
        return await listing(request, "ProblemList", self._view.shown_problems())

    async def _no_service(self, hostname: str) -> web.Response:
        names = list(self._view.hub.world.services)
        hint = "pilot-core services lists all, /api/v1/services too"
        return missing(f"no service {hostname}", await near(hostname, names), hint)

    async def _no_proxy(self, proxy_id: str) -> web.Response:
        text = f"no proxy {proxy_id} is connected"
        several = self._view.namesakes(proxy_id)
        if len(several) > 1:
            return missing(f"{text} under this id; {', '.join(several)} have that name", None)
        names = self._view.proxy_names()
        return missing(text, await near(proxy_id, names), LISTED)
