"""Consul's own mesh beside ours: proxies, gateways and names, as a real agent registers them."""

from __future__ import annotations

from typing import Any

from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.model import Protocol
from pilot_core.testing import RecordingSink, host, session

WEB = "web.service.consul"


def adapter(consul: ConsulAgent) -> Consul:
    return Consul(ConsulConfig(address=consul.address), host())


async def to_agent(consul: ConsulAgent, name: str, **more: Any) -> None:
    """Through the agent: it registers proxies, and gives services their addresses."""
    body = {"Name": name, "Port": 8080, "Address": "10.1.0.1", **more}
    await consul.call("PUT", "/v1/agent/service/register", body)


async def leave(consul: ConsulAgent, *ids: str) -> None:
    for service_id in ids:
        await consul.call("PUT", f"/v1/agent/service/deregister/{service_id}")


def identities(sink: RecordingSink, hostname: str = WEB) -> list[str]:
    return [e.identity for record in sink.endpoints(hostname) for e in record.endpoints]


async def spiffe_id(consul: ConsulAgent, service: str) -> str:
    """As Consul itself writes it into the certificate of that service."""
    leaf = await consul.call("GET", f"/v1/agent/connect/ca/leaf/{service}")
    return str(leaf["ServiceURI"])


async def test_proxies_are_no_services_and_their_instances_have_consuls_own_names(consul):
    await to_agent(consul, "web", Connect={"SidecarService": {}})
    await to_agent(consul, "api", Connect={"Native": True})
    await to_agent(consul, "plain")
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: sink.is_synced)
        names = ["api", "consul", "plain", "web"]
        assert [f"{name}.service.consul" for name in names] == sink.hostnames
        assert [await spiffe_id(consul, "web")] == identities(sink)
        assert [await spiffe_id(consul, "api")] == identities(sink, "api.service.consul")
        assert [""] == identities(sink, "plain.service.consul")
        assert (await spiffe_id(consul, "web"),) == sink.services[WEB].identities
        assert sink.services[WEB].addresses[0].startswith("240.")
    await leave(consul, "web", "api", "plain")


async def test_a_proxy_that_comes_and_goes_touches_its_own_service_only(consul):
    await to_agent(consul, "web")
    await to_agent(consul, "api", Address="10.1.0.2")
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: [""] == identities(sink))
        sink.puts.clear()
        proxy = {"DestinationServiceName": "web", "DestinationServiceID": "web"}
        proxy["Config"] = {"protocol": "http"}  # type: ignore[assignment]  # JSON
        await to_agent(consul, "beside", Kind="connect-proxy", Port=21000, Proxy=proxy)
        name = await spiffe_id(consul, "web")
        await sink.until(lambda: [name] == identities(sink))
        assert [Protocol.HTTP] == [port.protocol for port in sink.services[WEB].ports]
        await leave(consul, "beside")
        await sink.until(lambda: [""] == identities(sink))
        assert {"service/web", "service/beside"} == set(sink.puts) - {"service/consul"}
        assert "beside.service.consul" not in sink.hostnames
    await leave(consul, "web", "api")


async def test_gateways_are_there_and_say_what_they_are(consul):
    for kind in ("mesh-gateway", "terminating-gateway", "ingress-gateway"):
        await to_agent(consul, kind, Kind=kind, Port=8443)
    async with session(adapter(consul)) as sink:
        await sink.until(lambda: sink.is_synced)
        kinds = {s.labels for s in sink.services.values() if s.labels}
        assert {
            (("kind", kind),) for kind in ("mesh-gateway", "terminating-gateway", "ingress-gateway")
        } == kinds
    await leave(consul, "mesh-gateway", "terminating-gateway", "ingress-gateway")
