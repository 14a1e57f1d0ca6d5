"""The control plane as an agent reaches it: over TLS, and only after it has proved who it is.

Rule 1: the server is known by its SPIFFE id, by the roots that we trust: a certificate that the
mesh has given to somebody else is not enough, whatever name it has.
Rule 2: nothing is sent before that: not a token, not a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import DecodeError
from grpclib import GRPCError, Status
from grpclib.client import Channel, Stream
from grpclib.const import Cardinality
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from grpclib.protocol import H2Protocol

from pilot_certs import attest_service, chain, csr, serving, spiffe
from pilot_certs.agent import held
from pilot_certs.agent.codec import Bytes
from pilot_certs.agent.held import Svid
from pilot_certs.agent.renewal import Answer
from pilot_certs.attest_service import digest
from pilot_certs.jwt_svids import Minted, PublicKey
from pilot_certs.messages import (
    AttestRequest,
    AttestResponse,
    FollowRequest,
    FollowResponse,
    MintRequest,
    MintResponse,
    RenewRequest,
    RenewResponse,
)
from pilot_certs.refusal import InvalidRequest
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied, Unavailable

_PATIENCE = 15.0
_NEVER_AGAIN = (Status.UNAUTHENTICATED, Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT)
_Stream: TypeAlias = Stream[bytes, bytes]


class Answered(NamedTuple):
    """Certificates with their keys, and the roots (PEM)."""

    svids: tuple[Svid, ...]
    roots: tuple[str, ...]


class Told(NamedTuple):
    """What the authority says to those who follow it."""

    roots: tuple[str, ...]
    tainted: frozenset[str]
    jwt_keys: tuple[PublicKey, ...] = ()


class Report(NamedTuple):
    """What an agent says of itself and its proxies."""

    roots: tuple[str, ...]
    signers: tuple[str, ...]
    identities: tuple[SpiffeId, ...]


class Proof(Protocol):
    """How an agent proves who it is where it has no certificate yet."""

    @property
    def kind(self) -> str: ...

    async def payload(self) -> bytes:
        """Raises PilotError, OSError where it has none now."""

    async def answer(self, challenge: bytes) -> bytes:
        """To what the server asks. Raises Denied where this proof has no answers."""


class Remote:
    """One control plane at `HOST:PORT`."""

    def __init__(self, address: str, trust_domain: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._server = SpiffeId(trust_domain, serving.PATH)

    async def join(self, proof: Proof, roots: Sequence[str]) -> Answered:
        """Certificates for all identities that the proof is worth. Raises Denied, Unavailable."""
        async with self._stream("Attest", Cardinality.STREAM_STREAM, roots, None) as stream:
            first = AttestRequest(kind=proof.kind, payload=await proof.payload())
            await stream.send_message(first.SerializeToString())
            said = await _said(stream, AttestResponse)
            while said.challenge:
                answer = AttestRequest(answer=await proof.answer(said.challenge))
                await stream.send_message(answer.SerializeToString())
                said = await _said(stream, AttestResponse)
            keys = {
                spiffe.parse(n): ec.generate_private_key(ec.SECP256R1()) for n in said.identities
            }
            asked = AttestRequest()
            _ask(asked.wanted, keys)
            await stream.send_message(asked.SerializeToString(), end=True)
            return _answered(await _said(stream, AttestResponse), keys)

    async def renew(self, request: bytes, current: Svid, roots: Sequence[str]) -> Answer:
        """A certificate for this request (DER), in the place of one that is still valid. Raises
        Denied, Unavailable."""
        async with self._stream("Renew", Cardinality.UNARY_UNARY, roots, current) as stream:
            asked = RenewRequest()
            asked.wanted.add(spiffe_id=str(current.name), csr=request)
            await stream.send_message(asked.SerializeToString(), end=True)
            said = await _said(stream, RenewResponse)
        if len(said.certificates) != 1:
            raise Unavailable(f"{len(said.certificates)} certificates, where 1 was asked for")
        [one] = said.certificates
        return Answer(tuple(map(_pem, one.chain)), tuple(map(_pem, said.roots)), one.signer)

    async def mint(self, audiences: Sequence[str], current: Svid, roots: Sequence[str]) -> Minted:
        """A token for these audiences, by this certificate. Raises Denied, Unavailable."""
        async with self._stream("Mint", Cardinality.UNARY_UNARY, roots, current) as stream:
            asked = MintRequest(audiences=audiences)
            await stream.send_message(asked.SerializeToString(), end=True)
            said = await _said(stream, MintResponse)
        return Minted(said.token, float(said.not_after))

    async def follow(
        self,
        current: Svid,
        roots: Sequence[str],
        *,
        told: Callable[[Told], None],
        report: Callable[[], Awaitable[Report]],
    ) -> None:
        """Hear what is trusted, and report what `report` returns, whenever it returns. Until the
        server ends it. Raises Denied, Unavailable."""
        async with self._stream(
            "Follow", Cardinality.STREAM_STREAM, roots, current, timeout=None
        ) as stream:
            await stream.send_request()
            await _both(_hear(stream, told), _report(stream, report))

    @contextlib.asynccontextmanager
    async def _stream(
        self,
        method: str,
        cardinality: Cardinality,
        roots: Sequence[str],
        current: Svid | None,
        *,
        timeout: float | None = _PATIENCE,
    ) -> AsyncIterator[_Stream]:
        channel = _Known(self._host, self._port, _context(roots, current), self._server)
        path = f"/{attest_service.SERVICE}/{method}"
        try:
            async with channel.request(path, cardinality, bytes, bytes, timeout=timeout) as stream:
                yield stream
        except GRPCError as error:
            words = f"{self._host}:{self._port}: {error.message or error.status.name.lower()}"
            kind = Denied if error.status in _NEVER_AGAIN else Unavailable
            raise kind(words) from None
        except (OSError, TimeoutError, ProtocolError, StreamTerminatedError) as error:
            raise Unavailable(
                f"{self._host}:{self._port}: {error or type(error).__name__}"
            ) from None
        finally:
            channel.close()


class _Known(Channel):
    """A channel to a server of which it is known who it is."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, server: SpiffeId) -> None:
        super().__init__(host, port, ssl=context, codec=Bytes())
        self._server = server

    async def _create_connection(self) -> H2Protocol:
        # Not part of grpclib's public face; setup.cfg keeps to versions that have it.
        transport, protocol = await self._loop.create_connection(
            self._protocol_factory, self._host, self._port, ssl=self._ssl
        )
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        try:
            who = chain.name_of(x509.load_der_x509_certificate(shown))
        except chain.Untrusted as error:
            transport.abort()
            raise ConnectionError(f"the server is nobody that we know: {error}") from None
        if who != self._server:
            transport.abort()
            raise ConnectionError(f"the server is {who}, and not {self._server}")
        return protocol


def _context(roots: Sequence[str], current: Svid | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # Who the server is, its SPIFFE id says: see `_Known`.
    made.check_hostname = False
    made.load_verify_locations(cadata="".join(roots))
    made.set_alpn_protocols(["h2"])
    if current is not None:
        serving.load(made, current.chain, current.key)
    return made


def _ask(wanted: Any, keys: Mapping[SpiffeId, ec.EllipticCurvePrivateKey]) -> None:
    for name, key in keys.items():
        wanted.add(spiffe_id=str(name), csr=csr.make(key))


def _answered(said: Any, keys: Mapping[SpiffeId, ec.EllipticCurvePrivateKey]) -> Answered:
    """Raises Unavailable where the answer makes no sense."""
    try:
        svids = tuple(_svid(one, keys) for one in said.certificates)
        if {svid.name for svid in svids} != keys.keys():
            raise chain.Untrusted("not every certificate that was asked for")
    except (chain.Untrusted, InvalidRequest) as error:
        raise Unavailable(f"an answer that makes no sense: {error}") from None
    return Answered(svids, tuple(map(_pem, said.roots)))


def _svid(one: Any, keys: Mapping[SpiffeId, ec.EllipticCurvePrivateKey]) -> Svid:
    name = spiffe.parse(one.spiffe_id)
    if name not in keys:
        raise chain.Untrusted(f"a certificate for {name}, which nobody asked for")
    return held.svid(name, tuple(map(_pem, one.chain)), keys[name], signer=one.signer)


async def _said(stream: _Stream, kind: Any) -> Any:
    data = await stream.recv_message()
    try:
        if data is not None:
            return kind.FromString(data)
    except DecodeError as error:
        raise Unavailable(f"no answer of this protocol: {error}") from None
    raise Unavailable("the server ended the call without an answer")


async def _hear(stream: _Stream, told: Callable[[Told], None]) -> None:
    while (data := await stream.recv_message()) is not None:
        said = FollowResponse.FromString(data)
        keys = tuple(PublicKey(key.kid, key.spki) for key in said.jwt_keys)
        told(Told(tuple(map(_pem, said.roots)), frozenset(said.tainted), keys))


async def _report(stream: _Stream, report: Callable[[], Awaitable[Report]]) -> None:
    while True:
        now = await report()
        said = FollowRequest(
            roots=map(digest, now.roots), signers=now.signers, identities=map(str, now.identities)
        )
        await stream.send_message(said.SerializeToString())


async def _both(hearing: Awaitable[None], reporting: Awaitable[None]) -> None:
    """Until one of them ends; then the other one does too."""
    tasks = [asyncio.ensure_future(hearing), asyncio.ensure_future(reporting)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _pem(der: bytes) -> str:
    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise Unavailable(f"no certificate: {error}") from None
    return certificate.public_bytes(Encoding.PEM).decode()
