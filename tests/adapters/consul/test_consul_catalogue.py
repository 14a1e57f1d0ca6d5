"""The catalogue of a real Consul, followed."""

from __future__ import annotations

import asyncio

from consul_catalogue import NODE, deregister, node_check, register
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.document import Duration
from pilot_core.model import Health
from pilot_core.testing import RecordingSink, host, session

WEB = "web.service.consul"


def adapter(consul, **settings) -> Consul:
    return Consul(ConsulConfig(address=consul.address, **settings), host())


async def says(consul: ConsulAgent, name: str, check: str, output: str) -> None:
    """The check's state is what it was; what it prints is not."""
    body = {"Node": NODE, "Address": "10.0.0.1"}
    service = {"ServiceID": f"{name}-10.1.0.1", "CheckID": check, "Name": check}
    body["Check"] = {**service, "Status": "passing", "Output": output}
    await consul.call("PUT", "/v1/catalog/register", body)


def conditions(sink: RecordingSink, hostname: str = WEB) -> list[tuple[Health, int]]:
    return [(e.health, e.weight) for r in sink.endpoints(hostname) for e in r.endpoints]


async def test_checks_turn_and_recover_and_only_their_service_is_touched(consul):
    weights = {"Passing": 10, "Warning": 3}
    await register(consul, "web", Weights=weights, checks={"up": "passing"})
    await register(consul, "api", "10.1.0.2")
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: sink.is_synced)
        sink.puts.clear()
        for status, expected in (
            ("warning", (Health.DEGRADED, 3)),
            ("critical", (Health.UNHEALTHY, 10)),
            ("passing", (Health.HEALTHY, 10)),
        ):
            await register(consul, "web", Weights=weights, checks={"up": status})
            await sink.until(lambda wanted=expected: conditions(sink) == [wanted])
        # Consul's own service is touched by its own checks, whenever it likes.
        assert {"service/web"} == set(sink.puts) - {"service/consul"}


async def test_what_a_check_prints_is_read_and_changes_nothing(consul):
    await register(consul, "web", checks={"up": "passing"})
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: sink.is_synced)
        for output in ("connected in 3 ms", "connected in 4 ms"):
            sink.puts.clear()
            sink.take_changes()
            await says(consul, "web", "up", output)
            await sink.until(lambda: "service/web" in sink.puts)
            assert not {key for key in sink.take_changes() if key[1] == WEB}


async def test_a_node_in_trouble_touches_every_service_on_it(consul):
    await register(consul, "web")
    await register(consul, "api", "10.1.0.2")
    both = (WEB, "api.service.consul")
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: sink.is_synced)
        await node_check(consul, "serfHealth", "critical")
        await sink.until(
            lambda: all([(Health.UNHEALTHY, 1)] == conditions(sink, name) for name in both)
        )
        await node_check(consul, "_node_maintenance", "critical")
        await sink.until(
            lambda: all([(Health.DRAINING, 1)] == conditions(sink, name) for name in both)
        )


async def test_a_service_that_goes_and_comes_back_is_there_once(consul):
    await register(consul, "web")
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: WEB in sink.hostnames)
        await deregister(consul, "web-10.1.0.1")
        await sink.until(lambda: WEB not in sink.hostnames)
        sink.puts.clear()
        await register(consul, "web", "10.1.0.9")
        await sink.until(lambda: ["10.1.0.9"] == sink.addresses(WEB))
        assert 1 == sink.hostnames.count(WEB)


async def test_more_services_than_connections_are_all_followed(consul):
    names = [f"svc-{number:02}" for number in range(40)]
    for number, name in enumerate(names):
        await register(consul, name, f"10.1.1.{number}", checks={f"up-{name}": "passing"})
    async with session(adapter(consul, connections=20)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 41 == len(sink.hostnames)
        # The last by name have no query of their own: a check that turns is heard of at once.
        last = "svc-39.service.consul"
        await register(consul, "svc-39", "10.1.1.39", checks={"up-svc-39": "critical"})
        await sink.until(lambda: [(Health.UNHEALTHY, 1)] == conditions(sink, last))
        await register(consul, "svc-39", "10.1.1.39", checks={"up-svc-39": "passing"})
        await sink.until(lambda: [(Health.HEALTHY, 1)] == conditions(sink, last))
        # A second instance is heard of too: the listing says that something has changed.
        await register(consul, "svc-39", "10.1.1.139")
        await sink.until(lambda: {"10.1.1.39", "10.1.1.139"} == set(sink.addresses(last)))


async def test_many_services_gone_at_once_are_served_until_consul_says_it_twice(consul):
    for number in range(12):
        await register(consul, f"svc-{number}", f"10.1.2.{number}")
    async with session(adapter(consul, grace=Duration(1.5))) as sink:
        await sink.until(lambda: 13 == len(sink.hostnames))
        await consul.call("PUT", "/v1/catalog/deregister", {"Node": NODE})
        await sink.until(lambda: sink.lost)
        assert any("12 of 13 services are gone at once" in text for _, text in sink.lost)
        assert 13 == len(sink.hostnames)
        await sink.until(lambda: ["consul.service.consul"] == sink.hostnames)
        assert [] == sink.lost


async def test_a_loss_that_happened_while_nobody_looked_is_doubted_as_well(consul):
    for number in range(12):
        await register(consul, f"svc-{number}", f"10.1.2.{number}")
    sink = RecordingSink()
    async with session(adapter(consul), sink):
        await sink.until(lambda: 13 == len(sink.hostnames))
    await consul.call("PUT", "/v1/catalog/deregister", {"Node": NODE})
    await register(consul, "svc-0", "10.1.2.100")
    sink.next_session()
    # Another adapter: it remembers nothing, as after a restart of the program.
    async with session(adapter(consul, grace=Duration(1.5)), sink):
        await sink.until(lambda: sink.is_synced)
        assert any("11 of 13 services are gone at once" in text for _, text in sink.lost)
        assert (13, ["10.1.2.100"]) == (
            len(sink.hostnames),
            sink.addresses("svc-0.service.consul"),
        )
        await sink.until(
            lambda: ["consul.service.consul", "svc-0.service.consul"] == sink.hostnames
        )
        assert [] == sink.lost


async def test_a_datacentre_out_of_reach_keeps_no_other_from_being_followed(consul):
    await register(consul, "web")
    async with session(adapter(consul, datacenters=("dc1", "far"))) as sink:
        name = "web.service.dc1.consul"
        await sink.until(lambda: name in sink.hostnames and sink.lost)
        assert not sink.is_synced, "nothing was ever heard of the other one"
        assert "No path to datacenter" in sink.lost[0][1]
        await register(consul, "web", "10.1.0.7")
        await sink.until(lambda: ["10.1.0.1", "10.1.0.7"] == sink.addresses(name))


async def test_an_agent_that_stands_still_takes_nothing_away(consul):
    await register(consul, "web")
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: sink.is_synced)
        consul.process.suspend()
        registering = asyncio.create_task(register(consul, "web", "10.1.0.2"))
        assert ["10.1.0.1"] == sink.addresses(WEB)
        consul.process.resume()
        await registering
        await sink.until(lambda: ["10.1.0.1", "10.1.0.2"] == sink.addresses(WEB))
