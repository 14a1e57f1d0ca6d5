"""What a large Consul costs to follow, beside polling it the way Istio 1.x did.

    python tests/benchmarks/consul_scale.py [--services 2000] [--instances 10] [--limit 200]

One real server, one catalogue, one after the other: our adapter, then a reader that every 2 s lists
all services twice and asks for each one's instances in turn. With `--limit`, the server takes no
more connections than that, and our adapter is told of none: it has to find out.

Targets at 10,000 services with 10 instances each: synced < 30 s, < 600 MB more once every service
is waited on, idle CPU < 1 %, from a change to the put p99 <= 200 ms. With 200 connections: all read
within 20 s, checks that turn are heard of within 1 s.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in ("", "xds", "adapters/consul", "tests/support", "tests/servers"):
    sys.path.insert(0, str(ROOT / folder))

import aiohttp  # noqa: E402

import pilot_adapter_consul.adapter  # noqa: E402
from consul_catalogue import register  # noqa: E402
from consul_server import ConsulAgent  # noqa: E402
from pilot_adapter_consul.adapter import Consul  # noqa: E402
from pilot_adapter_consul.agent import Agent, Answer  # noqa: E402
from pilot_adapter_consul.settings import ConsulConfig  # noqa: E402
from pilot_core.testing import RecordingSink, host, session  # noqa: E402

IDLE = 60.0
POLL = 2.0
CHANGES = 200
_OPERATIONS = 64
"""What one transaction of Consul's takes."""
_NODES = 500
_LOOK, _HARDLY = 5.0, 10


async def fill(consul: ConsulAgent, services: int, instances: int) -> None:
    """A catalogue of that many services, spread over 500 nodes."""
    operations = [
        {
            "Node": {
                "Verb": "set",
                "Node": {"Node": f"n{n}", "Address": f"10.0.{n // 250}.{n % 250}"},
            }
        }
        for n in range(_NODES)
    ]
    for number in range(services * instances):
        name = f"svc-{number // instances:05}"
        service = {
            "ID": f"{name}-{number % instances}",
            "Service": name,
            "Address": f"10.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}",
            "Port": 8080,
        }
        change = {"Verb": "set", "Node": f"n{number % _NODES}", "Service": service}
        operations.append({"Service": change})
    async with aiohttp.ClientSession() as client:
        for start in range(0, len(operations), _OPERATIONS):
            url = f"{consul.url}/v1/txn"
            async with client.put(url, json=operations[start : start + _OPERATIONS]) as answer:
                answer.raise_for_status()


class Meter:
    """CPU of this process and of Consul since it was made, and wall time, in seconds."""

    def __init__(self, consul: ConsulAgent) -> None:
        self._consul = consul
        self._began = self._now()

    def read(self) -> tuple[float, float, float]:
        return tuple(n - b for n, b in zip(self._now(), self._began, strict=True))  # type: ignore[return-value]

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), time.process_time(), self._consul.process.cpu()


class CountingAgent(Agent):
    """Counts what it asks."""

    asked = 0

    async def exchange(self, *args: Any, **more: Any) -> Answer:
        CountingAgent.asked += 1
        return await super().exchange(*args, **more)


def _say(what: str, meter: Meter, more: str = "") -> None:
    wall, ours, theirs = meter.read()
    print(
        f"{what:34} {wall:8.2f} s   reader {ours:7.2f} s CPU   Consul {theirs:7.2f} s CPU  {more}",
        flush=True,
    )


async def _latencies(consul: ConsulAgent, sink: RecordingSink, services: int) -> list[float]:
    """Seconds from the answer to a registration until the adapter has put the service anew."""
    taken = []
    for number in range(CHANGES):
        name = f"svc-{number % services:05}"
        sink.puts.clear()
        await register(consul, name, f"10.200.0.{number + 1}", node="n1")
        began = time.monotonic()
        while f"service/{name}" not in sink.puts:
            await asyncio.sleep(0.001)
        taken.append(time.monotonic() - began)
    return sorted(taken)


def _shown(taken: list[float]) -> str:
    worst = taken[int(len(taken) * 0.99)]
    return (
        f"change to diff: median {statistics.median(taken) * 1e3:.1f} ms, p99 {worst * 1e3:.1f} ms"
    )


async def _flips(consul: ConsulAgent, sink: RecordingSink, services: int) -> list[float]:
    """Seconds from a check that turns until the endpoint is unhealthy, spread over all services."""
    taken = []
    for number in range(0, services, services // 20):
        name, address = f"svc-{number:05}", "10.210.0.1"
        sink.puts.clear()
        await register(consul, name, address, node="n2", checks={f"c-{name}": "critical"})
        began = time.monotonic()
        while f"service/{name}" not in sink.puts:
            await asyncio.sleep(0.001)
        taken.append(time.monotonic() - began)
    return sorted(taken)


async def _until_all_wait() -> None:
    """Until hardly anything is asked any more: every service has a question that is held."""
    before = -1
    while CountingAgent.asked - before > _HARDLY:
        before = CountingAgent.asked
        await asyncio.sleep(_LOOK)


async def ours(consul: ConsulAgent, services: int, limit: int | None) -> None:
    before = _resident()
    meter = Meter(consul)
    more = {} if limit else {"connections": services + 50}
    adapter = Consul(ConsulConfig(address=consul.address, **more), host())
    sink = RecordingSink()
    async with session(adapter, sink):
        while not sink.is_synced:
            await asyncio.sleep(0.05)
        _say("blocking queries: synced", meter, f"+{(_resident() - before) >> 20} MB")
        await _until_all_wait()
        sink.puts.clear()
        CountingAgent.asked, meter = 0, Meter(consul)
        await asyncio.sleep(IDLE)
        wall, used, _ = meter.read()
        _say(
            "blocking queries: idle",
            meter,
            f"{len(sink.puts)} puts, {CountingAgent.asked / IDLE:.1f} requests/s, "
            f"{used / wall:.2%} CPU, +{(_resident() - before) >> 20} MB",
        )
        meter = Meter(consul)
        flips = await _flips(consul, sink, services)
        _say(f"blocking queries: {len(flips)} checks turn", meter, _shown(flips))
        if not limit:
            meter = Meter(consul)
            taken = await _latencies(consul, sink, services)
            _say(f"blocking queries: {CHANGES} changes", meter, _shown(taken))


async def polling(consul: ConsulAgent, services: int) -> None:
    """As pilot/pkg/serviceregistry/consul of Istio 1.0 and 1.1 did."""
    known: dict[str, set[str]] = {}
    requests = 0

    async def get(client: aiohttp.ClientSession, path: str) -> object:
        nonlocal requests
        requests += 1
        async with client.get(consul.url + path) as answer:
            return await answer.json()

    async def poll() -> None:
        async with aiohttp.ClientSession() as client:
            while True:
                await get(client, "/v1/catalog/services")
                names = await get(client, "/v1/catalog/services")
                assert isinstance(names, dict)
                for name in names:
                    found = await get(client, f"/v1/catalog/service/{name}")
                    assert isinstance(found, list)
                    known[name] = {i["ServiceAddress"] for i in found}
                await asyncio.sleep(POLL)

    meter = Meter(consul)
    reading = asyncio.create_task(poll())
    while len(known) < services:
        await asyncio.sleep(0.05)
    _say("polling every 2 s: first read", meter)
    requests, meter = 0, Meter(consul)
    await asyncio.sleep(IDLE)
    _say("polling every 2 s: idle", meter, f"{requests / IDLE:.0f} requests/s")
    meter = Meter(consul)
    address = "10.201.0.1"
    await register(consul, "svc-00001", address, node="n1")
    began = time.monotonic()
    while address not in known["svc-00001"]:
        await asyncio.sleep(0.005)
    _say("polling every 2 s: 1 change", meter, f"{(time.monotonic() - began) * 1e3:.0f} ms")
    reading.cancel()


def _resident() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


async def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the adapter on a real Consul.")
    parser.add_argument("--services", type=int, default=2000)
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--limit", type=int, help="http_max_conns_per_client of the server")
    options = parser.parse_args()
    pilot_adapter_consul.adapter.Agent = CountingAgent  # type: ignore[misc]  # to count
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"load {Path('/proc/loadavg').read_text().split()[0]}", flush=True)
    limits = {"limits": {"http_max_conns_per_client": options.limit}} if options.limit else {}
    async with ConsulAgent(config=limits) as consul:
        meter = Meter(consul)
        await fill(consul, options.services, options.instances)
        _say(f"{options.services} x {options.instances} registered", meter)
        await ours(consul, options.services, options.limit)
        if not options.limit:
            await polling(consul, options.services)


if __name__ == "__main__":
    asyncio.run(main())
