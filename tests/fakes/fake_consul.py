"""A scripted Consul: a catalogue, keys and configuration entries, and whatever fault a test wants.

It answers as a real one does as far as the adapter looks (`test_consul_fake.py` asks both the same
questions), and lies, stalls and fails on command, which a real one does not:

    async with FakeConsul() as consul:
        await register(consul, "web")
        consul.fault = lambda request: web.Response(status=500)
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiohttp import web

from server_process import Json, Server, free_ports

Fault: TypeAlias = Callable[[web.Request], Any]
"""Gives a response, None for the usual one, or awaits something first."""

_STATES = ("passing", "warning", "critical")
_JITTER = 16


class FakeConsul(Server):
    """Its writes are those of `consul_catalogue`; `process` is itself, as far as tests kill it."""

    def __init__(self, name: str = "server-1") -> None:
        super().__init__()
        self.name = name
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.fault: Fault | None = None
        self.asked: Counter[str] = Counter()
        """How often each path was asked for."""
        self.hold = 0.0
        """Seconds by which an answer is late."""
        self.held: Counter[str] = Counter()
        """How many questions for each path wait for a change."""
        self.index = 10
        self._rewinds = 0
        self.open = 0
        """Requests that are being answered."""
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()
        self._nodes: dict[str, Json] = {}
        self._services: dict[tuple[str, str], Json] = {}
        self._checks: dict[tuple[str, str], Json] = {}
        self._touched: dict[str, int] = {}
        """The index of the last change of each service, listing, key or entry."""
        self._keys: dict[str, Json] = {}
        self._entries: dict[tuple[str, str], Json] = {}
        self._add({"Node": name, "Address": "127.0.0.1"})
        self._add({"Node": name, "Service": {"ID": "consul", "Service": "consul", "Port": 8300}})

    @property
    def process(self) -> FakeConsul:
        return self

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def kill(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _start(self) -> None:
        await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()
        await super().__aexit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        return await super().__aenter__()

    # Requests

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            self.asked[request.path] += 1
        self.open += 1
        try:
            if self.fault is not None:
                lie = self.fault(request)
                lie = await lie if asyncio.iscoroutine(lie) else lie
                if lie is not None:
                    return lie  # type: ignore[no-any-return]  # what the test's fault gives
            if request.method == "GET":
                answer = await self._read(request)
                await asyncio.sleep(self.hold)
                return answer
            return await self._write(request)
        finally:
            self.open -= 1

    async def _read(self, request: web.Request) -> web.Response:
        path, query = request.path, request.query
        if "index" in query:
            wait = float(query.get("wait", "300s").removesuffix("s"))
            await self._blocked(path, int(query["index"]), wait * (1 + 1 / _JITTER))
        status, body = self._answer(path)
        return self.reply(body, index=self._index_of(path), status=status)

    async def _blocked(self, path: str, index: int, longest: float) -> None:
        rewinds = self._rewinds

        def is_over() -> bool:
            # A snapshot that is restored answers all that is held.
            return self._index_of(path) > index or self._rewinds > rewinds

        self.held[path] += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest), self._changed:
                    await self._changed.wait_for(is_over)
        finally:
            self.held[path] -= 1

    async def rewind(self) -> None:
        """All indexes go back, as after a snapshot was restored."""
        self._rewinds += 1
        self.index = 3
        self._touched = dict.fromkeys(self._touched, 3)
        async with self._changed:
            self._changed.notify_all()

    def reply(
        self, body: Json, *, index: int | None, status: int = 200, **headers: str
    ) -> web.Response:
        """As Consul would send it."""
        said = {"X-Consul-KnownLeader": "true", "X-Consul-LastContact": "0"}
        if index is not None:
            said["X-Consul-Index"] = str(index)
        said |= {f"X-Consul-{key.replace('_', '-')}": value for key, value in headers.items()}
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers=said, content_type="application/json")

    def _answer(self, path: str) -> tuple[int, Json]:
        head, _, name = path.rpartition("/")
        if path == "/v1/catalog/services":
            return 200, {service["Service"]: [] for service in self._services.values()}
        if path == "/v1/status/leader":
            return 200, "127.0.0.1:8300" if self.running else ""
        if path == "/v1/catalog/nodes":
            return 200, list(self._nodes.values())
        if head == "/v1/health/service":
            return 200, self.instances(name)
        if head == "/v1/health/state":
            return 200, [check for check in self._checks.values() if check["Status"] == name]
        if head == "/v1/config":
            found = [entry for (kind, _), entry in self._entries.items() if kind == name]
            return 200, found
        if path.startswith("/v1/kv/"):
            prefix = path.removeprefix("/v1/kv/")
            pairs = [pair for key, pair in sorted(self._keys.items()) if key.startswith(prefix)]
            return (200, pairs) if pairs else (404, "")
        if path == "/v1/connect/ca/roots":
            return 200, {"TrustDomain": "fake.consul", "Roots": []}
        return 404, f"the fake knows no {path}"

    def instances(self, name: str) -> Json:
        """What `/v1/health/service/NAME` says."""
        return [
            {
                "Node": {"Datacenter": "dc1", **self._nodes[node]},
                "Service": service,
                "Checks": [
                    check
                    for (where, _), check in self._checks.items()
                    if where == node and check["ServiceID"] in ("", service["ID"])
                ],
            }
            for (node, _), service in self._services.items()
            if service["Service"] == name
        ]

    # Writes

    async def _write(self, request: web.Request) -> web.Response:
        body = await request.text()
        path = request.path
        if path == "/v1/catalog/register":
            self._add(json.loads(body))
        elif path == "/v1/catalog/deregister":
            self._remove(json.loads(body))
        elif path == "/v1/txn":
            for operation in json.loads(body):
                self._add(operation["Service"])
        elif path == "/v1/config":
            entry = json.loads(body)
            self._entries[entry["Kind"], entry["Name"]] = entry
            self._touch(f"/v1/config/{entry['Kind']}")
        elif path.startswith("/v1/config/"):
            _, _, _, kind, name = path.split("/")
            self._entries.pop((kind, name), None)
            self._touch(f"/v1/config/{kind}")
        elif path.startswith("/v1/kv/"):
            self._write_key(request, path.removeprefix("/v1/kv/"), body)
        else:
            return web.Response(status=404, text=f"the fake takes no {path}")
        async with self._changed:
            self._changed.notify_all()
        return web.json_response(True)

    def _write_key(self, request: web.Request, key: str, body: str) -> None:
        if request.method == "DELETE":
            is_all = "recurse" in request.query
            for name in [n for n in self._keys if n == key or (is_all and n.startswith(key))]:
                del self._keys[name]
        else:
            value = base64.b64encode(body.encode()).decode()
            self._keys[key] = {"Key": key, "Value": value, "ModifyIndex": self.index + 1}
        self._touch("/v1/kv/")

    def _add(self, said: Mapping[str, Any]) -> None:
        node = said["Node"]
        if "Address" in said or node not in self._nodes:
            self._nodes[node] = {"Node": node, "Address": said.get("Address", "")}
        service = said.get("Service")
        if service:
            service = {"ID": service.get("ID") or service["Service"], "Kind": "", **service}
            self._services[node, service["ID"]] = service
        single = [said["Check"]] if said.get("Check") else []
        for check in (*(said.get("Checks") or ()), *single):
            self._check(node, {"ServiceID": "", **check})
        self._touch_node(node, None if service is None else service["Service"])
        if service:
            self._touch("/v1/catalog/services")

    def _check(self, node: str, check: Json) -> None:
        service = self._services.get((node, check["ServiceID"]))
        check = {**check, "Node": node, "ServiceName": service["Service"] if service else ""}
        self._checks[node, check["CheckID"]] = check
        if service:
            self._touch(f"/v1/health/service/{service['Service']}")

    def _remove(self, said: Mapping[str, Any]) -> None:
        node, wanted = said["Node"], said.get("ServiceID")
        gone = [k for k in self._services if k[0] == node and wanted in (None, k[1])]
        for key in gone:
            self._touch(f"/v1/health/service/{self._services.pop(key)['Service']}")
            for check in [c for c, v in self._checks.items() if c[0] == node]:
                if self._checks[check]["ServiceID"] in (key[1], *([] if wanted else [""])):
                    del self._checks[check]
        if wanted is None:
            self._nodes.pop(node, None)
        self._touch("/v1/catalog/services")

    def _touch_node(self, node: str, only: str | None) -> None:
        """A node that changes touches all services on it."""
        names = {s["Service"] for (where, _), s in self._services.items() if where == node}
        for name in names if only is None else {only}:
            self._touch(f"/v1/health/service/{name}")

    def _touch(self, path: str) -> None:
        self.index += 1
        self._touched[path] = self.index
        for state in _STATES:
            self._touched[f"/v1/health/state/{state}"] = self.index

    def _index_of(self, path: str) -> int:
        if path.startswith("/v1/kv/"):
            path = "/v1/kv/"
        # Of what there is not, the index of everything, as Consul has it.
        is_absent = re.match("/v1/health/service/", path) and not self.instances(
            path.rpartition("/")[2]
        )
        return self.index if is_absent else self._touched.get(path, 1)
