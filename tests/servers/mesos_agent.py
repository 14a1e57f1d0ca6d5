"""A scripted agent: it speaks an agent's part to a real master, and runs nothing.

Tests say what its tasks do. A message of libprocess is a POST to `/PROCESS/MESSAGE` with a protobuf
body and the sender's address in `Libprocess-From`; nobody waits for its answer.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

import mesos_messages
from mesos_server import MesosMaster
from server_process import PATIENCE, wait_for

HEALTH_CHANGED = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
_PACKAGE = "mesos.internal."
_CAPABILITIES = ("MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING")
_COPIED = ("labels", "discovery", "container", "health_check")


class _Task:
    def __init__(self, framework_id: str, info: Any) -> None:
        self.framework_id, self.info = framework_id, info
        self.state, self.last = "TASK_STAGING", None


class MesosAgent:
    """`async with`: registered within. Tasks stay in staging until a test says otherwise."""

    def __init__(self, master: MesosMaster, hostname: str, ip: str = "127.0.0.11") -> None:
        self.hostname, self.ip, self.port, self.id = hostname, ip, 0, ""
        self.tasks: dict[str, _Task] = {}
        """By task id."""
        self._master, self._is_silent = master, False
        self._frameworks: dict[str, Any] = {}
        self._is_registered, self._http = asyncio.Event(), aiohttp.ClientSession()
        self._launched = asyncio.Condition()
        app = web.Application()
        app.router.add_post("/{process}/{message}", self._hear)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)

    async def __aenter__(self) -> MesosAgent:
        await self._runner.setup()
        await web.TCPSite(self._runner, self.ip, 0).start()
        self.port = self._runner.addresses[0][1]
        await self._join(self._make("RegisterSlaveMessage", slave=self._info(), version="1.11.0"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        await self._http.close()

    # Coming and going

    async def reregister(
        self, *, without: Sequence[str] = (), master: MesosMaster | None = None
    ) -> None:
        """Come back under the same id, with all tasks that live but those `without`; at another
        master, if one is named."""
        self._master = master or self._master
        self._is_silent = False
        for id in without:
            del self.tasks[id]
        message = self._make("ReregisterSlaveMessage", slave=self._info(), version="1.11.0")
        message.frameworks.extend(self._frameworks.values())
        message.tasks.extend(self._told(task) for task in self.tasks.values())
        await self._join(message)

    async def unregister(self) -> None:
        await self._send(self._make("UnregisterSlaveMessage", slave_id={"value": self.id}))

    def fall_silent(self) -> None:
        """Answer no pings until `reregister`."""
        self._is_silent = True

    # Tasks

    async def has(self, id: str) -> None:
        """Wait until the task has been launched here."""
        async with asyncio.timeout(PATIENCE), self._launched:
            await self._launched.wait_for(lambda: id in self.tasks)

    async def run(self, id: str, ip: str = "", **more: Any) -> None:
        """Wait until it has been launched, and say that it runs, at this address of its own."""
        await self.has(id)
        await self.update(id, "TASK_RUNNING", ip=ip or self.ip, **more)

    async def update(
        self,
        id: str,
        state: str,
        *,
        ip: str = "",
        container: str = "",
        healthy: bool | None = None,
        reason: str = "",
        words: str = "",
    ) -> None:
        """A status of the task. Within one state, the master's stream tells of it only where
        the reason is one of a check."""
        task = self.tasks[id]
        number = self._state(state)
        now, key = time.time(), uuid.uuid4().bytes
        update = self._make("StatusUpdate", timestamp=now, uuid=key, latest_state=number)
        update.framework_id.value, update.slave_id.value = task.framework_id, self.id
        status = update.status
        status.task_id.value, status.slave_id.value = id, self.id
        status.state, status.timestamp, status.uuid = number, now, key
        status.source = (
            status.DESCRIPTOR.enum_types_by_name["Source"].values_by_name["SOURCE_EXECUTOR"].number
        )
        if ip:
            status.container_status.network_infos.add().ip_addresses.add(ip_address=ip)
        if words:
            status.message = words
        if container:
            status.container_status.container_id.value = container
        if healthy is not None:
            status.healthy = healthy
        if reason:
            reasons = status.DESCRIPTOR.enum_types_by_name["Reason"].values_by_name
            status.reason = reasons[reason].number
        task.state, task.last = state, status
        await self._send(self._make("StatusUpdateMessage", update=update, pid=self._pid))

    async def end(self, id: str, state: str = "TASK_KILLED") -> None:
        """Its last status."""
        await self.update(id, state)
        del self.tasks[id]

    def _told(self, task: _Task) -> Any:
        """How a task is told of when the agent comes back."""
        info = task.info
        made = mesos_messages.message(self._master.library, "mesos.Task")(
            name=info.name, state=self._state(task.state)
        )
        made.task_id.CopyFrom(info.task_id)
        made.framework_id.value, made.slave_id.value = task.framework_id, self.id
        made.resources.extend(info.resources)
        for field in _COPIED:
            if info.HasField(field):
                getattr(made, field).CopyFrom(getattr(info, field))
        if task.last is not None:
            made.statuses.append(task.last)
            made.status_update_state, made.status_update_uuid = made.state, task.last.uuid
        return made

    # Messages

    @property
    def _pid(self) -> str:
        return f"slave(1)@{self.ip}:{self.port}"

    def _make(self, name: str, **fields: Any) -> Any:
        return mesos_messages.message(self._master.library, _PACKAGE + name)(**fields)

    def _state(self, name: str) -> int:
        field = self._make("StatusUpdate").DESCRIPTOR.fields_by_name["latest_state"]
        return int(field.enum_type.values_by_name[name].number)

    def _info(self) -> Any:
        info = mesos_messages.message(self._master.library, "mesos.SlaveInfo")(
            hostname=self.hostname, port=self.port, checkpoint=True
        )
        for name, amount in (("cpus", 8), ("mem", 8192)):
            info.resources.add(name=name, type=0).scalar.value = amount
        ports = info.resources.add(name="ports", type=1)
        ports.ranges.range.add(begin=31000, end=32000)
        domain = info.domain.fault_domain
        domain.region.name, domain.zone.name = "r1", f"zone-of-{self.hostname}"
        if self.id:
            info.id.value = self.id
        return info

    async def _join(self, message: Any) -> None:
        """Ask until it is accepted, as an agent does: a master may be still recovering."""
        kinds = mesos_messages.message(self._master.library, "mesos.SlaveInfo.Capability").Type
        for name in _CAPABILITIES:
            message.agent_capabilities.add(type=kinds.Value(name))
        self._is_registered.clear()

        async def is_accepted() -> bool:
            await self._send(message)
            async with asyncio.timeout(5):
                return await self._is_registered.wait()

        await wait_for(is_accepted, f"{self.hostname} to be accepted")

    async def _send(self, message: Any, to: str = "master") -> None:
        target = f"{self._master.url}/{to}/{message.DESCRIPTOR.full_name}"
        headers = {"Libprocess-From": self._pid, "Content-Type": "application/x-protobuf"}
        data = message.SerializeToString()
        async with self._http.post(target, data=data, headers=headers) as answer:
            answer.raise_for_status()

    async def _hear(self, request: web.Request) -> web.Response:
        name, body = request.match_info["message"].removeprefix(_PACKAGE), await request.read()
        if name == "PingSlaveMessage" and not self._is_silent:
            sender = request.headers.get("Libprocess-From") or request.headers["User-Agent"]
            process = sender.removeprefix("libprocess/").partition("@")[0]
            await self._send(self._make("PongSlaveMessage"), process)
        elif name in ("SlaveRegisteredMessage", "SlaveReregisteredMessage"):
            self.id = self._read(name, body).slave_id.value
            self._is_registered.set()
        elif name == "RunTaskMessage":
            said = self._read(name, body)
            framework = said.framework.id.value
            self._frameworks[framework] = said.framework
            async with self._launched:
                self.tasks[said.task.task_id.value] = _Task(framework, said.task)
                self._launched.notify_all()
        elif name == "ShutdownFrameworkMessage":
            gone = self._read(name, body).framework_id.value
            self._frameworks.pop(gone, None)
            self.tasks = {k: t for k, t in self.tasks.items() if t.framework_id != gone}
        return web.Response(status=202)

    def _read(self, name: str, body: bytes) -> Any:
        return mesos_messages.message(self._master.library, _PACKAGE + name).FromString(body)
