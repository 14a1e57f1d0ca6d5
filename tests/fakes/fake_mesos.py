"""A Mesos master for the faults that a real one does not produce on command.

Its messages have the form of recorded ones; a test compares them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

FRAMEWORK, AGENT = "fw-0001", "agent-0001"
_AGENT_IP = "127.0.0.11"
_ACCEPTING = 5
"""Turns of the loop until a connection that was just accepted is known to the server: one that the
server does not know when it closes, is never closed."""
Message = dict[str, Any]


def framework(name: str = "shop", id: str = FRAMEWORK) -> Message:
    info = {"user": "root", "name": name, "id": {"value": id}, "roles": ["dev"]}
    return {"framework_info": info, "active": True, "connected": True, "recovered": False}


def agent(id: str = AGENT, ip: str = _AGENT_IP, **more: Any) -> Message:
    domain = {"fault_domain": {"region": {"name": "r1"}, "zone": {"name": "z1"}}}
    info = {"hostname": id, "port": 5051, "id": {"value": id}, "domain": domain}
    return {"agent_info": info, "active": True, "pid": f"slave(1)@{ip}:5051", **more}


def task(id: str, name: str, ip: str, *, state: str = "TASK_RUNNING", **more: Any) -> Message:
    """A task in a container network, with one port."""
    labels = {"labels": [{"key": "network-scope", "value": "container"}]}
    port = {"number": 80, "name": "http", "protocol": "tcp", "labels": labels}
    discovery = {"visibility": "FRAMEWORK", "name": name, "ports": {"ports": [port]}}
    made = {
        "name": name,
        "task_id": {"value": id},
        "framework_id": {"value": FRAMEWORK},
        "agent_id": {"value": AGENT},
        "state": state,
        "resources": [],
        "statuses": [status(id, state, ip)],
        "discovery": discovery,
    }
    return {**made, **more}


def status(id: str, state: str, ip: str = "", **more: Any) -> Message:
    made: Message = {
        "task_id": {"value": id},
        "state": state,
        "source": "SOURCE_EXECUTOR",
        "agent_id": {"value": AGENT},
        "timestamp": 1795370874.6,
        "uuid": "AAAA",
    }
    if ip:
        addresses = [{"protocol": "IPv4", "ip_address": ip}]
        made["container_status"] = {"network_infos": [{"ip_addresses": addresses}]}
    return {**made, **more}


def updated(id: str, state: str, **more: Any) -> Message:
    said = status(id, state, **more)
    update = {"framework_id": {"value": FRAMEWORK}, "status": said, "state": state}
    return {"type": "TASK_UPDATED", "task_updated": update}


def record(message: Message) -> bytes:
    payload = json.dumps(message).encode()
    return b"%d\n%s" % (len(payload), payload)


class FakeMaster:
    """One master on a loopback port; `async with`. What it knows are its public fields."""

    def __init__(self, *, heartbeat: float = 15.0) -> None:
        self.tasks: dict[str, Message] = {}
        self.unreachable: dict[str, Message] = {}
        self.agents: dict[str, Message] = {AGENT: agent()}
        self.recovered: list[Message] = []
        self.frameworks: list[Message] = [framework()]
        self.executors: list[Message] = []
        self.maintenance: Message = {}
        self.windows: list[Message] = []
        self.authorization = ""
        """What requests have to carry; empty for anything."""
        self.redirect = ""
        """The `Location` of another master that leads."""
        self.status = 200
        """What it answers instead, such as 503."""
        self.asked: list[str] = []
        self.streams: set[asyncio.Queue[bytes | None]] = set()
        self.heartbeat = heartbeat
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> FakeMaster:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; started again, at the same port."""
        app = web.Application()
        app.router.add_post("/api/v1", self._answer)
        app.router.add_post("/master/api/v1", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away: streams end, connections are refused."""
        self.end_streams()
        if self._runner is not None:
            for _ in range(_ACCEPTING):
                await asyncio.sleep(0)
            await self._runner.cleanup()
            self._runner = None

    def end_streams(self) -> None:
        for stream in self.streams:
            stream.put_nowait(None)

    def send(self, *messages: Message) -> None:
        """Tell all subscribers."""
        self.send_bytes(b"".join(record(message) for message in messages))

    def send_bytes(self, data: bytes) -> None:
        for stream in self.streams:
            stream.put_nowait(data)

    def set(self, services: Mapping[str, Sequence[str]]) -> None:
        """Run exactly these, a task for each address, and tell subscribers what differs."""
        wanted = {
            f"{n}-{ip}": task(f"{n}-{ip}", n, ip) for n, ips in services.items() for ip in ips
        }
        before, self.tasks = self.tasks, wanted
        for id in before.keys() - wanted.keys():
            self.send(updated(id, "TASK_KILLED"))
        for id, made in wanted.items():
            if before.get(id) != made:
                self.send({"type": "TASK_ADDED", "task_added": {"task": made}})

    def state(self) -> Message:
        return {
            "get_tasks": self._tasks(),
            "get_executors": self._executors(),
            "get_frameworks": {"frameworks": self.frameworks, "completed_frameworks": []},
            "get_agents": self._agents(),
        }

    def _tasks(self) -> Message:
        return {
            "tasks": list(self.tasks.values()),
            "unreachable_tasks": list(self.unreachable.values()),
            "completed_tasks": [],
        }

    def _agents(self) -> Message:
        return {"agents": list(self.agents.values()), "recovered_agents": self.recovered}

    def _executors(self) -> Message:
        return {"executors": self.executors}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        call = (await request.json())["type"]
        self.asked.append(call)
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            return web.Response(status=401, text="401 Unauthorized.")
        if self.redirect:
            return web.Response(status=307, headers={"Location": self.redirect})
        if self.status != 200:
            return web.Response(status=self.status)
        if call == "SUBSCRIBE":
            return await self._subscribe(request)
        answers = {
            "GET_TASKS": self._tasks,
            "GET_AGENTS": self._agents,
            "GET_EXECUTORS": self._executors,
            "GET_MAINTENANCE_STATUS": lambda: {"status": self.maintenance},
            "GET_MAINTENANCE_SCHEDULE": lambda: {"schedule": {"windows": self.windows}},
        }
        return web.json_response({"type": call, call.lower(): answers[call]()})

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.streams.add(stream)
        subscribed = {
            "get_state": self.state(),
            "heartbeat_interval_seconds": self.heartbeat,
        }
        try:
            await response.write(record({"type": "SUBSCRIBED", "subscribed": subscribed}))
            await response.write(record({"type": "HEARTBEAT"}))
            while (data := await stream.get()) is not None:
                await response.write(data)
        finally:
            self.streams.discard(stream)
        return response
