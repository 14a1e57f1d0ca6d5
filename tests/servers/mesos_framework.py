"""A small framework on a real master: it launches what a test says, where the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import aiohttp

from mesos_agent import MesosAgent
from mesos_server import MesosMaster
from server_process import PATIENCE, Json

_PATH = "/api/v1/scheduler"
_ROLE = "apps"
_SOON = {"refuse_seconds": 0.1}
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


def task(id: str, name: str, port: int, **more: Json) -> Json:
    """A task with one named port, in a network of its own: what tests say is its address."""
    scope = {"labels": [{"key": "network-scope", "value": "container"}]}
    ports = [{"number": port, "name": "http", "protocol": "tcp", "labels": scope}]
    amounts = {"cpus": 0.01, "mem": 1}
    return {
        "name": name,
        "task_id": {"value": id},
        "resources": [
            {"name": n, "type": "SCALAR", "scalar": {"value": v}} for n, v in amounts.items()
        ],
        "command": {"value": "true"},
        "discovery": {"visibility": "CLUSTER", "name": name, "ports": {"ports": ports}},
        **more,
    }


class MesosFramework:
    """`async with`: subscribed within. Leaving disconnects it; it is not torn down."""

    def __init__(
        self,
        master: MesosMaster,
        name: str,
        *,
        is_partition_aware: bool = True,
        failover_timeout: float = 600.0,
    ) -> None:
        self.name, self.id = name, ""
        aware = ["PARTITION_AWARE"] if is_partition_aware else []
        self._info = {
            "user": "nobody",
            "name": name,
            "roles": [_ROLE],
            "checkpoint": True,
            "failover_timeout": failover_timeout,
            "capabilities": [
                {"type": kind} for kind in ("MULTI_ROLE", "TASK_KILLING_STATE", *aware)
            ],
        }
        self._master, self._stream_id = master, ""
        self._wanted: list[tuple[str, Json]] = []
        self._http = aiohttp.ClientSession(timeout=_NO_LIMIT)
        self._stream: aiohttp.ClientResponse
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> MesosFramework:
        await self.subscribe()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()
        await self._http.close()

    async def subscribe(self, master: MesosMaster | None = None) -> None:
        """Be there; again under the same id; at another master, if one is named."""
        self._master = master or self._master
        await self.disconnect()
        said: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": dict(self._info)}}
        if self.id:
            said["framework_id"] = {"value": self.id}
            said["subscribe"]["framework_info"]["id"] = {"value": self.id}
        answer = await self._http.post(self._master.url + _PATH, json=said)
        answer.raise_for_status()
        self._stream_id = answer.headers["Mesos-Stream-Id"]
        subscribed = await _event(answer.content)
        self.id = subscribed["subscribed"]["framework_id"]["value"]
        self._stream = answer
        self._listening = asyncio.create_task(self._listen(answer.content))

    async def disconnect(self) -> None:
        """Be gone; the tasks go on."""
        if self._listening is not None:
            self._listening.cancel()
            [ended] = await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
            self._stream.close()
            if ended is not None and not isinstance(ended, asyncio.CancelledError):
                raise ended

    async def launch(self, said: Json, agent: MesosAgent) -> None:
        """Launch it with the next offer of this agent, and wait until it is there."""
        await self.launch_all([said], agent)

    async def launch_all(self, said: Iterable[Json], agent: MesosAgent) -> None:
        """The same for many, with one offer."""
        said = list(said)
        self._wanted += ((agent.hostname, each) for each in said)
        await self.call("REVIVE")
        for each in said:
            await agent.has(each["task_id"]["value"])

    async def teardown(self) -> None:
        """Be removed for good, with all tasks."""
        await self.call("TEARDOWN")

    async def call(self, kind: str, **more: Json) -> None:
        said: Json = {"type": kind, "framework_id": {"value": self.id}}
        if more:
            said[kind.lower()] = more
        headers = {"Mesos-Stream-Id": self._stream_id}
        post = self._http.post(self._master.url + _PATH, json=said, headers=headers)
        async with asyncio.timeout(PATIENCE), post as answer:
            answer.raise_for_status()

    async def _listen(self, stream: aiohttp.StreamReader) -> None:
        """Until it is cut, with the master or by us."""
        try:
            while True:
                await self._take(await _event(stream))
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            return
        except asyncio.IncompleteReadError:
            return

    async def _take(self, event: Json) -> None:
        if event["type"] == "OFFERS":
            for offer in event["offers"]["offers"]:
                await self._answer(offer)
        elif event["type"] == "UPDATE" and "uuid" in event["update"]["status"]:
            status = event["update"]["status"]
            names = ("agent_id", "task_id", "uuid")
            await self.call("ACKNOWLEDGE", **{name: status[name] for name in names})

    async def _answer(self, offer: Any) -> None:
        taken = [said for host, said in self._wanted if host == offer["hostname"]]
        self._wanted = [each for each in self._wanted if each[0] != offer["hostname"]]
        offers = [offer["id"]]
        if not taken:
            await self.call("DECLINE", offer_ids=offers, filters=_SOON)
            return
        infos = [_placed(said, offer["agent_id"]) for said in taken]
        launch = {"type": "LAUNCH", "launch": {"task_infos": infos}}
        await self.call("ACCEPT", offer_ids=offers, operations=[launch], filters=_SOON)


def _placed(said: Json, agent_id: Json) -> Json:
    allocated = {"allocation_info": {"role": _ROLE}}
    resources = [{**resource, **allocated} for resource in said["resources"]]
    return {**said, "agent_id": agent_id, "resources": resources}


async def _event(stream: aiohttp.StreamReader) -> Json:
    """The next record: its length in a line, and so many bytes."""
    line = await stream.readline()
    if not line:
        raise asyncio.IncompleteReadError(b"", None)
    return json.loads(await stream.readexactly(int(line)))
