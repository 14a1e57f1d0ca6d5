"""An instance joins the mesh by its identity certificate: real files, a real agent, a real
certificate service, and Diego's word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bbs_lrps import desired, process_guid, running
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_bbs import FakeBbs

from consul_tls import Authority
from inside import Inside, inside
from instance_identity import Held, IdentityAuthority
from joining import DOMAIN, Site, secure_mesh
from pilot_certs.agent.proofs import PlatformCertificate
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied
from secure_client import NAME

CART = process_guid("cart")
WEB = SpiffeId(DOMAIN, "/cf/org/org-1/space/space-2/app/app-1/process/web")


@pytest.fixture
def identities() -> IdentityAuthority:
    return IdentityAuthority()


@pytest.fixture
async def daemon(tmp_path: Path, identities: IdentityAuthority) -> AsyncIterator[Inside]:
    folder = tmp_path / "bbs"
    folder.mkdir()
    ca = identities.file(tmp_path)
    async with FakeBbs(Authority(folder)) as bbs:
        bbs.desire(desired(CART, tags={"process_type": "web"}))
        bbs.run(running("i0", CART))
        pair = bbs.authority.issue("mesh")
        over = {
            "url": bbs.url,
            "ca_file": str(bbs.authority.file),
            "cert_file": str(pair.cert),
            "key_file": str(pair.key),
        }
        adapter = {"name": "cf1", "kind": "cloudfoundry", "config": {"bbs": over}}
        vouching = f"{{name: cf, adapter: cf1, prefix: /cf, ca_file: {ca}, check_address: false}}"
        more = f"identity:\n  dns_names: [{NAME}]\n  attestors: [{vouching}]\n"
        config = secure_mesh(tmp_path, more=more)
        text = config.read_text()
        config.write_text(text.replace("adapters:\n", f"adapters:\n- {json.dumps(adapter)}\n"))
        async with inside(config) as made:
            yield made


def files(folder: Path, held: Held) -> PlatformCertificate:
    """As a container has them: the leaf and its authority, and the key in PKCS#1."""
    cert, key = folder / "instance.crt", folder / "instance.key"
    cert.write_bytes(held.pem)
    pem = held.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    key.write_bytes(pem)
    return PlatformCertificate("cf", cert, key)


async def test_an_instance_that_runs_joins_as_its_process_and_a_task_does_not(
    daemon: Inside, tmp_path: Path, identities: IdentityAuthority
) -> None:
    site = Site(daemon, tmp_path)
    async with site.agent(proof=files(tmp_path, identities.issue("i0"))) as agent:
        assert [WEB] == list(agent.held.svids)
    wrong = (identities.issue("task-1"), IdentityAuthority().issue("i0"))
    for held in wrong:
        with pytest.raises(Denied, match="request authenticate failure"):
            async with site.agent(proof=files(tmp_path, held)):
                pass
