"""Who may join a real daemon, and as whom: certificates, tokens and adapters that vouch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

import authorities
from distributions import site as installed
from inside import Inside, inside
from joining import DOMAIN, Site, secure_mesh
from pilot_certs.agent.proofs import PlatformCertificate, PlatformToken
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied
from platform_authority import Platform
from program import pilot
from secure_client import Client, refusal
from service_tokens import Issuer

LEDGER = """
import asyncio
from pilot_core.adapter import Adapter, Denied
from pilot_core.model import Workload

class Registry(Adapter):
    api = 1
    async def run(self, sink):
        sink.synced()
        await asyncio.Event().wait()
    async def attest(self, evidence):
        if evidence.kind == "token" and evidence.payload.startswith(b"i-am-"):
            return Workload(path=evidence.payload.removeprefix(b"i-am-").decode())
        raise Denied("no token of this platform's")
"""


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    folder = tmp_path / "platform"
    folder.mkdir()
    return Platform(folder)


@pytest.fixture
async def daemon(tmp_path: Path, platform: Platform) -> AsyncIterator[Inside]:
    (tmp_path / "vm-ca.pem").write_text(authorities.pem(platform.root))
    (tmp_path / "jwks.json").write_bytes(Issuer.shared().jwks)
    more = (
        "identity:\n"
        "  dns_names: [pilot.test]\n"
        "  attestors:\n"
        "  - {name: vms, prefix: /vm, ca_file: vm-ca.pem}\n"
        "  - {name: ledger, prefix: /ns, adapter: ledger}\n"
        f"  - {{name: batch, prefix: /batch, jwks_file: jwks.json, issuer: {Issuer.URL}}}\n"
    )
    with installed(tmp_path) as plugins:
        plugins.install("pilot-test-ledger", LEDGER, kind="ledger")
        config = secure_mesh(tmp_path, more=more)
        text = config.read_text()
        config.write_text(
            text.replace("adapters:\n", "adapters:\n- {name: ledger, kind: ledger}\n")
        )
        async with inside(config) as made:
            yield made


@pytest.fixture
def site(daemon: Inside, tmp_path: Path) -> Site:
    return Site(daemon, tmp_path)


async def test_a_machine_joins_by_the_certificate_that_it_has_anyway(
    site: Site, platform: Platform
) -> None:
    key = authorities.key()
    certificate = platform.certificate(key, addresses=("127.0.0.1",), now=True)
    async with site.agent(proof=platform.shows(certificate, key, name="vms")) as agent:
        assert [SpiffeId(DOMAIN, "/vm/vm-1")] == list(agent.held.svids)
    [entry] = [c for c in await site.daemon.items("/api/v1/certs") if c["kind"] == "workload"]
    assert "vms" == entry["attestor"]


async def test_a_machine_without_the_key_does_not_join(site: Site, platform: Platform) -> None:
    certificate = platform.certificate(authorities.key(), now=True)
    shown = platform.shows(certificate, authorities.key(), name="vms")

    with pytest.raises(Denied, match="request authenticate failure"):
        async with site.agent(proof=shown):
            pass
    assert 1 == site.identity.issuing.refusals["x509-possession"]


async def test_an_adapter_vouches_for_its_workloads_within_its_prefix(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "t").write_text("i-am-/ns/shop/sa/reviews\n")
    async with site.agent(proof=PlatformToken("ledger", tmp_path / "t")) as agent:
        assert [SpiffeId(DOMAIN, "/ns/shop/sa/reviews")] == list(agent.held.svids)

    for said, words in (
        ("i-am-/vm/vm-1", "not authorized"),
        ("i-am-/pilot-core/control-plane", "not authorized"),
        ("nobody", "request authenticate failure"),
    ):
        (tmp_path / "t").write_text(said)
        with pytest.raises(Denied, match=words):
            async with site.agent(proof=PlatformToken("ledger", tmp_path / "t")):
                pass


async def test_a_token_signed_by_a_platform_s_keys_is_good_below_its_prefix(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "t").write_text(Issuer.shared().token("shop", "reviews"))
    async with site.agent(proof=PlatformToken("batch", tmp_path / "t")) as agent:
        assert [SpiffeId(DOMAIN, "/batch/ns/shop/sa/reviews")] == list(agent.held.svids)


async def test_a_proof_is_good_for_its_own_attestor_only(
    site: Site, platform: Platform, tmp_path: Path
) -> None:
    (tmp_path / "t").write_text("i-am-/ns/shop/sa/reviews")
    key = authorities.key()
    platform.shows(platform.certificate(key, now=True), key)
    files = (platform.folder / "c.pem", platform.folder / "k.pem")
    for proof in (
        PlatformToken("batch", tmp_path / "t"),
        PlatformToken("vms", tmp_path / "t"),
        PlatformToken("nobody", tmp_path / "t"),
        PlatformCertificate("ledger", *files),
    ):
        with pytest.raises(Denied):
            async with site.agent(proof=proof):
                pass


async def test_istio_s_call_takes_the_tokens_of_platforms_too(daemon: Inside) -> None:
    issued = await Client(daemon).create("i-am-/ns/shop/sa/reviews")
    assert issued.chain
    assert grpc.StatusCode.UNAUTHENTICATED == (await refusal(Client(daemon).create("nobody")))[0]


async def test_a_token_of_a_platform_opens_the_configuration_of_its_workload(
    daemon: Inside,
) -> None:
    node = "sidecar~10.0.0.7~reviews-v1.shop~mesh"
    said = await Client(daemon).first_clusters(node, token="i-am-/ns/shop/sa/reviews")
    assert "outbound|80||reviews.shop.mesh" in said.names
    other = Client(daemon).first_clusters(node, token="i-am-/ns/bank/sa/reviews")
    assert grpc.StatusCode.PERMISSION_DENIED == (await refusal(other))[0]


async def test_a_join_token_opens_no_configuration_and_is_not_used_up_by_trying(
    site: Site,
) -> None:
    token = site.identity.tokens.create("/ns/shop/sa/reviews")

    assert grpc.StatusCode.UNAUTHENTICATED == (await Client(site.daemon).knock(token))[0]
    assert (await Client(site.daemon).create(token)).chain


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{name: a, prefix: /a, adapter: nobody}", 'found "nobody"'),
        ("{name: a, prefix: /a}", "say who vouches: adapter, ca_file or jwks_file"),
        ("{name: join-token, prefix: /a, adapter: files}", "cannot be the name of an attestor"),
        ("{name: a, prefix: a, adapter: files}", "a prefix is a path such as /vm"),
        ("{name: a, prefix: /a/, adapter: files}", "without a slash at its end"),
        ("{name: a, prefix: /../a, adapter: files}", "a prefix is a path such as /vm"),
        ("{name: a, prefix: '', adapter: files}", "nobody vouches for everybody"),
        ("{name: a, prefix: '', jwks_file: x}", "put `issuer` beside it"),
        ("{name: a, prefix: /a, jwks_file: x, issuer: y, ca_file: z}", "has neither adapter nor"),
        ("{name: a, prefix: /a, ca_file: a}, {name: a, prefix: /b, ca_file: a}", "two attestors"),
    ],
)
def test_an_attestor_that_makes_no_sense_is_a_finding_with_its_place(
    tmp_path: Path, line: str, words: str
) -> None:
    config = secure_mesh(tmp_path, more=f"identity: {{attestors: [{line}]}}\n")
    checked = pilot("check", "-c", str(config))

    assert 2 == checked.code
    assert words in checked.out
    assert f"{config}:7:" in checked.out
