"""Platforms that vouch for their own workloads: adapters with the Attestor facet, as proofs.

Rule: whatever a platform says, an identity outside its own prefix is nobody's that it knows. It is
wrong, or somebody else speaks for it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import possession
from pilot_certs.attest_service import Ask
from pilot_certs.caller import Authenticator, Call, Caller, confined
from pilot_certs.possession import Possession
from pilot_certs.refusal import InvalidRequest, NotAuthorized, NotReady, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied, Unavailable
from pilot_core.model import Evidence, Workload

TOKEN, X509 = "token", "x509"
"""Kinds of evidence that an adapter is asked about: a token, a leaf (DER) whose key is proved."""
_PATIENCE = 10.0


class Attestor(Protocol):
    """The facet of an adapter that this is about."""

    async def attest(self, evidence: Evidence) -> Workload:
        """Raises Denied, Unavailable."""


class Platform:
    """One adapter as a proof, and as an authenticator of tokens."""

    def __init__(
        self,
        name: str,
        attestor: Callable[[], Attestor | None],
        trust_domain: str,
        prefix: str,
        *,
        possession: Possession | None = None,
    ) -> None:
        """`attestor` finds the adapter that runs now; with `possession`, what it is asked about are
        certificates, whose keys are proved to us first."""
        self.name, self._attestor = name, attestor
        self._trust_domain, self._prefix = trust_domain, prefix
        self._possession = possession

    async def attest(self, payload: bytes, call: Call, ask: Ask) -> Caller:
        if self._possession is None:
            return await self._vouched(Evidence(kind=TOKEN, payload=payload, peer=call.peer))
        leaf = await self._possession.proved(payload, call, ask)
        der = leaf.public_bytes(Encoding.DER)
        found = await self._vouched(Evidence(kind=X509, payload=der, peer=call.peer))
        shown = possession.evidence(leaf)
        return Caller(attestor=self.name, evidence=shown, identities=found.identities)

    async def authenticate(self, call: Call) -> Caller | None:
        """By the token that a call carries, if certificates are not what this platform shows."""
        if not call.token or self._possession is not None:
            return None
        payload = call.token.encode()
        return await self._vouched(Evidence(kind=TOKEN, payload=payload, peer=call.peer))

    async def _vouched(self, evidence: Evidence) -> Caller:
        attestor = self._attestor()
        if attestor is None:
            raise NotReady("attestor", f"the adapter of {self.name} does not run yet")
        try:
            async with asyncio.timeout(_PATIENCE):
                workload = await attestor.attest(evidence)
        except Denied as error:
            raise Unauthenticated("platform", f"{self.name}: {error}") from None
        except (Unavailable, TimeoutError) as error:
            raise NotReady("platform-away", f"{self.name}: {error or 'no answer'}") from None
        digest = hashlib.sha256(evidence.payload).hexdigest()[:16]
        return Caller(attestor=self.name, evidence=digest, identities=(self._confined(workload),))

    def _confined(self, workload: Workload) -> SpiffeId:
        try:
            return confined(workload, self._trust_domain, self._prefix)
        except InvalidRequest as error:
            raise NotAuthorized("platform-path", f"{self.name}: {error}") from None


class Tokens:
    """Several takers of tokens, tried one after the other: `caller.Authenticator`.

    A token that one of them refuses may be another's; what is said at the end is what the last
    refusal said. One that cannot be asked now might have known it.
    """

    name = "tokens"

    def __init__(self, takers: Sequence[Authenticator]) -> None:
        self._takers = tuple(takers)

    async def authenticate(self, call: Call) -> Caller | None:
        refusal: Unauthenticated | NotReady | None = None
        for taker in self._takers:
            try:
                caller = await taker.authenticate(call)
            except NotReady as error:
                refusal = error
            except Unauthenticated as error:
                refusal = refusal if isinstance(refusal, NotReady) else error
            else:
                if caller is not None:
                    return caller
        if refusal is not None:
            raise refusal
        return None
