"""The agent's socket: PyPI's `spiffe` client and a gRPC client, each told what is its own."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from spiffe import WorkloadApiClient

import authorities
from authorities import DOMAIN, REVIEWS
from mesh import until
from nodes import CLIENT, Node
from pilot_certs import chain
from pilot_certs.agent import peers
from pilot_certs.agent.peers import Entry, Peer
from pilot_certs.messages import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    Secret,
)
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import SystemClock

SDS = "/envoy.service.secret.v3.SecretDiscoveryService/"
SPIFFE = (("workload.spiffe.io", "true"),)
EMPTY = b""


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    # Paths of sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="node-") as folder:
        authority = authorities.started(Path(folder), SystemClock())
        async with Node(Path(folder) / "agent.sock", authority, REVIEWS, CLIENT).running() as made:
            yield made


def _channel(node: Node) -> aio.Channel:
    return aio.insecure_channel(f"unix:{node.path}")


async def test_the_spiffe_client_gets_certificates_keys_and_roots(node: Node) -> None:
    def ask() -> Any:
        with WorkloadApiClient(f"unix:{node.path}") as client:
            return client.fetch_x509_context()

    context = await asyncio.to_thread(ask)

    assert [str(REVIEWS), str(CLIENT)] == [str(s.spiffe_id) for s in context.x509_svids]
    shown = [s.leaf.serial_number for s in context.x509_svids]
    held = [chain.load(s.chain[0]).serial_number for s in node.held.svids.values()]
    assert sorted(held) == sorted(shown)
    (bundle,) = context.x509_bundle_set.bundles
    assert [chain.load(root) for root in node.held.roots] == list(bundle.x509_authorities)


async def test_the_spiffe_client_follows_what_changes(node: Node) -> None:
    seen: list[int] = []

    def start() -> Any:
        client = WorkloadApiClient(f"unix:{node.path}")
        client.stream_x509_contexts(
            lambda context: seen.append(context.default_svid.leaf.serial_number), seen.append
        )
        return client

    client = await asyncio.to_thread(start)
    try:
        for _ in range(3):
            await node.renew()
            wanted = chain.load(node.held.svids[REVIEWS].chain[0]).serial_number

            async def told(wanted: int = wanted) -> bool:
                return wanted in seen

            await until(told, "the new certificate")
    finally:
        await asyncio.to_thread(client.close)

    assert 3 <= len(set(seen))


@pytest.mark.parametrize("method", ["FetchX509SVID", "FetchX509Bundles"])
async def test_a_call_without_the_header_is_no_call_of_a_workload(node: Node, method: str) -> None:
    async with _channel(node) as channel:
        with pytest.raises(aio.AioRpcError) as refused:
            await channel.unary_stream(f"/SpiffeWorkloadAPI/{method}")(EMPTY).read()

    assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code()


async def test_who_has_no_entry_gets_nothing(node: Node) -> None:
    node.server.entries = (Entry(REVIEWS, os.geteuid() + 1),)
    request = DiscoveryRequest(resource_names=["default"]).SerializeToString()
    async with _channel(node) as channel:
        calls = [
            channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")(EMPTY, metadata=SPIFFE),
            channel.unary_stream("/SpiffeWorkloadAPI/FetchX509Bundles")(EMPTY, metadata=SPIFFE),
            channel.stream_stream(f"{SDS}StreamSecrets")(iter([request])),
        ]
        codes = [await _code(call) for call in calls]

    assert [grpc.StatusCode.PERMISSION_DENIED] * 3 == codes


async def _code(call: Any) -> Any:
    with pytest.raises(aio.AioRpcError) as refused:
        await call.read()
    return refused.value.code()


def test_the_kernel_says_which_user_connects(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else for once")
    nobody = 65534
    with tempfile.TemporaryDirectory(prefix="node-") as folder, socket.socket(socket.AF_UNIX) as at:
        Path(folder).chmod(0o755)
        at.bind(f"{folder}/s")
        Path(f"{folder}/s").chmod(0o666)
        at.listen()
        with socket.socket(socket.AF_UNIX) as raw:
            os.seteuid(nobody)
            try:
                raw.connect(f"{folder}/s")
            finally:
                os.seteuid(0)
            accepted, _ = at.accept()
        with accepted:
            peer = peers.of(accepted)

    assert nobody == peer.uid
    assert (CLIENT,) == peers.allowed(peer, (Entry(REVIEWS, 0), Entry(CLIENT, nobody)))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (f"spiffe://{DOMAIN}/ns/shop/sa/other", grpc.StatusCode.PERMISSION_DENIED),
        (f"spiffe://{DOMAIN}/ns/shop/sa/reviews/", grpc.StatusCode.INVALID_ARGUMENT),
        ("spiffe://other.example", grpc.StatusCode.PERMISSION_DENIED),
        ("anything", grpc.StatusCode.INVALID_ARGUMENT),
        ("file-cert:/etc/passwd~/etc/shadow", grpc.StatusCode.INVALID_ARGUMENT),
        ("", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_secret_that_is_not_ones_own_is_refused(node: Node, name: str, code: Any) -> None:
    request = DiscoveryRequest(resource_names=[name]).SerializeToString()
    async with _channel(node) as channel:
        assert code is await _code(channel.stream_stream(f"{SDS}StreamSecrets")(iter([request])))


async def test_junk_is_refused_and_the_socket_lives_on(node: Node) -> None:
    async with _channel(node) as channel:
        for method in ("StreamSecrets", "DeltaSecrets"):
            call = channel.stream_stream(SDS + method)(iter([b"\xff\xff\xff"]))
            assert grpc.StatusCode.INVALID_ARGUMENT is await _code(call)
        foreign = DiscoveryRequest(type_url="type.googleapis.com/x").SerializeToString()
        call = channel.stream_stream(f"{SDS}StreamSecrets")(iter([foreign]))
        assert grpc.StatusCode.INVALID_ARGUMENT is await _code(call)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(node.path))
        raw.sendall(b"\0" * 1000)

    assert {"default"} == set(await _fetched(node, "default"))


async def test_of_several_identities_of_one_user_a_proxy_gets_the_one_that_its_node_names(
    node: Node,
) -> None:
    for account, name in (("reviews", REVIEWS), ("client", CLIENT), ("nobody", REVIEWS)):
        found = await _fetched(node, "default", account=account)
        leaf = found["default"].tls_certificate.certificate_chain.inline_bytes.decode()
        assert name == chain.name_of(chain.load(leaf))


async def _fetched(node: Node, *names: str, account: str = "") -> dict[str, Any]:
    asked = DiscoveryRequest(resource_names=names)
    if account:
        asked.node.metadata.update({"NAMESPACE": "shop", "SERVICE_ACCOUNT": account})
    request = asked.SerializeToString()
    async with _channel(node) as channel:
        answer = await channel.unary_unary(f"{SDS}FetchSecrets")(request)
    found = [Secret.FromString(r.value) for r in DiscoveryResponse.FromString(answer).resources]
    return {secret.name: secret for secret in found}


async def test_a_fetch_answers_at_once_under_every_name_that_is_ones_own(node: Node) -> None:
    found = await _fetched(node, "default", "ROOTCA", str(CLIENT), f"spiffe://{DOMAIN}")

    shown = {
        name: chain.name_of(chain.load(s.tls_certificate.certificate_chain.inline_bytes.decode()))
        for name, s in found.items()
        if s.HasField("tls_certificate")
    }
    assert {"default": REVIEWS, str(CLIENT): CLIENT} == shown
    roots = "".join(node.held.roots).encode()
    for name in ("ROOTCA", f"spiffe://{DOMAIN}"):
        assert roots == found[name].validation_context.trusted_ca.inline_bytes


async def test_a_delta_stream_hears_of_what_changes_and_of_nothing_else(node: Node) -> None:
    async with _channel(node) as channel:
        call = channel.stream_stream(f"{SDS}DeltaSecrets")()
        names = ["default", "ROOTCA"]
        await call.write(DeltaDiscoveryRequest(resource_names_subscribe=names).SerializeToString())
        first = DeltaDiscoveryResponse.FromString(await call.read())
        await call.write(DeltaDiscoveryRequest(response_nonce=first.nonce).SerializeToString())
        await node.renew()
        second = DeltaDiscoveryResponse.FromString(await call.read())
        call.cancel()

    assert names == [r.name for r in first.resources]
    assert ["default"] == [r.name for r in second.resources]


async def test_connections_that_come_and_go_leave_nothing(node: Node) -> None:
    await _fetched(node, "default")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(1000):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(node.path))
        await asyncio.sleep(0)

    async def closed() -> bool:
        return len(os.listdir("/proc/self/fd")) <= before

    await until(closed, "all connections to be closed")
    assert await _fetched(node, "default")


async def test_the_socket_takes_the_place_of_one_that_was_left_behind(node: Node) -> None:
    await node.server.stop()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(node.path))
    await node.server.start()

    assert stat.S_ISSOCK(node.path.stat().st_mode)
    assert await _fetched(node, "default")


def test_only_a_unix_socket_says_who_is_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_INET) as inet:
        assert Peer(os.getpid(), os.geteuid(), os.getegid()) == peers.of(ours)
        with pytest.raises(OSError, match="Unix socket"):
            peers.of(inet)


def test_no_entry_no_identity() -> None:
    entries = (Entry(SpiffeId(DOMAIN, "/a"), 1), Entry(SpiffeId(DOMAIN, "/b"), 2))

    assert () == peers.allowed(Peer(10, 0, 0), entries)
    assert (entries[1].name,) == peers.allowed(Peer(10, 2, 0), entries)
