"""An agent of the mesh joins a real daemon by what a real Consul gave its service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from consul_catalogue import clear, register
from consul_server import ConsulAgent
from inside import Inside, inside
from joining import DOMAIN, Site, secure_mesh
from mesh import until
from pilot_certs.agent.proofs import PlatformCertificate, PlatformToken
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied

WEB = SpiffeId(DOMAIN, "/ns/default/sa/web")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked() -> AsyncIterator[ConsulAgent]:
    async with ConsulAgent(acl=True) as running:
        yield running


@pytest.fixture
async def consul(locked: ConsulAgent) -> ConsulAgent:
    """With the service `web` on this machine, and `api` on another one."""
    await clear(locked)
    await register(locked, "web", "127.0.0.1")
    await register(locked, "api", "10.1.0.2")
    return locked


@pytest.fixture
async def daemon(consul: ConsulAgent, tmp_path: Path) -> AsyncIterator[Inside]:
    (tmp_path / "acl-token").write_text(consul.token)
    roots = await consul.call("GET", "/v1/connect/ca/roots")
    (tmp_path / "roots.pem").write_text("".join(root["RootCert"] for root in roots["Roots"]))
    config = secure_mesh(
        tmp_path,
        more=(
            "identity:\n"
            "  attestors:\n"
            "  - {name: consul-leaf, prefix: /ns, adapter: dc1, ca_file: roots.pem}\n"
            "  - {name: consul-token, prefix: /ns, adapter: dc1}\n"
        ),
    )
    settings = f'{{address: "{consul.address}", token_file: acl-token}}'
    text = config.read_text().replace(
        "adapters:\n", f"adapters:\n- {{name: dc1, kind: consul, config: {settings}}}\n"
    )
    config.write_text(text)
    async with inside(config) as made:

        async def is_read() -> bool:
            return any(s["hostname"] == "web.service.consul" for s in await _services(made))

        await until(is_read, "the catalogue")
        yield made


async def _services(daemon: Inside) -> list[dict[str, str]]:
    found: list[dict[str, str]] = await daemon.items("/api/v1/services")
    return found


@pytest.fixture
def site(daemon: Inside, tmp_path: Path) -> Site:
    return Site(daemon, tmp_path)


async def leaf(consul: ConsulAgent, service: str, folder: Path) -> PlatformCertificate:
    """What Consul's agent gives to a service of its mesh."""
    found = await consul.call("GET", f"/v1/agent/connect/ca/leaf/{service}")
    certificate, key = folder / f"{service}.pem", folder / f"{service}.key"
    certificate.write_text(found["CertPEM"])
    key.write_text(found["PrivateKeyPEM"])
    return PlatformCertificate("consul-leaf", certificate, key)


async def token(consul: ConsulAgent, service: str, folder: Path) -> PlatformToken:
    body = {"ServiceIdentities": [{"ServiceName": service}]}
    made = await consul.call("PUT", "/v1/acl/token", body)
    file = folder / f"{service}.token"
    file.write_text(made["SecretID"])
    return PlatformToken("consul-token", file)


@pytest.mark.parametrize("shown", [leaf, token])
async def test_a_service_joins_by_what_consul_gave_it_and_only_from_its_own_machine(
    site, consul, tmp_path, shown
):
    async with site.agent(proof=await shown(consul, "web", tmp_path)) as agent:
        assert [WEB] == list(agent.held.svids)
    with pytest.raises(Denied):
        async with site.agent(proof=await shown(consul, "api", tmp_path)):
            pass


async def test_a_leaf_without_its_key_joins_nobody(site, consul, tmp_path):
    await leaf(consul, "web", tmp_path)
    await leaf(consul, "api", tmp_path)
    stolen = PlatformCertificate("consul-leaf", tmp_path / "web.pem", tmp_path / "api.key")
    with pytest.raises(Denied):
        async with site.agent(proof=stolen):
            pass
