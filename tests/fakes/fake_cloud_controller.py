"""A Cloud Controller, its UAA, and the policies beside it, on one loopback port over TLS.

What they answer follows the documentation of version 3 of the API: pages by guid, a limit of
questions with `Retry-After`, tokens that end.
"""

from __future__ import annotations

import base64
import ssl
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from consul_tls import Authority

CLIENT, SECRET = "pilot-core", "correct-horse-battery"
Resource = dict[str, Any]
_KINDS = ("organizations", "spaces", "apps", "processes", "domains", "routes")


def resource(guid: str, *, labels: dict[str, str] | None = None, **related: str) -> Resource:
    """What all resources have; `related` names others by guid."""
    relationships = {name: {"data": {"guid": value}} for name, value in related.items()}
    return {
        "guid": guid,
        "created_at": "2026-11-22T19:07:36Z",
        "metadata": {"labels": labels or {}, "annotations": {}},
        "relationships": relationships,
        "links": {"self": {"href": f"https://api.example.com/v3/x/{guid}"}},
    }


def route(guid: str, url: str, *destinations: tuple[str, str, int | None]) -> Resource:
    """A route to applications: guid, process type and weight of each."""
    listed = [
        {
            "guid": f"{guid}-{number}",
            "app": {"guid": app, "process": {"type": kind}},
            "weight": weight,
            "port": None,
            "protocol": "http1",
        }
        for number, (app, kind, weight) in enumerate(destinations)
    ]
    return {**resource(guid), "url": url, "destinations": listed, "options": {}}


class FakeCloudController:
    """`async with`; what it knows are its public fields."""

    def __init__(self, authority: Authority, *, page: int = 2) -> None:
        self.kinds: dict[str, dict[str, Resource]] = {kind: {} for kind in _KINDS}
        self.revisions: dict[str, int] = {}
        self.policies: list[Resource] | None = []
        """None where nobody may see them."""
        self.page = page
        """How many are on a page, whatever is asked for: operators cap it."""
        self.limit: int | None = None
        """How many questions are left; None for any number."""
        self.retry_after = "7"
        self.status = 200
        """What it answers instead of lists, such as 500."""
        self.tokens: set[str] = set()
        """The tokens that are good; `expires_in` is what is said of new ones."""
        self.expires_in = 600
        self.given = 0
        self.asked: list[str] = []
        self.between_pages: Callable[[str], None] = lambda path: None
        """What happens after a page has been answered."""
        self.port = 0
        self._authority = authority
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def add(self, kind: str, *resources: Resource) -> None:
        self.kinds[kind].update({found["guid"]: found for found in resources})

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/", self._root)
        app.router.add_post("/uaa/oauth/token", self._token)
        app.router.add_get("/v3/revisions/{guid}", self._guarded(self._revision))
        app.router.add_get("/networking/v1/external/policies", self._guarded(self._policies))
        for kind in _KINDS:
            app.router.add_get(f"/v3/{kind}", self._guarded(self._list))
        pair = self._authority.issue("api.example.com")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _root(self, request: web.Request) -> web.Response:
        links = {"self": {"href": self.url}, "uaa": {"href": f"{self.url}/uaa"}, "logging": None}
        return web.json_response({"links": links})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return web.json_response({"error": "unauthorized"}, status=401)
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "invalid_request"}, status=400)
        token = str(uuid.uuid4())
        self.tokens.add(token)
        self.given += 1
        said = {"access_token": token, "token_type": "bearer", "expires_in": self.expires_in}
        return web.json_response(said)

    def _guarded(self, answer: Callable[[web.Request], web.Response]) -> Any:
        async def guarded(request: web.Request) -> web.Response:
            self.asked.append(request.path_qs)
            shown = request.headers.get("authorization", "").removeprefix("bearer ")
            if shown not in self.tokens:
                errors = [{"code": 1000, "title": "CF-InvalidAuthToken", "detail": "Invalid"}]
                return web.json_response({"errors": errors}, status=401)
            if self.limit is not None:
                if self.limit <= 0:
                    return self._limited()
                self.limit -= 1
            if self.status != 200:
                return web.json_response({"errors": []}, status=self.status)
            return answer(request)

        return guarded

    def _limited(self) -> web.Response:
        body = '{"errors":[{"detail":"Rate Limit Exceeded","title":"CF-RateLimitExceeded"}]}'
        headers = {"Retry-After": self.retry_after, "X-RateLimit-Remaining": "0"}
        return web.Response(status=429, text=body, headers=headers)

    def _list(self, request: web.Request) -> web.Response:
        kind = request.path.rpartition("/")[2]
        number = int(request.query.get("page", "1"))
        size = min(self.page, int(request.query.get("per_page", "50")))
        everything = list(self.kinds[kind].values())
        begin = (number - 1) * size
        here = everything[begin : begin + size]
        has_more = begin + size < len(everything)
        following = f"{self.url}/v3/{kind}?page={number + 1}&per_page={size}"
        pagination = {
            "total_results": len(everything),
            "total_pages": -(-len(everything) // size) or 1,
            "first": {"href": f"{self.url}/v3/{kind}?page=1&per_page={size}"},
            "next": {"href": following} if has_more else None,
            "previous": None,
        }
        response = web.json_response({"pagination": pagination, "resources": here})
        self.between_pages(request.path_qs)
        return response

    def _revision(self, request: web.Request) -> web.Response:
        version = self.revisions.get(request.match_info["guid"])
        if version is None:
            return web.json_response({"errors": []}, status=404)
        return web.json_response({"guid": request.match_info["guid"], "version": version})

    def _policies(self, request: web.Request) -> web.Response:
        if self.policies is None:
            return web.json_response({"error": "network.write"}, status=403)
        total = len(self.policies)
        return web.json_response({"total_policies": total, "policies": self.policies})


def policy(source: str, destination: str, port: int = 8080) -> Resource:
    ports = {"start": port, "end": port}
    return {
        "source": {"id": source},
        "destination": {"id": destination, "protocol": "tcp", "ports": ports},
    }


def guids(paths: Iterable[str]) -> list[str]:
    """The questions without their parameters, once each."""
    return list(dict.fromkeys(path.partition("?")[0] for path in paths))
