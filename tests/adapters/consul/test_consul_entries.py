"""Configuration entries of a real Consul: known at once, kept when the token loses sight."""

from __future__ import annotations

from typing import Any

import pytest

from consul_catalogue import register
from consul_server import ConsulAgent
from mesh import mesh, until
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.model import Protocol
from pilot_core.testing import RecordingSink, host, session

WEB = "web.service.consul"
INTENTIONS = {
    "Kind": "service-intentions",
    "Name": "web",
    "Sources": [{"Name": "api", "Action": "allow"}, {"Name": "*", "Action": "deny"}],
}


def adapter(consul: ConsulAgent) -> Consul:
    return Consul(ConsulConfig(address=consul.address), host())


async def write(consul: ConsulAgent, kind: str, name: str = "web", **fields: Any) -> None:
    await consul.call("PUT", "/v1/config", {"Kind": kind, "Name": name, **fields})


@pytest.fixture
async def clean(consul: ConsulAgent) -> ConsulAgent:
    for kind in ("router", "splitter", "resolver", "intentions", "defaults"):
        for entry in await consul.call("GET", f"/v1/config/service-{kind}"):
            await consul.call("DELETE", f"/v1/config/service-{kind}/{entry['Name']}")
    return consul


def policies(sink: RecordingSink) -> set[str]:
    return {source for source in sink.sources if source.startswith("config/")}


async def test_a_protocol_in_service_defaults_counts_at_once_and_for_its_service_only(clean):
    await register(clean, "web")
    await register(clean, "api", "10.1.0.2")
    async with session(adapter(clean)) as sink:
        await sink.until(lambda: sink.is_synced)
        sink.puts.clear()
        for protocol in (Protocol.HTTP, Protocol.GRPC):
            await write(clean, "service-defaults", Protocol=protocol.value)
            await sink.until(
                lambda wanted=protocol: [wanted] == [p.protocol for p in sink.services[WEB].ports]
            )
        await clean.call("DELETE", "/v1/config/service-defaults/web")
        await sink.until(lambda: [Protocol.TCP] == [p.protocol for p in sink.services[WEB].ports])
        assert "service/api" not in sink.puts
        assert set() == policies(sink)


async def test_a_protocol_that_was_said_before_the_start_is_known_from_the_first_put(clean):
    await write(clean, "service-defaults", Protocol="http")
    await register(clean, "web")
    async with session(adapter(clean)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert [Protocol.HTTP] == [p.protocol for p in sink.services[WEB].ports]
        assert 1 == sink.puts.count("service/web")


async def test_every_kind_of_entry_is_a_policy_until_it_is_deleted(clean):
    await write(clean, "service-defaults", Protocol="http")
    await write(clean, "service-resolver", Subsets={"v1": {"Filter": "Service.Meta.v == 1"}})
    await write(clean, "service-splitter", Splits=[{"Weight": 100, "ServiceSubset": "v1"}])
    await write(clean, "service-router", Routes=[{"Match": {"HTTP": {"PathPrefix": "/x"}}}])
    await clean.call("PUT", "/v1/config", INTENTIONS)
    kinds = ("defaults", "intentions", "resolver", "router", "splitter")
    async with session(adapter(clean)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert {f"config/service-{kind}/web" for kind in kinds} == policies(sink)
        await clean.call("DELETE", "/v1/config/service-router/web")
        await sink.until(lambda: "config/service-router/web" not in policies(sink))
        await clean.call("PUT", "/v1/config", {**INTENTIONS, "Name": "*"})
        await sink.until(lambda: "config/service-intentions/*" in policies(sink))
        assert [] == sink.problems


async def test_what_is_known_and_not_yet_applied_is_listed(clean):
    await clean.call("PUT", "/v1/config", INTENTIONS)
    async with mesh() as stage:
        daemon = await stage.daemon(
            f'- {{name: dc1, kind: consul, config: {{address: "{clean.address}"}}}}\n'
        )

        async def listed() -> list[str]:
            items = await daemon.items("/api/v1/problems")
            return [p["origin"] for p in items if p["code"] == "policy-not-applied"]

        assert ["service-intentions/web"] == await until(listed, "the intentions")
