"""Who asks for a certificate: what a call carries, and what an authenticator makes of it.

Rule 1: nobody gets anything by default. An identity that is not in `Caller.identities` is not his.
Rule 2: where a call comes from proves nothing: not loopback, not a socket, not a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pilot_certs import chain
from pilot_certs.refusal import NotAuthorized, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import Clock
from pilot_core.model import Workload


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a call brings along besides its request."""

    peer: str = ""
    """The address, for limits and the log."""
    token: str = ""
    certificates: tuple[str, ...] = ()
    """The peer's chain in PEM, leaf first, whose private key the TLS handshake has proved."""

    def __repr__(self) -> str:
        return f"Call(peer={self.peer!r})"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has proved who he is."""

    attestor: str
    evidence: str
    identities: tuple[SpiffeId, ...]
    """What he may have, the usual one first."""

    def authorized(self, wanted: SpiffeId | None) -> SpiffeId:
        """The identity he gets. Raises NotAuthorized."""
        if wanted is None and self.identities:
            return self.identities[0]
        if wanted is None or wanted not in self.identities:
            raise NotAuthorized("identity", f"{self.evidence} may not have {wanted}")
        return wanted


class Authenticator(Protocol):
    """One way to prove who one is."""

    name: str

    async def authenticate(self, call: Call) -> Caller | None:
        """Who calls; None where the call carries nothing of this kind. Raises Unauthenticated
        where it does, and that proves nothing."""


class Trust(Protocol):
    """Whose certificates count, now."""

    @property
    def trust_domain(self) -> str: ...

    @property
    def roots(self) -> Sequence[str]: ...

    @property
    def intermediates(self) -> Sequence[str]:
        """What signs leaves and is no root: peers may leave out what we know."""


class ByCertificate:
    """By a certificate of ours that is still valid: this is how certificates are renewed.

    It is verified again, whatever the handshake said: a connection outlives the root that was
    trusted when it began.
    """

    name = "certificate"

    def __init__(self, trust: Trust, clock: Clock) -> None:
        self._trust, self._clock = trust, clock

    async def authenticate(self, call: Call) -> Caller | None:
        if not call.certificates:
            return None
        try:
            who = chain.check(
                call.certificates,
                self._trust.roots,
                self._clock.now(),
                known=self._trust.intermediates,
            )
        except chain.Untrusted as error:
            raise Unauthenticated("certificate", str(error)) from None
        if who.trust_domain != self._trust.trust_domain:
            raise Unauthenticated("certificate", f"{who} is of another trust domain")
        return Caller(attestor=self.name, evidence=str(who), identities=(who,))


def confined(workload: Workload, trust_domain: str, prefix: str) -> SpiffeId:
    """The identity of a workload that a platform vouches for, inside the platform's own prefix.

    A platform that says something else is wrong, or somebody else speaks for it. Raises
    NotAuthorized, InvalidRequest.
    """
    name = SpiffeId(trust_domain, workload.path)
    if not name.is_below(prefix):
        raise NotAuthorized("prefix", f"{name} is not below {prefix}")
    return name
