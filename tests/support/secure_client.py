"""A client of the port for mutual TLS, on gRPC's own library: joins, renews, asks for
configuration."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, NamedTuple

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio

import authorities
from inside import Inside
from pilot_certs.messages import CertificateRequest, CertificateResponse
from pilot_xds.types import ResourceType, Variant
from xds_messages import Said, delta, node, read

NAME = "pilot.test"
CREATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
SECURE = (
    f'xds: {{address: "127.0.0.1:0", secure_address: "127.0.0.1:0"}}\n'
    f"identity: {{dns_names: [{NAME}]}}\nstate_dir: state\n"
)


class Identity(NamedTuple):
    """What a workload holds after it has joined."""

    key: ec.EllipticCurvePrivateKey
    chain: str
    roots: str


class Client:
    """Somebody at the port: with a certificate, or without."""

    def __init__(self, daemon: Inside, identity: Identity | None = None) -> None:
        self.daemon, self.identity = daemon, identity

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[aio.Channel]:
        parts = self.daemon.parts
        assert parts.secure is not None
        assert parts.identity is not None
        roots = "".join(parts.identity.authority.roots).encode()
        key = authorities.private_pem(self.identity.key) if self.identity else None
        shown = self.identity.chain.encode() if self.identity else None
        credentials = grpc.ssl_channel_credentials(roots, key, shown)
        options = [("grpc.ssl_target_name_override", NAME)]
        async with aio.secure_channel(parts.secure.address, credentials, options=options) as made:
            yield made

    async def create(self, token: str = "", **fields: Any) -> Identity:
        """A certificate by Istio's call."""
        key = authorities.key()
        request = CertificateRequest(csr=authorities.csr_pem(key).decode(), **fields)
        async with self.channel() as channel:
            headers = (("authorization", f"Bearer {token}"),) if token else ()
            data = await channel.unary_unary(CREATE)(request.SerializeToString(), metadata=headers)
        *chain, roots = CertificateResponse.FromString(data).cert_chain
        return Identity(key, "".join(chain), roots)

    async def knock(self, token: str = "") -> tuple[grpc.StatusCode, str]:
        """How a stream ends on which nothing is said: gRPC's client would answer "internal" to a
        write that comes after the refusal."""
        headers = (("authorization", f"Bearer {token}"),) if token else ()
        async with self.channel() as channel:
            stream = channel.stream_stream(f"{ADS}DeltaAggregatedResources")(metadata=headers)
            return await stream.code(), await stream.details()

    async def first_clusters(
        self, node_id: str, metadata: dict[str, str] | None = None, *, token: str = ""
    ) -> Said:
        """The first response to a subscription to all clusters."""
        who = node(node_id)
        if metadata:
            who.metadata.update(metadata)
        asked = delta(ResourceType.CLUSTER, ["*"], node=who)
        async with self.channel() as channel:
            headers = (("authorization", f"Bearer {token}"),) if token else ()
            call = channel.stream_stream(f"{ADS}DeltaAggregatedResources")
            stream = call(metadata=headers)
            with contextlib.suppress(aio.AioRpcError):
                # A write to a stream that is refused at once fails, without saying why.
                await stream.write(asked)
            data = await stream.read()
            if data is grpc.aio.EOF:
                raise aio.AioRpcError(
                    await stream.code(),
                    await stream.initial_metadata(),
                    await stream.trailing_metadata(),
                    await stream.details(),
                )
            return read(Variant.DELTA, data)


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """The status with which a call is refused."""
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""
