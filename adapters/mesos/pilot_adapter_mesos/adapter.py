"""The adapter `mesos`: one subscription to the leading master's events, and lists in between.

Rule 1: the stream does not tell everything (lost agents, drains, addresses that change): tasks and
agents are listed every `resync`, and what the stream said since the question wins.
Rule 2: no heartbeat for three intervals means that nobody is there, whatever the socket says.
Rule 3: a master that has just taken over is not believed to know all until its agents are back.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, NoReturn

import aiohttp

from pilot_adapter_mesos import attest, detector, maintenance
from pilot_adapter_mesos.cluster import Cluster, TaskKey
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.detector import Detector
from pilot_adapter_mesos.json_wire import JsonWire
from pilot_adapter_mesos.marathon import Marathons
from pilot_adapter_mesos.master import Master
from pilot_adapter_mesos.messages import Subscribed
from pilot_adapter_mesos.protobuf_wire import ProtobufWire
from pilot_adapter_mesos.publisher import Machines, Publisher
from pilot_adapter_mesos.recordio import Decoder, NotRecords
from pilot_adapter_mesos.wire import NoMessage, Wire
from pilot_core.adapter import Adapter, Host, Sink, Unavailable
from pilot_core.model import Evidence, Workload

_MISSED_HEARTBEATS = 3
_TICK = 1.0
_MARATHON_PATIENCE = 10.0
_AT_ONCE = 100
"""Tasks that are published before the stream is looked at again."""
_LARGE = 1 << 18
"""Bytes of a record that is read in a thread: a snapshot, which nothing has to wait for."""


class Mesos(Adapter):
    """Reads the tasks of a Mesos cluster, whatever frameworks run them."""

    api = 1
    Config = MesosConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._cluster = Cluster(hold=config.hold)
        """Kept over sessions: a new master knows less than was known before."""
        self._marathons = Marathons(config, host, self._unread)
        self._session: _Session | None = None

    async def run(self, sink: Sink) -> NoReturn:
        config = self.config
        wire = (ProtobufWire if config.wire == "protobuf" else JsonWire)(self._unread)
        async with detector.detector(config) as leading:
            master = Master(
                await leading.urls(),
                wire,
                credentials_file=config.credentials_file,
                ca_file=config.ca_file,
            )
            async with master:
                try:
                    await self._follow(master, leading, sink, wire)
                finally:
                    self._session = None
        raise Unavailable("the stream of events has ended")

    async def _follow(self, master: Master, leading: Detector, sink: Sink, wire: Wire) -> None:
        stream = await master.subscribe()
        session = _Session(self._cluster, self._marathons, sink, self.host, wire)
        self._session = session
        async with stream, asyncio.TaskGroup() as group:
            group.create_task(session.follow(stream))
            group.create_task(session.watch())
            group.create_task(session.publish())
            group.create_task(session.relist(master))
            group.create_task(session.tick())
            group.create_task(session.enrich())
            await leading.has_changed()
            raise Unavailable("another master leads now")

    async def attest(self, evidence: Evidence) -> Workload:
        """`pilot_core.adapter.Attestor`: the task that says so, from where it runs."""
        proof = attest.said(evidence)
        if self._session is None or not self._session.has_begun:
            raise Unavailable("no master is heard now")
        return attest.workload(proof, evidence.peer, self._cluster, self.config)

    def _unread(self, what: str, why: str) -> None:
        self.host.metrics.count("unread_objects")
        self.host.log.debug("object makes no sense", extra={"object": what, "error": why})


class _Session:
    """One subscription."""

    def __init__(
        self, cluster: Cluster, marathons: Marathons, sink: Sink, host: Host, wire: Wire
    ) -> None:
        self._cluster, self._marathons, self._sink = cluster, marathons, sink
        self._host, self._wire = host, wire
        self._config = marathons.config
        self._publisher = Publisher(cluster, self._config, sink, marathons.extra)
        self._has_begun, self._news = asyncio.Event(), asyncio.Event()
        self._patience = 15.0 * _MISSED_HEARTBEATS
        self._heard_at = host.clock.monotonic()

    @property
    def has_begun(self) -> bool:
        return self._has_begun.is_set()

    async def follow(self, stream: aiohttp.ClientResponse) -> NoReturn:
        """Take events until the stream ends. Raises Unavailable."""
        records = Decoder()
        while True:
            data = await stream.content.readany()
            self._heard_at = self._host.clock.monotonic()
            if not data:
                raise Unavailable("the master has ended the stream of events")
            try:
                for record in records.feed(data):
                    await self._take(record)
            except NotRecords as error:
                raise Unavailable(f"not a stream of events: {error}") from None

    async def watch(self) -> NoReturn:
        """Give up a stream that is silent. Raises Unavailable."""
        while True:
            silence = self._host.clock.monotonic() - self._heard_at
            if silence >= self._patience:
                raise Unavailable(f"no heartbeat for {self._patience:g} s")
            # In steps, as the master says how long its interval is.
            await self._host.clock.sleep(min(self._patience - silence, _TICK))

    async def _take(self, data: bytes) -> None:
        read = self._wire.record
        try:
            record = await asyncio.to_thread(read, data) if len(data) > _LARGE else read(data)
        except NoMessage as error:
            self._host.metrics.count("unread_events")
            self._host.log.warning("event makes no sense", extra={"error": str(error)})
            return
        now = self._host.clock.monotonic()
        if isinstance(record, Subscribed):
            self._patience = record.heartbeat_interval_seconds * _MISSED_HEARTBEATS
            self._cluster.begin(record.get_state, now)
            self._has_begun.set()
        elif not self._cluster.apply(record, now):
            self._host.metrics.count("unknown_events")
        self._news.set()

    async def publish(self) -> NoReturn:
        """Tell the sink what is new, a little at a time: the stream is never left waiting."""
        await self._has_begun.wait()
        # Without their schedulers' word, tasks that are not well yet would look as if they were.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MARATHON_PATIENCE):
                await self._marathons.have_been_asked()
        while True:
            await self._news.wait()
            self._news.clear()
            is_more = True
            while is_more:
                is_more = self._publisher.publish_some(_AT_ONCE)
                await asyncio.sleep(0)
            self._say_how_far()

    def _say_how_far(self) -> None:
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
            try:
                # In a thread: of a large cluster they take longer than an event may wait.
                said = await master.ask("GET_TASKS")
                tasks = await asyncio.to_thread(self._wire.tasks, said)
                said = await master.ask("GET_AGENTS")
                agents = await asyncio.to_thread(self._wire.agents, said)
                executors = self._wire.executors(await master.ask("GET_EXECUTORS"))
                machines = await self._maintenance(master)
            except NoMessage as error:
                raise Unavailable(f"an answer makes no sense: {error}") from None
            now = self._host.clock.monotonic()
            self._cluster.resync(tasks, agents, asked_at, now)
            self._cluster.take_executors(executors)
            self._publisher.maintain(machines)
            self._news.set()
            await self._host.clock.sleep(self._config.resync)

    async def _maintenance(self, master: Master) -> Machines:
        """Machines count as draining from the moment that their maintenance is planned: those whose
        time has not come yet are left out."""
        status = self._wire.maintenance(await master.ask("GET_MAINTENANCE_STATUS"))
        draining = {each.id.hostname for each in status.draining_machines}
        if draining:
            planned = self._wire.schedule(await master.ask("GET_MAINTENANCE_SCHEDULE"))
            draining -= maintenance.not_yet(
                planned, self._host.clock.now() + self._config.drain_before
            )
        return Machines(frozenset(draining), frozenset(m.hostname for m in status.down_machines))

    async def enrich(self) -> None:
        """Take over what Marathons say of tasks."""

        def changed(keys: set[TaskKey]) -> None:
            self._cluster.changed |= keys & self._cluster.tasks.keys()
            self._news.set()

        def say(url: str, problem: str) -> None:
            source = f"marathon/{url}"
            self._sink.drop(source)
            if problem:
                self._sink.note(problem, source=source)

        if self._config.marathon:
            await self._marathons.run(changed, say)

    async def tick(self) -> NoReturn:
        """Let go of what has been waited for long enough."""
        await self._has_begun.wait()
        while True:
            wait = self._cluster.expire(self._host.clock.monotonic())
            self._news.set()
            await self._host.clock.sleep(_TICK if wait is None else max(min(wait, _TICK), 0.05))
