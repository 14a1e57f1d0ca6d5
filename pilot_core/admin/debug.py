"""The paths under /debug that people of Istio know, with what is behind them here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from pilot_core.admin import shapes
from pilot_core.admin.answers import array, bad, lists, missing
from pilot_core.admin.view import LISTED, View, near
from pilot_xds.rendering import KINDS


class Debug:
    """Pages for people who look for the reason of something; their shapes may change."""

    def __init__(self, view: View) -> None:
        self._view = view

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/debug/syncz", self._syncz),
            web.get("/debug/registryz", self._registryz),
            web.get("/debug/endpointz", self._endpointz),
            web.get("/debug/configz", self._configz),
            web.get("/debug/config_dump", self._config_dump),
            web.get("/debug/adsz", self._adsz),
        ]

    async def _syncz(self, request: web.Request) -> web.StreamResponse:
        """Per proxy and type: what was sent last, and what was acknowledged."""
        return await array(request, map(_sync, self._view.proxies()))

    async def _registryz(self, request: web.Request) -> web.StreamResponse:
        """Every service."""
        return await array(request, self._view.services())

    async def _endpointz(self, request: web.Request) -> web.StreamResponse:
        """Every endpoint, by service."""
        return await array(request, self._endpoints())

    def _endpoints(self) -> Iterator[dict[str, Any]]:
        for hostname in sorted(self._view.hub.world.endpoints):
            yield {"svc": hostname, "ep": self._view.endpoints(hostname)}

    async def _configz(self, request: web.Request) -> web.StreamResponse:
        """The registries, as they are configured and as they are doing."""
        return await array(request, self._view.registries())

    async def _adsz(self, request: web.Request) -> web.StreamResponse:
        """Who is connected."""
        head = {"totalClients": len(self._view.fleet.connections)}
        return await lists(request, head, {"clients": self._view.proxies()})

    async def _config_dump(self, request: web.Request) -> web.StreamResponse:
        """All that one proxy is to have."""
        proxy_id = request.query.get("proxyID", "")
        if not proxy_id:
            return bad("say which proxy: /debug/config_dump?proxyID=ID")
        found = self._view.config(proxy_id, list(KINDS))
        if found is None:
            hint = await near(proxy_id, self._view.proxy_names())
            return missing(f"no proxy {proxy_id} is connected", hint, LISTED)
        return await lists(request, {"proxy": found.proxy}, found.resources)


def _sync(proxy: shapes.ShownProxy) -> dict[str, Any]:
    said: dict[str, Any] = {"proxy": proxy.id, "proxy_version": proxy.version}
    for name, shown in proxy.types.items():
        said[f"{name.lower()}_sent"] = shown.version if shown else None
        said[f"{name.lower()}_acked"] = shown.acked if shown else None
    return said
