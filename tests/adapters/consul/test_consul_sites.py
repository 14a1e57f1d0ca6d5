"""Several real Consuls: datacentres that know of each other, and a peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from consul_catalogue import deregister, register, sessions
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import RecordingSink, host, session
from server_process import free_ports, wait_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


def settings(datacenter: str, grpc: int, serf: int, **more: Any) -> dict[str, Any]:
    return {
        "datacenter": datacenter,
        "peering": {"enabled": True},
        "ports": {"grpc_tls": grpc, "serf_wan": serf},
        **more,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites() -> AsyncIterator[dict[str, ConsulAgent]]:
    """dc1 and dc2, joined over the wide area; east, which is a peer of dc1's."""
    grpc, serf = free_ports(3), free_ports(3)
    join = {"primary_datacenter": "dc1", "retry_join_wan": [f"127.0.0.1:{serf[0]}"]}
    join["retry_interval_wan"] = "1s"
    async with (
        ConsulAgent(
            name="one", config=settings("dc1", grpc[0], serf[0], primary_datacenter="dc1")
        ) as one,
        ConsulAgent(name="two", config=settings("dc2", grpc[1], serf[1], **join)) as two,
        ConsulAgent(name="far", config=settings("dc1", grpc[2], serf[2])) as far,
    ):
        await far.call("PUT", "/v1/config", exported("web", "api"))
        body = {"PeerName": "west"}
        token = (await far.call("POST", "/v1/peering/token", body))["PeeringToken"]
        body = {"PeerName": "east", "PeeringToken": token}
        await one.call("POST", "/v1/peering/establish", body)
        await wait_for(lambda: _is_joined(one), "the other datacentre")
        yield {"one": one, "two": two, "east": far}


async def _is_joined(one: ConsulAgent) -> bool:
    found = await one.call("GET", "/v1/catalog/datacenters")
    return sorted(found) == ["dc1", "dc2"] and bool(
        await one.call("GET", "/v1/health/service/consul?dc=dc2")
    )


def exported(*names: str) -> dict[str, Any]:
    services = [{"Name": name, "Consumers": [{"Peer": "west"}]} for name in names]
    return {"Kind": "exported-services", "Name": "default", "Services": services}


async def has(sink: RecordingSink, hostname: str, *addresses: str) -> None:
    await until(sink, lambda: list(addresses) == sink.addresses(hostname))


async def until(sink: RecordingSink, condition: Callable[[], object]) -> None:
    """Longer than a sink waits: peers take their time."""
    for _ in range(5):
        try:
            return await sink.until(condition)
        except TimeoutError:
            continue
    raise AssertionError(f"never came about; there is {sink.view}, {sink.problems}, {sink.lost}")


async def test_the_same_name_in_two_datacentres_and_at_a_peer_is_three_services(sites):
    for number, site in enumerate(("one", "two", "east"), 1):
        await register(sites[site], "web", f"10.{number}.0.1")
    config = ConsulConfig(address=sites["one"].address, datacenters=("dc1", "dc2"), peers=("east",))
    async with session(Consul(config, host())) as sink:
        await has(sink, "web.service.dc1.consul", "10.1.0.1")
        await has(sink, "web.service.dc2.consul", "10.2.0.1")
        await has(sink, "web.service.east.peer.consul", "10.3.0.1")
        await until(sink, lambda: sink.is_synced)
        assert ["dc1/service/web", "dc2/service/web", "peer-east/service/web"] == sorted(
            source for source in sink.sources if source.endswith("/web")
        )
        await register(sites["east"], "web", "10.3.0.2")
        await has(sink, "web.service.east.peer.consul", "10.3.0.1", "10.3.0.2")
        await register(sites["east"], "api", "10.3.0.3")
        await has(sink, "api.service.east.peer.consul", "10.3.0.3")
        await deregister(sites["east"], "api-10.3.0.3")
        await until(sink, lambda: "api.service.east.peer.consul" not in sink.hostnames)
        await sites["east"].call("PUT", "/v1/config", exported("api"))
        await until(sink, lambda: "web.service.east.peer.consul" not in sink.hostnames)
        await sites["east"].call("PUT", "/v1/config", exported("web", "api"))


async def test_from_another_datacentre_instances_have_their_address_for_the_wide_area(sites):
    wan = {"wan": {"Address": "198.51.100.7", "Port": 443}}
    for site in ("one", "two"):
        await register(sites[site], "edge", "10.9.0.1", TaggedAddresses=wan)
    config = ConsulConfig(address=sites["one"].address, datacenters=("dc1", "dc2"))
    async with session(Consul(config, host())) as sink:
        await has(sink, "edge.service.dc1.consul", "10.9.0.1")
        await has(sink, "edge.service.dc2.consul", "198.51.100.7")
        [near] = sink.endpoints("edge.service.dc1.consul")[0].endpoints
        assert 8080 == near.ports[0][1]


async def test_a_datacentre_that_dies_is_shown_and_kept_over_a_restart_and_comes_back(sites):
    await register(sites["one"], "both", "10.1.0.1")
    await register(sites["two"], "both", "10.2.0.1")
    config = ConsulConfig(address=sites["one"].address, datacenters=("dc1", "dc2"))
    sink = RecordingSink()
    near, far = "both.service.dc1.consul", "both.service.dc2.consul"
    async with reading(config, sink):
        await has(sink, far, "10.2.0.1")
        await sites["two"].process.kill()
        await until(sink, lambda: sink.lost)
        [(origin, message)] = sink.lost
        assert "dc2/" in origin
        assert message.startswith("datacentre dc2: ")
        await register(sites["one"], "both", "10.1.0.2")
        await has(sink, near, "10.1.0.1", "10.1.0.2")
        assert ["10.2.0.1"] == sink.addresses(far)
    sink.next_session()
    # A new adapter knows nothing; what its predecessor put of the other datacentre stays.
    async with reading(config, sink):
        await until(sink, lambda: sink.is_synced)
        assert ["10.2.0.1"] == sink.addresses(far)
        await sites["two"].process.start()
        await until(sink, lambda: not sink.lost)
        await register(sites["two"], "both", "10.2.0.2")
        await has(sink, far, "10.2.0.1", "10.2.0.2")


class reading:  # noqa: N801  used as a function
    """Sessions one after the other while the block lasts."""

    def __init__(self, config: ConsulConfig, sink: RecordingSink) -> None:
        self._adapter, self._sink = Consul(config, host()), sink
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> None:
        work: Awaitable[Any] = sessions(self._adapter, self._sink)
        self._task = asyncio.ensure_future(work)  # type: ignore[arg-type]  # a coroutine

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
