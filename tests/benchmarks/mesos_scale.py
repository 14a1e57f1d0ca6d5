"""What a large Mesos cluster costs to follow: 3,000 tasks of 150 services, 300 changes a second.

    python tests/benchmarks/mesos_scale.py [--tasks 3000] [--services 150] [--rate 300]

A real master with scripted agents in a process of its own, read as JSON and as protobuf; then a
fake one that changes every task once, as fast as the socket takes it. A change is a task that
becomes unhealthy, or healthy again; it has been applied once the sink has been told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in ("", "xds", "adapters/mesos", "tests/support", "tests/servers", "tests/fakes"):
    sys.path.insert(0, str(ROOT / folder))

import fake_mesos  # noqa: E402
from fake_mesos import FakeMaster  # noqa: E402
from pilot_adapter_mesos import Mesos  # noqa: E402
from pilot_adapter_mesos.config import MesosConfig  # noqa: E402

from mesos_agent import HEALTH_CHANGED, MesosAgent  # noqa: E402
from mesos_framework import MesosFramework, task  # noqa: E402
from mesos_server import MesosMaster  # noqa: E402
from pilot_core.document import Duration  # noqa: E402
from pilot_core.model import Health, Record  # noqa: E402
from pilot_core.testing import RecordingSink, host, session  # noqa: E402

AGENTS = 10
RESYNC = 10.0
_LIMIT = 120.0


class Timed(RecordingSink):
    """Remembers when it was told what of each task, and how well it was then."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, list[tuple[bool, float]]] = {}

    def put(self, source: str, records: Iterable[Record]) -> None:
        records = tuple(records)
        super().put(source, records)
        if source.startswith("task/"):
            is_well = records[0].endpoints[0].health is Health.HEALTHY
            self.told.setdefault(source.rpartition("/")[2], []).append((is_well, time.monotonic()))


# The cluster, in a process of its own


async def _real(tasks: int, services: int) -> None:
    async with contextlib.AsyncExitStack() as owned:
        enter = owned.enter_async_context
        master = await enter(MesosMaster())
        shop = await enter(MesosFramework(master, "shop"))
        agents = [
            await enter(MesosAgent(master, f"node-{n}", f"127.0.1.{n + 1}")) for n in range(AGENTS)
        ]
        homes: dict[str, MesosAgent] = {}
        for number, agent in enumerate(agents):
            mine = [f"web.{n}" for n in range(number, tasks, AGENTS)]
            said = [task(id, f"svc-{int(id[4:]) % services}", 8080) for id in mine]
            await shop.launch_all(said, agent)
            for id in mine:
                await agent.run(id, _ip(int(id[4:])))
                homes[id] = agent

        is_well = dict.fromkeys(homes, True)

        async def change(id: str, is_well: bool) -> None:
            ip = _ip(int(id[4:]))
            await homes[id].run(id, ip, healthy=is_well, reason=HEALTH_CHANGED)

        _answer(url=master.url)
        while asked := await asyncio.to_thread(sys.stdin.readline):
            _answer(sent=await _change(is_well, change, **json.loads(asked)))


async def _change(
    is_well: dict[str, bool],
    change: Callable[[str, bool], Coroutine[Any, Any, None]],
    *,
    count: int,
    rate: float,
) -> list[tuple[str, bool, float]]:
    """So many changes a second; each task's turn comes again after all others. When each began."""
    ids, sent = list(is_well), []
    began = time.monotonic()
    pending: set[asyncio.Task[None]] = set()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        id = ids[number % len(ids)]
        is_well[id] = not is_well[id]
        sent.append((id, is_well[id], time.monotonic()))
        pending.add(asyncio.create_task(change(id, is_well[id])))
        pending = {each for each in pending if not each.done()}
    await asyncio.gather(*pending)
    return sent


async def _fake(tasks: int, services: int) -> None:
    async with FakeMaster() as master:
        for number in range(tasks):
            made = fake_mesos.task(f"web.{number}", f"svc-{number % services}", _ip(number))
            master.tasks[f"web.{number}"] = made
        _answer(url=master.url)
        while await asyncio.to_thread(sys.stdin.readline):
            sent = []
            for id in list(master.tasks):
                more = {"healthy": False, "reason": HEALTH_CHANGED}
                sent.append((id, False, time.monotonic()))
                master.send(fake_mesos.updated(id, "TASK_RUNNING", **more))
                await asyncio.sleep(0)
            while any(not stream.empty() for stream in master.streams):
                await asyncio.sleep(0.001)
            _answer(sent=sent)


def _ip(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def _answer(**said: object) -> None:
    print(json.dumps(said), flush=True)


# What reads it, and is measured


class Cluster:
    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process, self.url = process, url

    async def change(self, count: int, rate: float) -> list[tuple[str, bool, float]]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"count": count, "rate": rate}).encode() + b"\n")
        sent = json.loads(await self._process.stdout.readline())["sent"]
        return [(id, is_well, at) for id, is_well, at in sent]


@contextlib.asynccontextmanager
async def cluster(kind: str, options: argparse.Namespace) -> AsyncIterator[Cluster]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        *("--serve", kind, "--tasks", str(options.tasks), "--services", str(options.services)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield Cluster(process, json.loads(await process.stdout.readline())["url"])
    finally:
        process.stdin.close()
        await process.wait()


async def follow(made: Cluster, wire: str, options: argparse.Namespace) -> tuple[int, float]:
    """One reader: it syncs, follows the changes, and is asked what it took. The resident bytes
    after, and the highest of the times that a change took, in seconds."""
    config = MesosConfig(masters=(made.url,), wire=wire, resync=Duration(RESYNC))
    sink, gap = Timed(), Gap()
    began, used = time.monotonic(), time.process_time()
    async with session(Mesos(config, host()), sink):
        while not sink.is_synced:
            await asyncio.sleep(0.01)
        _say("synced", time.monotonic() - began, time.process_time() - used)
        assert len(sink.sources) == options.tasks + options.services
        sink.told.clear()
        gc.collect()
        before, used = _resident(), time.process_time()
        async with gap:
            sent = await made.change(int(options.rate * options.seconds), options.rate)
            wall = sent[-1][2] - sent[0][2]
            taken = await _taken(sink, sent)
        cost = time.process_time() - used
    after = _resident()
    p99 = taken[int(len(taken) * 0.99)]
    _say(f"{len(sent)} changes, {len(sent) / max(wall, 1e-9):.0f}/s", wall, cost)
    print(
        f"    applied after: median {statistics.median(taken) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} "
        f"ms, worst {taken[-1] * 1e3:.1f} ms; longest gap of the loop {gap.longest * 1e3:.0f} ms; "
        f"resident {before >> 20} MB before, {after >> 20} MB after",
        flush=True,
    )
    return after, p99


async def _taken(sink: Timed, sent: list[tuple[str, bool, float]]) -> list[float]:
    """Seconds from each change to when the sink was told, sorted."""
    deadline = time.monotonic() + _LIMIT
    found = []
    for id, is_well, at in sent:
        while True:
            told = (when for well, when in sink.told.get(id, ()) if when >= at and well == is_well)
            when = next(told, None)
            if when is not None:
                found.append(when - at)
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"a change of {id} was never told")
            await asyncio.sleep(0.01)
    return sorted(found)


class Gap:
    """The longest time in which nothing else had a turn on the loop."""

    longest = 0.0

    async def __aenter__(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def __aexit__(self, *error: object) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.monotonic() - before)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _say(what: str, wall: float, cpu: float) -> None:
    print(f"  {what:32} {wall:7.2f} s   reader {cpu:6.2f} s CPU", flush=True)


async def main(options: argparse.Namespace) -> None:
    if options.serve:
        serve = _real if options.serve == "real" else _fake
        await serve(options.tasks, options.services)
        return
    worst = 0.0
    async with cluster("real", options) as made:
        for wire in ("json", "protobuf"):
            print(f"real master, {wire}", flush=True)
            worst = max(worst, (await follow(made, wire, options))[1])
    async with cluster("fake", options) as made:
        print("fake master, as fast as the socket takes it, json", flush=True)
        await follow(made, "json", options)
    print(f"p99 at {options.rate:g}/s: {worst * 1e3:.0f} ms (target: below 1,000)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=3000)
    parser.add_argument("--services", type=int, default=150)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--serve", choices=("real", "fake"), help=argparse.SUPPRESS)
    asyncio.run(main(parser.parse_args()))
