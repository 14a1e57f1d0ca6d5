"""Our own certificate service, for agents: prove who you are, renew, and follow what is trusted.

    Attest   proof, (answer to a challenge), then requests ─▶   ◀─ identities, then certificates
    Renew    requests ─▶   ◀─ certificates, by the one that the caller shows
    Mint     audiences ─▶   ◀─ a token (JWT-SVID), by the same
    Follow   what is acknowledged ─▶   ◀─ roots and tainted signers, as long as it lasts

Rule 1: an agent learns which identities it has from us, and makes a key for each: nothing else of
its request is taken.
Rule 2: what agents acknowledge is what a rotation waits for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import DecodeError

from pilot_certs import spiffe
from pilot_certs.authority import Authority, Issued
from pilot_certs.caller import Authenticator, Call, Caller
from pilot_certs.exchange import Exchange, Methods
from pilot_certs.holders import Following, Holders
from pilot_certs.issuing import Issuing, Request
from pilot_certs.ledger import Holder
from pilot_certs.messages import (
    OWN,
    AttestRequest,
    AttestResponse,
    FollowRequest,
    FollowResponse,
    MintRequest,
    MintResponse,
    RenewRequest,
    RenewResponse,
)
from pilot_certs.refusal import InvalidRequest, Refused, Unauthenticated
from pilot_certs.spiffe import SpiffeId

SERVICE = f"{OWN}.Identity"
_MOST_WANTED = 100
_PATIENCE = 10.0
"""Seconds for each message of somebody who has not proved who he is yet."""
Ask: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Sends a challenge, and returns the answer. Raises Unauthenticated where there is none."""


class Proof(Protocol):
    """One kind of proof; `kind` in a request chooses it."""

    async def attest(self, payload: bytes, call: Call, ask: Ask) -> Caller:
        """Who this proves the caller to be. Raises Unauthenticated, NotAuthorized, NotReady."""


class IdentityService:
    """The methods over one authority."""

    def __init__(
        self,
        issuing: Issuing,
        authority: Authority,
        holders: Holders,
        *,
        known: Authenticator,
        proofs: Mapping[str, Proof],
    ) -> None:
        """`known` is how those are recognized who have a certificate of ours."""
        self._issuing, self._authority, self._holders = issuing, authority, holders
        self._known, self._proofs = known, proofs

    def methods(self) -> Methods:
        return {
            f"/{SERVICE}/Attest": self._attest,
            f"/{SERVICE}/Renew": self._renew,
            f"/{SERVICE}/Follow": self._follow,
            f"/{SERVICE}/Mint": self._mint,
        }

    async def _attest(self, exchange: Exchange) -> None:
        call = exchange.call
        first = await self._heard(exchange, AttestRequest)
        caller = await self._issuing.admit(call, self._by(first, exchange))
        named = AttestResponse(identities=map(str, caller.identities))
        await exchange.send(named.SerializeToString())
        asked = await self._heard(exchange, AttestRequest)
        await exchange.send(self._granted(AttestResponse(), asked.wanted, call, caller))

    def _by(self, first: Any, exchange: Exchange) -> Callable[[Call], Awaitable[Caller]]:
        async def ask(challenge: bytes) -> bytes:
            await exchange.send(AttestResponse(challenge=challenge).SerializeToString())
            answer: bytes = (await self._heard(exchange, AttestRequest)).answer
            return answer

        async def prove(call: Call) -> Caller:
            proof = self._proofs.get(first.kind)
            if proof is None:
                raise Unauthenticated("proof-kind", f"no proof is called {first.kind[:80]!r}")
            caller = await proof.attest(first.payload, call, ask)
            if not caller.identities:
                raise Unauthenticated("no-identity", f"{caller.evidence} has no identity")
            return caller

        return prove

    async def _renew(self, exchange: Exchange) -> None:
        call = exchange.call
        asked = await self._heard(exchange, RenewRequest)
        caller = await self._issuing.admit(call, self._certified)
        await exchange.send(self._granted(RenewResponse(), asked.wanted, call, caller))

    async def _mint(self, exchange: Exchange) -> None:
        asked = await self._heard(exchange, MintRequest)
        caller = await self._issuing.admit(exchange.call, self._certified)
        minted = self._issuing.mint(asked.audiences, exchange.call, caller)
        said = MintResponse(token=minted.token, not_after=int(minted.not_after))
        await exchange.send(said.SerializeToString())

    async def _certified(self, call: Call) -> Caller:
        caller = await self._known.authenticate(call)
        if caller is None:
            raise Unauthenticated("no-credentials", "the caller shows no certificate")
        return caller

    def _granted(self, made: Any, wanted: Any, call: Call, caller: Caller) -> bytes:
        if not 1 <= len(wanted) <= _MOST_WANTED:
            refused = InvalidRequest("csr-count", f"{len(wanted)} certificates asked for at once")
            self._issuing.refused(refused, call, caller)
            raise refused
        for one in wanted:
            issued = self._issuing.grant(_request(one), call, caller)
            _add(made.certificates, issued)
        made.roots.extend(map(_der, self._authority.roots))
        data: bytes = made.SerializeToString()
        return data

    async def _follow(self, exchange: Exchange) -> None:
        """Until the agent goes; what it has said counts no more then."""
        caller = await self._certified(exchange.call)
        session, changed = object(), asyncio.Event()
        self._authority.subscribe(changed.set)
        try:
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell(exchange, changed))
                await self._hear(exchange, caller, session)
                telling.cancel()
        except* (Refused, ConnectionError) as several:
            raise several.exceptions[0] from None
        finally:
            self._authority.unsubscribe(changed.set)
            self._holders.gone(session)

    async def _tell(self, exchange: Exchange, changed: asyncio.Event) -> None:
        while True:
            changed.clear()
            tainted = [s.id for s in self._authority.signers if s.is_tainted]
            said = FollowResponse(sequence=self._authority.sequence, tainted=tainted)
            said.roots.extend(map(_der, self._authority.roots))
            for key in self._authority.jwt_keys:
                said.jwt_keys.add(kid=key.kid, spki=key.spki)
            await exchange.send(said.SerializeToString())
            await changed.wait()

    async def _hear(self, exchange: Exchange, caller: Caller, session: object) -> None:
        call = exchange.call
        while (data := await exchange.receive()) is not None:
            said = _decoded(FollowRequest, data)
            names = {caller.identities[0], *map(spiffe.parse, said.identities[:_MOST_WANTED])}
            trusted = frozenset(said.roots)
            self._holders.heard(
                session,
                Following(
                    agent=f"{caller.identities[0]} at {call.peer}",
                    holders=frozenset(Holder(name, call.peer) for name in names),
                    roots=frozenset(r for r in self._authority.roots if digest(r) in trusted),
                    signers=frozenset(said.signers),
                ),
            )

    async def _heard(self, exchange: Exchange, kind: Any) -> Any:
        try:
            async with asyncio.timeout(_PATIENCE):
                data = await exchange.receive()
            return _decoded(kind, data or b"")
        except TimeoutError:
            refused: Refused = Unauthenticated("too-slow", "the caller says nothing")
        except Refused as error:
            refused = error
        self._issuing.refused(refused, exchange.call)
        raise refused


class TokenProof:
    """The proof that a token is, whatever takes it: a join token, a platform's."""

    def __init__(self, *takers: Authenticator) -> None:
        self._takers = takers

    async def attest(self, payload: bytes, call: Call, ask: Ask) -> Caller:
        token = payload.decode("ascii", "replace")
        for taker in self._takers:
            caller = await taker.authenticate(Call(peer=call.peer, token=token))
            if caller is not None:
                return caller
        raise Unauthenticated("token", "a token of nobody that we know")


def digest(root: str) -> str:
    """By what an agent names a root (PEM): SHA-256 of the certificate, in hexadecimal."""
    return hashlib.sha256(_der(root)).hexdigest()


def _request(one: Any) -> Request:
    name: SpiffeId | None = spiffe.parse(one.spiffe_id) if one.spiffe_id else None
    return Request(csr=one.csr, is_der=True, seconds=one.seconds, wanted=name)


def _add(certificates: Any, issued: Issued) -> None:
    added = certificates.add(spiffe_id=str(issued.name), signer=issued.signer)
    added.chain.extend(map(_der, issued.chain))


def _der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def _decoded(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidRequest("message", str(error)) from None
