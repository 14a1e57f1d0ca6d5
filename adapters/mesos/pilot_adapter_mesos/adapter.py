"""The adapter `mesos`: one subscription to the leading master's events, and lists in between.

Rule 1: the stream does not tell everything (lost agents, drains, addresses that change): tasks and
agents are listed every `resync`, and what the stream said since the question wins.
Rule 2: no heartbeat for three intervals means that nobody is there, whatever the socket says.
Rule 3: a master that has just taken over is not believed to know all until its agents are back.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import aiohttp
import msgspec

from pilot_adapter_mesos.cluster import Cluster
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.master import Master
from pilot_adapter_mesos.messages import ClusterStatus, Event, GetAgents, GetTasks
from pilot_adapter_mesos.publisher import Publisher
from pilot_adapter_mesos.recordio import Decoder, NotRecords
from pilot_core.adapter import Adapter, Host, Sink, Unavailable

_MISSED_HEARTBEATS = 3
_TICK = 1.0
_event = msgspec.json.Decoder(Event)


class _Tasks(msgspec.Struct, frozen=True):
    get_tasks: GetTasks = GetTasks()


class _Agents(msgspec.Struct, frozen=True):
    get_agents: GetAgents = GetAgents()


class _Status(msgspec.Struct, frozen=True):
    status: ClusterStatus = ClusterStatus()


class _Maintenance(msgspec.Struct, frozen=True):
    get_maintenance_status: _Status = _Status()


class Mesos(Adapter):
    """Reads the tasks of a Mesos cluster, whatever frameworks run them."""

    api = 1
    Config = MesosConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._cluster = Cluster(hold=config.hold, unread=self._unread)
        """Kept over sessions: a new master knows less than was known before."""

    async def run(self, sink: Sink) -> NoReturn:
        config = self.config
        master = Master(config.masters, credentials=config.credentials_file, ca_file=config.ca_file)
        async with master:
            stream = await master.subscribe()
            session = _Session(self._cluster, config, sink, self.host)
            async with stream, asyncio.TaskGroup() as group:
                group.create_task(session.follow(stream))
                group.create_task(session.relist(master))
                group.create_task(session.tick())
        raise Unavailable("the stream of events has ended")

    def _unread(self, what: str, why: str) -> None:
        self.host.metrics.count("unread_objects")
        self.host.log.debug("object makes no sense", extra={"object": what, "error": why})


class _Session:
    """One subscription."""

    def __init__(self, cluster: Cluster, config: MesosConfig, sink: Sink, host: Host) -> None:
        self._cluster, self._config, self._sink, self._host = cluster, config, sink, host
        self._publisher = Publisher(cluster, config, sink)
        self._has_begun = asyncio.Event()
        self._patience = 15.0 * _MISSED_HEARTBEATS

    async def follow(self, stream: aiohttp.ClientResponse) -> NoReturn:
        """Take events until the stream ends. Raises Unavailable."""
        records = Decoder()
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    data = await stream.content.readany()
            except TimeoutError:
                raise Unavailable(f"no heartbeat for {self._patience:g} s") from None
            if not data:
                raise Unavailable("the master has ended the stream of events")
            try:
                for record in records.feed(data):
                    self._take(record)
            except NotRecords as error:
                raise Unavailable(f"not a stream of events: {error}") from None
            self._publish()

    def _take(self, record: bytes) -> None:
        now = self._host.clock.monotonic()
        try:
            event = _event.decode(record)
        except msgspec.MsgspecError as error:
            self._host.metrics.count("unread_events")
            self._host.log.warning("event makes no sense", extra={"error": str(error)})
            return
        if event.subscribed is not None:
            self._patience = event.subscribed.heartbeat_interval_seconds * _MISSED_HEARTBEATS
            self._cluster.begin(event.subscribed.get_state, now)
            self._has_begun.set()
        elif not self._cluster.apply(event, now):
            self._host.metrics.count("unknown_events")

    def _publish(self) -> None:
        if not self._has_begun.is_set():
            return
        self._publisher.publish()
        if self._cluster.is_suspicious:
            self._sink.warn(
                "the master shows no framework, where there were some: has a right to view them "
                "been taken away? what was known stays",
                source="cluster",
            )
        elif not self._cluster.recovered:
            self._sink.drop("cluster")
            self._sink.synced()

    async def relist(self, master: Master) -> NoReturn:
        """Ask for tasks, agents and maintenance every now and then."""
        await self._has_begun.wait()
        while True:
            asked_at = self._cluster.heard
            tasks = msgspec.json.decode(await master.ask("GET_TASKS"), type=_Tasks)
            agents = msgspec.json.decode(await master.ask("GET_AGENTS"), type=_Agents)
            said = await master.ask("GET_MAINTENANCE_STATUS")
            status = msgspec.json.decode(said, type=_Maintenance).get_maintenance_status.status
            now = self._host.clock.monotonic()
            self._cluster.resync(tasks.get_tasks, agents.get_agents, asked_at, now)
            machines = {each.id.hostname for each in status.draining_machines}
            self._publisher.drain(frozenset(machines | {m.hostname for m in status.down_machines}))
            self._publish()
            await self._host.clock.sleep(self._config.resync)

    async def tick(self) -> NoReturn:
        """Let go of what has been waited for long enough."""
        await self._has_begun.wait()
        while True:
            wait = self._cluster.expire(self._host.clock.monotonic())
            self._publish()
            await self._host.clock.sleep(_TICK if wait is None else max(min(wait, _TICK), 0.05))
