"""Issuing: from a call to a certificate or a refusal, with limits and a record of each decision.

    size ─▶ limits ─▶ who is it? ─▶ may he? ─▶ is the request sound? ─▶ sign ─▶ record

Rule 1: cheap checks come before dear ones, and a stranger costs us neither a signature check nor
a question to a platform that he could ask for without end.
Rule 2: every call ends in a certificate or in `Refused`, and both are recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec

from pilot_certs import csr
from pilot_certs.audit import AuditLog, Decision
from pilot_certs.authority import Authority, Issued
from pilot_certs.caller import Authenticator, Call, Caller
from pilot_certs.jwt_svids import Minted
from pilot_certs.ledger import Held, Holder, Ledger
from pilot_certs.limits import Buckets, Rate
from pilot_certs.refusal import InvalidRequest, RateLimited, Refused, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_certs.turns import Turns

LONGEST_TOKEN = 16 << 10
_LONGEST_REASON = 500


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    csr: bytes
    is_der: bool = False
    """PEM otherwise."""
    seconds: int = 0
    """How long it should be valid; 0 or less is the default."""
    wanted: SpiffeId | None = None
    """One of the caller's identities; None is the usual one."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much anybody gets."""

    identity: Rate = Rate(10, 200)
    """Certificates for one identity, which all instances of a workload share."""
    failures: Rate = Rate(1, 20)
    """Calls from one address that prove nothing."""
    waiting: int = 1000
    """Calls of strangers whose proof is being looked at, all in all."""


Proof: TypeAlias = Callable[[Call], Awaitable[Caller]]
"""Finds out who calls. Raises Refused."""


class Issuing:
    """Issues certificates to whom one of the authenticators knows."""

    def __init__(
        self,
        authority: Authority,
        authenticators: Sequence[Authenticator],
        audit: AuditLog,
        *,
        limits: Limits | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        limits = limits or Limits()
        self._ledger = ledger
        self._authority, self._authenticators, self._audit = authority, authenticators, audit
        self._per_identity = Buckets(limits.identity, authority.clock)
        self._failures = Buckets(limits.failures, authority.clock)
        self._most_waiting = limits.waiting
        self._waiting = 0
        self._turns = Turns()
        self.counts: Counter[str] = Counter()
        """`requests`, `issued`, and refusals by class, such as `InvalidRequest`."""
        self.refusals: Counter[str] = Counter()
        """Refusals by reason."""

    async def issue(self, request: Request, call: Call) -> Issued:
        """A certificate, for whom one of the authenticators knows. Raises Refused."""
        try:
            _check_size(request)
        except Refused as refused:
            self.counts["requests"] += 1
            self.refused(refused, call, wanted=request.wanted)
            raise
        caller = await self.admit(call, self._authenticated, wanted=request.wanted)
        return self.grant(request, call, caller)

    async def admit(self, call: Call, proof: Proof, *, wanted: SpiffeId | None = None) -> Caller:
        """Who calls, by a proof that is looked at within the limits. Raises Refused."""
        self.counts["requests"] += 1
        try:
            return await self._known(call, proof)
        except Refused as refused:
            self.refused(refused, call, wanted=wanted)
            raise

    def grant(self, request: Request, call: Call, caller: Caller) -> Issued:
        """A certificate for somebody who is known. Raises Refused."""
        try:
            _check_size(request)
            issued = self._signed(request, caller)
        except Refused as refused:
            self.refused(refused, call, caller, wanted=request.wanted)
            raise
        self.counts["issued"] += 1
        self._audit.write(_issued(call, caller, request, issued))
        if self._ledger is not None:
            self._ledger.note(_held(call, caller, issued))
        return issued

    def mint(self, audiences: Sequence[str], call: Call, caller: Caller) -> Minted:
        """A token for somebody who is known. Raises Refused."""
        name = caller.identities[0]
        self.counts["requests"] += 1
        try:
            if not self._per_identity.take(str(name)):
                raise RateLimited("identity-limit", f"too many tokens for {name}")
            minted = self._authority.mint(name, audiences)
        except Refused as refused:
            self.refused(refused, call, caller, wanted=name)
            raise
        self.counts["minted"] += 1
        self._audit.write(
            Decision(
                event="minted",
                peer=call.peer,
                attestor=caller.attestor,
                evidence=caller.evidence,
                requested=" ".join(audiences),
                granted=str(name),
                not_after=minted.not_after,
            )
        )
        return minted

    def refused(
        self,
        why: Refused,
        call: Call,
        caller: Caller | None = None,
        *,
        wanted: SpiffeId | None = None,
    ) -> None:
        """Count and record a refusal, also one of bytes that are no request."""
        self.refusals[why.reason] += 1
        self.counts[type(why).__name__] += 1
        self._audit.write(
            Decision(
                event="denied",
                peer=call.peer,
                attestor=caller.attestor if caller else "",
                evidence=caller.evidence if caller else "",
                requested=str(wanted or ""),
                reason=f"{why.reason}: {why}"[:_LONGEST_REASON],
            )
        )

    async def _known(self, call: Call, proof: Proof) -> Caller:
        if len(call.token) > LONGEST_TOKEN:
            raise Unauthenticated("token-size", f"a token of {len(call.token)} bytes")
        # Who shows a certificate of ours is renewed, however many others fail at his address, and
        # however many strangers keep the authority waiting.
        if not call.certificates:
            if self._failures.is_empty(call.peer):
                raise RateLimited("source-limit", f"too many failures from {call.peer}")
            if self._waiting >= self._most_waiting:
                raise RateLimited("queue-full", f"{self._waiting} calls are being looked at")
        self._waiting += not call.certificates
        try:
            await self._turns.next()
            return await proof(call)
        except Unauthenticated:
            self._failures.take(call.peer)
            raise
        finally:
            self._waiting -= not call.certificates

    async def _authenticated(self, call: Call) -> Caller:
        for authenticator in self._authenticators:
            caller = await authenticator.authenticate(call)
            if caller is not None:
                return caller
        raise Unauthenticated("no-credentials", "the call carries nothing that anybody knows")

    def _signed(self, request: Request, caller: Caller) -> Issued:
        name = caller.authorized(request.wanted)
        if not self._per_identity.take(str(name)):
            raise RateLimited("identity-limit", f"too many certificates for {name}")
        read = csr.from_der if request.is_der else csr.from_pem
        key = read(request.csr)
        return self._authority.sign(key, name, seconds=request.seconds)


def _check_size(request: Request) -> None:
    if len(request.csr) > csr.LONGEST:
        raise InvalidRequest("csr-size", f"a request of {len(request.csr)} bytes")


def _held(call: Call, caller: Caller, issued: Issued) -> Held:
    return Held(
        holder=Holder(issued.name, call.peer),
        attestor=caller.attestor,
        serial=f"{issued.serial:x}",
        signer=issued.signer,
        window=issued.window,
        roots=frozenset(issued.roots),
    )


def _issued(call: Call, caller: Caller, request: Request, issued: Issued) -> Decision:
    return Decision(
        event="issued",
        peer=call.peer,
        attestor=caller.attestor,
        evidence=caller.evidence,
        requested=str(request.wanted or ""),
        granted=str(issued.name),
        serial=f"{issued.serial:x}",
        sha256=issued.sha256,
        spki_sha256=issued.spki_sha256,
        not_before=issued.window.not_before,
        not_after=issued.window.not_after,
        signer=issued.signer,
    )
