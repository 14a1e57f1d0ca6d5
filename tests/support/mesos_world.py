"""The adapter `mesos` on a real master: followed over sessions, and compared with the master."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import aiohttp
import msgspec
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.cluster import Cluster
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.json_wire import JsonWire
from pilot_adapter_mesos.publisher import Publisher

from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from pilot_core.adapter import Unavailable
from pilot_core.document import Duration
from pilot_core.model import Record
from pilot_core.testing import RecordingSink, host
from server_process import wait_for

NEVER = 600.0
"""More seconds than a test takes: between listings, where only events are to tell."""
_RETRY = 0.05


class Watched(RecordingSink):
    """Remembers all that has been seen: `seen(hostname)` are its (address, health), each change
    once; `sessions` counts those that have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions = 0
        self._views: list[dict[str, list[tuple[str, str]]]] = [{}]

    def now(self, hostname: str) -> list[tuple[str, str]]:
        return self._views[-1].get(hostname, [])

    def seen(self, hostname: str) -> list[list[tuple[str, str]]]:
        found: list[list[tuple[str, str]]] = []
        for view in self._views:
            if not found or found[-1] != view.get(hostname, []):
                found.append(view.get(hostname, []))
        return found

    def next_session(self) -> None:
        super().next_session()
        self.sessions += 1
        self._changed.set()

    def forget(self) -> None:
        """What has been seen before."""
        self._views = self._views[-1:]

    def put(self, source: str, records: Iterable[Record]) -> None:
        super().put(source, records)
        self._look()

    def drop(self, source: str) -> None:
        super().drop(source)
        self._look()

    @contextlib.contextmanager
    def resync(self, prefix: str) -> Iterator[None]:
        with super().resync(prefix):
            yield
        self._look()

    def synced(self) -> None:
        super().synced()
        self._look()

    def _look(self) -> None:
        self._views.append(
            {
                hostname: sorted(
                    (e.address, e.health.value)
                    for record in self.endpoints(hostname)
                    for e in record.endpoints
                )
                for hostname in self.hostnames
            }
        )


def config(
    master: MesosMaster, resync: float = 0.1, hold: float = NEVER, **more: Any
) -> MesosConfig:
    resync, hold = Duration(resync), Duration(hold)
    return MesosConfig(**{"masters": (master.url,), "resync": resync, "hold": hold, **more})


async def start(
    framework: MesosFramework, agent: MesosAgent, id: str, ip: str, **more: Any
) -> None:
    """A task of the service `web` that runs there."""
    await framework.launch(task(id, "web", 8080, **more), agent)
    await agent.run(id, ip)


@contextlib.asynccontextmanager
async def followed(
    master: MesosMaster, *, resync: float = 0.1, hold: float = NEVER, **more: Any
) -> AsyncIterator[Watched]:
    """What the adapter sees of a master, synced at first."""
    async with following(Mesos(config(master, resync, hold, **more), host())) as sink:
        yield sink


@contextlib.asynccontextmanager
async def following(adapter: Mesos, sink: Watched | None = None) -> AsyncIterator[Watched]:
    """The adapter's view, synced at first; session after session, as the core has them."""
    sink = sink or Watched()
    running = asyncio.create_task(_sessions(adapter, sink))
    try:
        await sink.until(lambda: sink.is_synced)
        yield sink
    finally:
        running.cancel()
        [ended] = await asyncio.gather(running, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            raise ended


async def _sessions(adapter: Mesos, sink: Watched) -> None:
    while True:
        try:
            await adapter.run(sink)
        except* (Unavailable, OSError, aiohttp.ClientError):
            sink.next_session()
        await asyncio.sleep(_RETRY)


async def derived(master: MesosMaster) -> dict[str, tuple[Record, ...]]:
    """What a view has to be, made of all that the master says now and nothing else."""
    said = msgspec.json.encode(await master.ask("GET_STATE"))
    cluster, sink = Cluster(hold=NEVER), RecordingSink()
    cluster.begin(JsonWire(_unread).state(said), 0.0)
    Publisher(cluster, config(master), sink).publish()
    return sink.sources


def _unread(what: str, why: str) -> None:
    raise AssertionError(f"{what} of a real master makes no sense: {why}")


async def assert_as_the_master_says(master: MesosMaster, sink: Watched) -> None:
    """That the view is, or soon becomes, what is derived from the master's whole state."""
    wanted = await derived(master)
    with contextlib.suppress(TimeoutError):
        await sink.until(lambda: sink.sources == wanted)
    assert wanted == sink.sources


async def agents_are(master: MesosMaster, *, known: int, recovered: int) -> None:
    """Wait until the master has so many that it has heard from, and others that it remembers."""

    async def are_there() -> bool:
        said = await master.ask("GET_AGENTS")
        found = (len(said.get("agents", [])), len(said.get("recovered_agents", [])))
        return found == (known, recovered)

    await wait_for(are_there, f"{known} agents and {recovered} recovered ones")


async def forgotten(master: MesosMaster, id: str) -> None:
    """Wait until the end of the task has been acknowledged: its id may be used again."""

    async def is_forgotten() -> bool:
        tasks = (await master.ask("GET_TASKS")).get("tasks", [])
        return all(each["task_id"]["value"] != id for each in tasks)

    await wait_for(is_forgotten, f"the end of {id}")
