"""Much at once on a real Consul: a node under 200 services, and a catalogue that begins anew."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from consul_catalogue import NODE, node_check, register, sessions
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.document import Duration
from pilot_core.model import Health
from pilot_core.testing import RecordingSink, host, session

SERVICES = 200
_AT_ONCE = 60
"""Operations of one transaction: Consul takes 64 to 128."""


async def fill(consul: ConsulAgent, count: int) -> list[str]:
    """So many services on one node."""
    await register(consul, "svc-000", "10.1.0.0")
    names = [f"svc-{number:03}" for number in range(count)]
    changes = [
        {
            "Service": {
                "Verb": "set",
                "Node": NODE,
                "Service": {"ID": name, "Service": name, "Address": "10.1.0.1", "Port": 80},
            }
        }
        for name in names
    ]
    for start in range(0, count, _AT_ONCE):
        await consul.call("PUT", "/v1/txn", changes[start : start + _AT_ONCE])
    return [f"{name}.service.consul" for name in names]


def health(sink: RecordingSink, hostname: str) -> set[Health]:
    return {e.health for record in sink.endpoints(hostname) for e in record.endpoints}


async def test_a_node_in_trouble_is_heard_of_by_all_its_services_and_costs_one_put_each(consul):
    hostnames = await fill(consul, SERVICES)
    config = ConsulConfig(address=consul.address, connections=SERVICES + 50)
    async with session(Consul(config, host())) as sink:
        await sink.until(lambda: set(hostnames) <= set(sink.hostnames))
        for status, expected in (("critical", Health.UNHEALTHY), ("passing", Health.HEALTHY)):
            sink.puts.clear()
            await node_check(consul, "serfHealth", status)
            await sink.until(lambda: all(sink.puts.count(f"service/{n}") for n in _names()))
            assert {expected} == set().union(*(health(sink, name) for name in hostnames))
            assert SERVICES == len([s for s in sink.puts if s != "service/consul"])


def _names() -> list[str]:
    return [f"svc-{number:03}" for number in range(SERVICES)]


async def test_a_catalogue_that_begins_anew_empty_takes_nothing_away_and_converges(tmp_path: Path):
    data = tmp_path / "data"
    async with ConsulAgent(data_dir=data) as consul:
        hostnames = await fill(consul, 12)
        sink = RecordingSink()
        adapter = Consul(ConsulConfig(address=consul.address, grace=Duration(3600)), host())
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(sessions(adapter, sink))
            await sink.until(lambda: set(hostnames) <= set(sink.hostnames))
            await consul.process.stop()
            shutil.rmtree(data)
            await consul.process.start()
            await sink.until(lambda: sink.lost)
            [(_, message)] = sink.lost
            assert "12 of 13 services are gone at once" in message
            assert set(hostnames) <= set(sink.hostnames)
            await fill(consul, 12)
            await register(consul, "svc-000", "10.1.0.99")
            await sink.until(lambda: "10.1.0.99" in sink.addresses(hostnames[0]))
            assert set(hostnames) <= set(sink.hostnames)
            reading.cancel()
