"""A Marathon for tests: a real one is not packaged anywhere that tests could take it from.

It answers as the REST API of 1.4 to 1.11 is documented: `/v2/info`, `/v2/apps` with what is
embedded, `/v2/pods/::status`, `/v2/leader`, and `/v2/events` as server-sent events with CRLF. A
standby answers questions for its leader, and redirects to its events with 302.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

Message = dict[str, Any]


def app(id: str, *tasks: Message, **more: Any) -> Message:
    """An app as `/v2/apps` lists it, on the network of its hosts."""
    made = {
        "id": id,
        "labels": {},
        "networks": [{"mode": "host"}],
        "portDefinitions": [{"port": 10001, "protocol": "tcp", "name": "http", "labels": {}}],
        "requirePorts": False,
        "healthChecks": [],
        "readinessChecks": [],
        "instances": len(tasks),
        "version": "2026-01-01T00:00:00.000Z",
        "deployments": [],
        "readinessCheckResults": [],
        "tasks": list(tasks),
        "tasksStaged": 0,
        "tasksRunning": len(tasks),
        "tasksHealthy": 0,
        "tasksUnhealthy": 0,
    }
    return {**made, **more}


def task(id: str, app_id: str, **more: Any) -> Message:
    made = {
        "id": id,
        "appId": app_id,
        "host": "node-a",
        "slaveId": "agent-0001",
        "ports": [31001],
        "servicePorts": [10001],
        "ipAddresses": [{"ipAddress": "10.0.0.1", "protocol": "IPv4"}],
        "state": "TASK_RUNNING",
        "stagedAt": "2026-01-01T00:00:00.000Z",
        "startedAt": "2026-01-01T00:00:01.000Z",
        "version": "2026-01-01T00:00:00.000Z",
        "localVolumes": [],
        "role": "*",
    }
    return {**made, **more}


def check(protocol: str = "HTTP", **more: Any) -> Message:
    made = {
        "protocol": protocol,
        "path": "/",
        "portIndex": 0,
        "gracePeriodSeconds": 300,
        "intervalSeconds": 60,
        "timeoutSeconds": 20,
        "maxConsecutiveFailures": 3,
        "ignoreHttp1xx": False,
    }
    return {**made, **more}


def result(id: str, *, alive: bool, failures: int = 0, ever: bool = True) -> Message:
    return {
        "instanceId": id,
        "alive": alive,
        "consecutiveFailures": failures,
        "firstSuccess": "2026-01-01T00:01:00.000Z" if ever else None,
        "lastSuccess": "2026-01-01T00:01:00.000Z" if ever else None,
        "lastFailure": None if alive else "2026-01-01T00:02:00.000Z",
        "lastFailureCause": None if alive else "HTTP Status Code 503",
    }


def pod(id: str, *containers: Message, labels: Message | None = None) -> Message:
    """One instance of a pod as `/v2/pods/::status` lists it."""
    instance = f"{id.strip('/').replace('/', '_')}.instance-0001"
    names = [each["name"] for each in containers]
    spec = {
        "id": id,
        "labels": labels or {},
        "version": "2026-01-01T00:00:00.000Z",
        "containers": [{"name": name, "healthCheck": {"tcp": {"endpoint": "x"}}} for name in names],
        "networks": [{"mode": "container", "name": "cni"}],
    }
    return {
        "id": id,
        "spec": spec,
        "status": "STABLE",
        "instances": [{"id": instance, "status": "STABLE", "containers": list(containers)}],
    }


def container(name: str, task_id: str, healthy: bool | None = None) -> Message:
    said = [] if healthy is None else [{"name": "healthy", "value": str(healthy).lower()}]
    return {
        "name": name,
        "status": "TASK_RUNNING",
        "conditions": said,
        "containerId": task_id,
        "endpoints": [{"name": "http", "allocatedHostPort": 31001}],
    }


class FakeMarathon:
    """One node on a loopback port; `async with`. What it knows are its public fields."""

    def __init__(
        self, framework_id: str = "fw-0001", *, leader: FakeMarathon | None = None
    ) -> None:
        self.framework_id = framework_id
        self.leader = leader or self
        self.apps: list[Message] = []
        self.pods: list[Message] | None = []
        """None is a Marathon before 1.4, which has none."""
        self.authorization = ""
        self.status = 200
        self.asked: list[str] = []
        self.streams: set[asyncio.Queue[bytes | None]] = set()
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> FakeMarathon:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; started again, at the same port."""
        application = web.Application()
        application.router.add_get("/v2/{what:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.end_streams()
        if self._runner is not None:
            for _ in range(5):
                await asyncio.sleep(0)
            await self._runner.cleanup()
            self._runner = None

    def end_streams(self) -> None:
        """As a leader that is one no more does, and for consumers that are too slow."""
        for stream in self.streams:
            stream.put_nowait(None)

    def tell(self, event: str = "instance_changed_event", **fields: Any) -> None:
        """Send an event to all who listen."""
        said = {"eventType": event, "timestamp": "2026-01-01T00:00:00.000Z", **fields}
        for stream in self.streams:
            stream.put_nowait(f"event: {event}\r\ndata: {json.dumps(said)}\r\n\r\n".encode())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        what, leader = request.match_info["what"], self.leader
        self.asked.append(what)
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            return web.json_response({"message": "Invalid username or password."}, status=401)
        if self.status != 200:
            return web.json_response(
                {"message": "Could not determine the current leader"}, status=self.status
            )
        if what == "events":
            return await self._events(request)
        answers = {
            "info": lambda: {"frameworkId": leader.framework_id, "name": "marathon"},
            "apps": lambda: {"apps": [self._embedded(each, request) for each in leader.apps]},
            "pods/::status": lambda: leader.pods,
            "leader": lambda: {"leader": f"127.0.0.1:{leader.port}"},
        }
        found = answers[what]() if what in answers else None
        via = {} if leader is self else {"X-Marathon-Via": f"1.1 127.0.0.1:{self.port}"}
        if found is None:
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response(found, headers=via)

    def _embedded(self, said: Message, request: web.Request) -> Message:
        """Tasks and readiness are there only where they are asked for."""
        wanted = {each.replace("app.", "apps.") for each in request.query.getall("embed", [])}
        left_out = set()
        if "apps.tasks" not in wanted:
            left_out.add("tasks")
        if "apps.readiness" not in wanted:
            left_out.add("readinessCheckResults")
        return {key: value for key, value in said.items() if key not in left_out}

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Accept") != "text/event-stream":
            return web.Response(status=405)
        if self.leader is not self:
            return web.Response(
                status=302, headers={"Location": f"{self.leader.url}{request.path_qs}"}
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream;charset=utf-8"})
        await response.prepare(request)
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.streams.add(stream)
        self.tell("event_stream_attached", remoteAddress="127.0.0.1")
        try:
            while (data := await stream.get()) is not None:
                await response.write(data)
        finally:
            self.streams.discard(stream)
        return response
