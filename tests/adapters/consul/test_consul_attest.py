"""Workloads that a real Consul vouches for: by leaves of its mesh, and by tokens of services."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from consul_catalogue import clear, register
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Attestor, Denied, Unavailable
from pilot_core.model import Evidence, Workload
from pilot_core.testing import FakeClock, RecordingSink, host, session

PEER = "10.1.0.1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked() -> AsyncIterator[ConsulAgent]:
    async with ConsulAgent(acl=True) as running:
        yield running


@pytest.fixture
async def consul(locked: ConsulAgent) -> ConsulAgent:
    await clear(locked)
    await register(locked, "web", PEER)
    await register(locked, "api", "10.1.0.2")
    return locked


@contextlib.asynccontextmanager
async def attestor(consul: ConsulAgent, now: float | None = None) -> AsyncIterator[Consul]:
    """The adapter, while it follows Consul."""
    file = consul.folder / "token"
    file.write_text(consul.token)
    clock = FakeClock()
    await clock.advance((time.time() if now is None else now) - clock.now())
    config = ConsulConfig(address=consul.address, token_file=file)
    adapter = Consul(config, host(clock))
    sink = RecordingSink()
    async with session(adapter, sink):
        await sink.until(lambda: sink.is_synced)
        yield adapter


async def leaf(consul: ConsulAgent, service: str = "web") -> bytes:
    found = await consul.call("GET", f"/v1/agent/connect/ca/leaf/{service}")
    return x509.load_pem_x509_certificate(found["CertPEM"].encode()).public_bytes(Encoding.DER)


async def token(consul: ConsulAgent, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = await consul.call("PUT", "/v1/acl/token", fields)
    return made


def stands_for(*services: str) -> list[dict[str, str]]:
    return [{"ServiceName": service} for service in services]


async def refusal(adapter: Consul, kind: str, payload: bytes, peer: str = PEER) -> str:
    with pytest.raises(Denied) as denied:
        await adapter.attest(Evidence(kind=kind, payload=payload, peer=peer))
    return str(denied.value)


WEB = Workload(
    path="/ns/default/sa/web",
    service_account="web",
    addresses=("10.0.0.1", "10.1.0.1"),
    selectors=(
        ("consul.datacenter", "dc1"),
        ("consul.node", "node-1"),
        ("consul.service", "web"),
        ("consul.service.id", "web-10.1.0.1"),
    ),
)


async def test_a_leaf_of_consul_s_mesh_is_the_instance_at_its_address(consul):
    async with attestor(consul) as adapter:
        assert isinstance(adapter, Attestor)
        shown = Evidence(kind="x509", payload=await leaf(consul), peer=PEER)
        assert WEB == await adapter.attest(shown)
    # The identity is the one that the endpoint has in the mesh.
    async with session(Consul(adapter.config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        [endpoint] = sink.endpoints("web.service.consul")[0].endpoints
        assert WEB.path == f"/ns/default/sa/{endpoint.service_account}"


async def test_a_leaf_shown_from_elsewhere_proves_nothing(consul):
    async with attestor(consul) as adapter:
        der = await leaf(consul)
        assert "no instance of web at 10.1.0.2" in await refusal(adapter, "x509", der, "10.1.0.2")
        assert "at an unknown address" in await refusal(adapter, "x509", der, "")
        # On its node it may be: a proxy there asks from the node's address.
        assert WEB == await adapter.attest(Evidence(kind="x509", payload=der, peer="10.0.0.1"))
        unregistered = await leaf(consul, "nobody")
        assert "no instance of nobody" in await refusal(adapter, "x509", unregistered)


async def test_a_leaf_of_another_consul_proves_nothing(consul):
    async with ConsulAgent(name="other") as other, attestor(consul) as adapter:
        der = await leaf(other)
        assert "and this Consul's mesh is" in await refusal(adapter, "x509", der)


async def test_a_leaf_that_is_out_of_date_proves_nothing(consul):
    der = await leaf(consul)
    late = x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp() + 60
    async with attestor(consul, late) as adapter:
        assert "out of date" in await refusal(adapter, "x509", der)


async def test_a_token_that_stands_for_a_service_is_its_instance(consul):
    template = {"TemplateName": "builtin/service", "TemplateVariables": {"Name": "web"}}
    async with attestor(consul) as adapter:
        for fields in (
            {"ServiceIdentities": stands_for("web")},
            {"TemplatedPolicies": [template]},
        ):
            secret = (await token(consul, **fields))["SecretID"]
            shown = Evidence(kind="token", payload=secret.encode(), peer=PEER)
            assert WEB == await adapter.attest(shown)


async def test_a_token_that_is_taken_back_counts_no_more_at_once(consul):
    made = await token(consul, ServiceIdentities=stands_for("web"))
    secret = made["SecretID"].encode()
    async with attestor(consul) as adapter:
        assert WEB == await adapter.attest(Evidence(kind="token", payload=secret, peer=PEER))
        await consul.call("DELETE", f"/v1/acl/token/{made['AccessorID']}")
        assert "Consul does not know the token" in await refusal(adapter, "token", secret)


async def test_a_token_that_stands_for_none_or_several_stands_for_nobody(consul):
    none = (await token(consul))["SecretID"].encode()
    several = await token(consul, ServiceIdentities=stands_for("web", "api"))
    async with attestor(consul) as adapter:
        assert "this one does for none" in await refusal(adapter, "token", none)
        said = await refusal(adapter, "token", several["SecretID"].encode())
        assert "this one does for api, web" in said
        # Not even a token that may do everything is everybody.
        assert "for none" in await refusal(adapter, "token", consul.token.encode())


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("x509", b"no certificate", "no leaf of Consul's"),
        ("token", b"two words", "no ACL token"),
        ("token", b"\xff", "no ACL token"),
        ("token", b"x" * 9000, "longer than any"),
        ("odd", b"", "evidence of the kind 'odd'"),
    ],
)
async def test_garbage_proves_nothing(consul, kind, payload, said):
    async with attestor(consul) as adapter:
        assert said in await refusal(adapter, kind, payload)


async def test_nobody_is_vouched_for_while_consul_is_out_of_reach(consul):
    adapter = Consul(ConsulConfig(address=consul.address), host())
    with pytest.raises(Unavailable, match="out of reach"):
        await adapter.attest(Evidence(kind="token", payload=b"x", peer=PEER))
