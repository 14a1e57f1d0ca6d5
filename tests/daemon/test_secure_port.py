"""The port for mutual TLS of a real daemon: who gets a certificate, and who gets configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc import aio

from inside import Inside, inside, until_problem
from mesh import until
from pilot_certs import chain
from pilot_certs.spiffe import SpiffeId
from program import write_mesh
from secure_client import ADS, SECURE, Client, Identity
from xds_messages import CDS, delta, node

REVIEWS = SpiffeId("cluster.local", "/ns/shop/sa/reviews")
NODE = "sidecar~10.0.0.7~reviews-v1.shop~shop.svc.cluster.local"


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Inside]:
    config = write_mesh(tmp_path)
    text = config.read_text()
    config.write_text(text[: text.index("xds:")] + 'admin: {address: "127.0.0.1:0"}\n' + SECURE)
    async with inside(config) as made:
        yield made


async def joined(daemon: Inside, name: SpiffeId = REVIEWS) -> Identity:
    assert daemon.parts.identity is not None
    return await Client(daemon).create(daemon.parts.identity.tokens.create(name.path))


async def status(call: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(aio.AioRpcError) as refused:
        await call  # type: ignore[misc]
    return refused.value.code(), refused.value.details() or ""


async def test_a_token_is_worth_a_certificate_and_a_certificate_the_next_one(
    daemon: Inside,
) -> None:
    first = await joined(daemon)
    second = await Client(daemon, first).create()

    assert str(REVIEWS) == str(chain.name_of(chain.load(second.chain)))
    assert first.chain != second.chain
    [entry] = [c for c in await daemon.items("/api/v1/certs") if c["kind"] == "workload"]
    assert (str(REVIEWS), "127.0.0.1", "certificate", "valid") == (
        entry["name"],
        entry["holder"],
        entry["attestor"],
        entry["state"],
    )


async def test_without_a_proof_there_is_no_certificate(daemon: Inside) -> None:
    refused = (grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")

    assert refused == await status(Client(daemon).create())
    assert refused == await status(Client(daemon).create("pilot-join-nothing"))


async def test_a_proxy_with_its_certificate_gets_its_configuration(daemon: Inside) -> None:
    said = await Client(daemon, await joined(daemon)).first_clusters(NODE)

    assert "outbound|80||reviews.shop.mesh" in said.names


async def test_configuration_is_for_those_only_who_prove_who_they_are(daemon: Inside) -> None:
    refused = (grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")

    assert refused == await Client(daemon).knock()


@pytest.mark.parametrize(
    ("node_id", "metadata", "words"),
    [
        ("sidecar~10.0.0.7~x.bank~mesh", {}, "it says namespace bank"),
        (NODE, {"NAMESPACE": "bank"}, "it says namespace bank"),
        (NODE, {"SERVICE_ACCOUNT": "ratings"}, "it says service account ratings"),
        ("anything", {}, "it says namespace default"),
    ],
)
async def test_a_proxy_that_says_it_is_somebody_else_gets_nothing_and_is_shown(
    daemon: Inside, node_id: str, metadata: dict[str, str], words: str
) -> None:
    identity = await joined(daemon)
    code, said = await status(Client(daemon, identity).first_clusters(node_id, metadata))

    assert grpc.StatusCode.PERMISSION_DENIED == code
    assert words not in said
    problem = await until_problem(daemon, "identity-mismatch")
    assert str(REVIEWS) == problem["object"]
    assert words in problem["message"]
    # The right one comes, and all is well.
    await Client(daemon, identity).first_clusters(NODE)
    assert "identity-mismatch" not in await daemon.codes()


async def test_the_inbound_side_of_somebody_else_s_address_is_not_given_away(
    daemon: Inside,
) -> None:
    ratings = await joined(daemon, SpiffeId("cluster.local", "/ns/shop/sa/ratings"))

    code, _ = await status(Client(daemon, ratings).first_clusters(NODE))
    assert grpc.StatusCode.PERMISSION_DENIED == code


async def test_an_address_that_becomes_somebody_else_s_ends_the_stream_of_who_had_it(
    daemon: Inside, tmp_path: Path
) -> None:
    assert daemon.parts.identity is not None
    client = Client(daemon, await joined(daemon))
    async with client.channel() as channel:
        stream = channel.stream_stream(f"{ADS}DeltaAggregatedResources")()
        asked = delta(CDS, ["*"], node=node(NODE))
        await stream.write(asked)
        await stream.read()
        catalogue = tmp_path / "catalogue" / "shop.yaml"
        # It goes, which is nobody's fault; then it comes back as another one's.
        text = catalogue.read_text()
        catalogue.write_text(text.replace("address: 10.0.0.7", "address: 10.0.0.6"))
        await until_endpoint(daemon, "10.0.0.6")
        assert not stream.done()
        catalogue.write_text(text.replace("service_account: reviews", "service_account: ratings"))

        assert grpc.StatusCode.PERMISSION_DENIED == await stream.code()
    problem = await until_problem(daemon, "identity-mismatch")
    assert "that of service account ratings" in problem["message"]


async def until_endpoint(daemon: Inside, address: str) -> None:
    async def there() -> bool:
        items = await daemon.items("/api/v1/services/reviews.shop.mesh/endpoints")
        return any(item["address"] == address for item in items)

    await until(there, f"an endpoint at {address}")


async def test_a_root_that_was_dropped_ends_no_stream_and_lets_nobody_in(daemon: Inside) -> None:
    assert daemon.parts.identity is not None
    authority, by = daemon.parts.identity.authority, {"who": "test", "why": "a test"}
    before = await joined(daemon)
    client = Client(daemon, before)
    async with client.channel() as channel:
        await channel.channel_ready()
        authority.prepare(**by)
        authority.activate(daemon.parts.identity.holders, force=True, **by)
        authority.drop(authority.signers[0].id, daemon.parts.identity.holders, force=True, **by)
        # The connection is as old as the root; what it shows is looked at anew.
        call = channel.unary_unary("/istio.v1.auth.IstioCertificateService/CreateCertificate")
        assert grpc.StatusCode.UNAUTHENTICATED == (await status(call(b"")))[0]


async def test_junk_is_refused_and_hurts_nobody(daemon: Inside) -> None:
    assert daemon.parts.secure is not None
    ip, _, port = daemon.parts.secure.address.rpartition(":")
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096, b"\x16\x03\x01\xff\xff"):
        reader, writer = await asyncio.open_connection(ip, int(port))
        writer.write(junk)
        writer.write_eof()
        await reader.read()
        writer.close()
    async with Client(daemon).channel() as channel:
        ads = channel.stream_stream("/envoy.service.discovery.v3.AggregatedDiscoveryService/X")()
        assert grpc.StatusCode.UNIMPLEMENTED == await ads.code()

    assert (
        "outbound|80||reviews.shop.mesh"
        in (await Client(daemon, await joined(daemon)).first_clusters(NODE)).names
    )
