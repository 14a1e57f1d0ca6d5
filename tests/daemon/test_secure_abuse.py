"""Strangers and liars at the port for mutual TLS: each call ends in a refusal, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import struct_pb2
from grpc import aio

from inside import Inside, inside
from joining import REVIEWS, Site, secure_mesh
from pilot_certs.attest_service import SERVICE
from pilot_certs.messages import (
    AttestRequest,
    CertificateRequest,
    FollowRequest,
    MintRequest,
    RenewRequest,
)
from pilot_core.daemon.memory import resident
from secure_client import ADS, CREATE, NAME, Client, Identity

OWN = f"/{SERVICE}/"
METHODS = (
    CREATE,
    *(f"{OWN}{name}" for name in ("Attest", "Renew", "Follow", "Mint")),
    f"{ADS}DeltaAggregatedResources",
    f"{ADS}StreamAggregatedResources",
)
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def _deep(levels: int) -> bytes:
    """A request whose metadata are so many structs inside each other."""
    value = struct_pb2.Value(string_value="x").SerializeToString()
    for _ in range(levels):
        # Value.struct_value = Struct{fields: {"": value}}, by hand: a library would not go so deep.
        entry = b"\x12" + _size(value) + value
        struct = b"\x0a" + _size(entry) + entry
        value = b"\x2a" + _size(struct) + struct
    return b"\x22" + _size(value[1:]) + value[1:]


def _size(data: bytes) -> bytes:
    size, made = len(data), b""
    while size > 127:
        made, size = made + bytes([size & 127 | 128]), size >> 7
    return made + bytes([size])


PAYLOADS = {
    "nothing": b"",
    "junk": b"\xff" * 50,
    "zeros": b"\0" * 60_000,
    "deep": _deep(5000),
    "long": CertificateRequest(csr="x" * 60_000).SerializeToString(),
    "too long": b"\x0a" + _size(b"x" * 200_000) + b"x" * 200_000,
    "names": RenewRequest(
        wanted=[{"spiffe_id": f"spiffe://evil/{n}", "csr": b"x"} for n in range(1000)]
    ).SerializeToString(),
    "proof": AttestRequest(kind="x" * 10_000, payload=b"\0" * 40_000).SerializeToString(),
    "audiences": MintRequest(audiences=["a"] * 5000).SerializeToString(),
    "report": FollowRequest(identities=["x\0y"] * 100, roots=["\n"] * 100).SerializeToString(),
}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Inside]:
    more = f"identity: {{dns_names: [{NAME}]}}\n"
    async with inside(secure_mesh(tmp_path, more=more)) as made:
        yield made


async def _ended(channel: aio.Channel, method: str, payload: bytes) -> grpc.StatusCode:
    call = channel.stream_stream(method)()
    try:
        async with asyncio.timeout(15):
            await call.write(payload)
            await call.done_writing()
            while await call.read() is not aio.EOF:
                pass
    except aio.AioRpcError:
        # A write that comes behind the refusal; the status says how it ended.
        return grpc.StatusCode.UNAUTHENTICATED
    return await call.code()


async def _all(daemon: Inside, identity: Identity | None) -> dict[str, grpc.StatusCode]:
    found = {}
    async with Client(daemon, identity).channel() as channel:
        for method in METHODS:
            for name, payload in PAYLOADS.items():
                found[f"{method} {name}"] = await _ended(channel, method, payload)
    return found


async def test_a_stranger_s_junk_is_refused_everywhere_and_costs_nothing(daemon: Inside) -> None:
    before = resident()
    codes = await _all(daemon, None)

    assert {} == {call: code for call, code in codes.items() if code not in REFUSALS}
    assert resident() - before < 50 << 20
    assert [] == [
        p for p in await daemon.items("/api/v1/problems") if p["code"] == "internal-error"
    ]


async def test_a_workload_s_junk_is_refused_or_changes_nothing(
    daemon: Inside, tmp_path: Path
) -> None:
    site = Site(daemon, tmp_path)
    identity = await Client(daemon).create(site.identity.tokens.create(REVIEWS.path))
    codes = await _all(daemon, identity)

    # What is no request of theirs ends streams well: an empty report, an empty node.
    well = {call for call, code in codes.items() if code is grpc.StatusCode.OK}
    assert {call.split()[0] for call in well} <= {f"{OWN}Follow"}
    rest = {c: code for c, code in codes.items() if code not in REFUSALS and c not in well}
    assert {} == rest
    assert {str(REVIEWS)} == {
        c["name"] for c in await daemon.items("/api/v1/certs") if c["kind"] == "workload"
    }


async def test_nobody_gets_another_s_identity_by_asking_for_it(
    daemon: Inside, tmp_path: Path
) -> None:
    site = Site(daemon, tmp_path)
    identity = await Client(daemon).create(site.identity.tokens.create(REVIEWS.path))
    client = Client(daemon, identity)
    for wanted in (
        "spiffe://cluster.local/ns/shop/sa/ratings",
        "spiffe://cluster.local/pilot-core/control-plane",
        "spiffe://cluster.local/ns/shop/sa/reviews/",
        "spiffe://cluster.local/ns/shop/sa/reviews\0",
        "spiffe://CLUSTER.LOCAL/ns/shop/sa/reviews",
        "spiffe://other/ns/shop/sa/reviews",
    ):
        asked = {"metadata": {"ImpersonatedIdentity": wanted}}
        with pytest.raises(aio.AioRpcError) as refused:
            await client.create(**asked)
        assert refused.value.code() in (
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.INVALID_ARGUMENT,
        )
        assert "ratings" not in str(refused.value.details())
