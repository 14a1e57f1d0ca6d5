"""The paths under /debug that people of Istio know, with what is behind them here."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from pilot_core.admin.view import View
from pilot_xds.rendering import KINDS


def routes(view: View) -> list[web.RouteDef]:
    pages = _Pages(view)
    return [
        web.get("/debug/syncz", pages.syncz),
        web.get("/debug/registryz", pages.registryz),
        web.get("/debug/endpointz", pages.endpointz),
        web.get("/debug/configz", pages.configz),
        web.get("/debug/config_dump", pages.config_dump),
        web.get("/debug/adsz", pages.adsz),
    ]


class _Pages:
    def __init__(self, view: View) -> None:
        self._view = view

    async def syncz(self, request: web.Request) -> web.Response:
        """Per proxy and type: what was sent last, and what was acknowledged."""
        return _json(
            [
                {
                    "proxy": proxy.id,
                    "proxy_version": proxy.version,
                    **{
                        f"{name.lower()}_{part}": getattr(shown, field) if shown else None
                        for name, shown in proxy.types.items()
                        for part, field in (("sent", "version"), ("acked", "acked"))
                    },
                }
                for proxy in self._view.proxies()
            ]
        )

    async def registryz(self, request: web.Request) -> web.Response:
        """Every service."""
        return _json(list(self._view.services()))

    async def endpointz(self, request: web.Request) -> web.Response:
        """Every endpoint, by service."""
        hostnames = sorted(self._view.hub.world.endpoints)
        return _json([{"svc": h, "ep": self._view.endpoints(h)} for h in hostnames])

    async def configz(self, request: web.Request) -> web.Response:
        """The registries, as they are configured and as they are doing."""
        return _json(self._view.registries())

    async def adsz(self, request: web.Request) -> web.Response:
        """Who is connected."""
        proxies = self._view.proxies()
        return _json({"totalClients": len(proxies), "clients": proxies})

    async def config_dump(self, request: web.Request) -> web.Response:
        """All that one proxy is to have."""
        proxy_id = request.query.get("proxyID", "")
        if not proxy_id:
            return _json({"error": "say which proxy: /debug/config_dump?proxyID=ID"}, 400)
        found = self._view.config(proxy_id, list(KINDS))
        if found is None:
            return _json({"error": f"no proxy {proxy_id} is connected"}, 404)
        return _json(found)


def _json(value: Any, status: int = 200) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(value), indent=2)
    return web.Response(status=status, body=body, content_type="application/json")
