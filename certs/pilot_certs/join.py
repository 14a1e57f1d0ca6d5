"""Join tokens: a secret that is good once, for a few minutes, for the identities it was made for.

Rule 1: only a token's SHA-256 is kept. Who reads the journal can join nothing.
Rule 2: a token is gone before anything is signed for it. Of two who present it, one gets through.
"""

from __future__ import annotations

import hashlib
import secrets

from pilot_certs.audit import AuditLog, Decision
from pilot_certs.caller import Call, Caller
from pilot_certs.journal import Journal
from pilot_certs.refusal import InvalidRequest, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import Clock

PREFIX = "pilot-join-"
"""By it, a token is told from those of platforms; scanners for leaked secrets find it too."""
_BYTES = 32
LIFETIME, LONGEST = 600.0, 86400.0
_BETWEEN = "\n"
"""Between the paths of one token: no path of a SPIFFE id has it in it."""


class JoinTokens:
    """Makes tokens, and takes them: `caller.Authenticator`."""

    name = "join-token"

    def __init__(
        self, journal: Journal, trust_domain: str, clock: Clock, audit: AuditLog | None = None
    ) -> None:
        self._journal, self._trust_domain, self._clock = journal, trust_domain, clock
        self._audit = audit

    def create(self, *paths: str, seconds: float = LIFETIME, peer: str = "", who: str = "") -> str:
        """A token for the identities with these paths; with `peer`, only from that address.

        It is shown this once. Raises InvalidRequest, StateError.
        """
        names = [SpiffeId(self._trust_domain, path) for path in paths]
        if not names or not all(name.path for name in names):
            raise InvalidRequest("spiffe-id", "a token stands for a workload or node: give a path")
        if not 0 < seconds <= LONGEST:
            raise InvalidRequest("ttl", f"a token lives up to {LONGEST:.0f} s, not {seconds:.0f}")
        token = PREFIX + secrets.token_urlsafe(_BYTES)
        digest = _digest(token)
        written = _BETWEEN.join(paths)
        self._journal.add_token(digest, written, peer, self._clock.now() + seconds)
        if self._audit is not None:
            granted = " ".join(map(str, names))
            evidence = _shown(digest)
            self._audit.write(
                Decision(event="token", attestor=who, evidence=evidence, granted=granted, peer=peer)
            )
        return token

    async def authenticate(self, call: Call) -> Caller | None:
        if not call.token.startswith(PREFIX):
            return None
        digest = _digest(call.token)
        found = self._journal.take_token(digest, self._clock.now())
        evidence = _shown(digest)
        if found is None:
            raise Unauthenticated("join-token", f"no token {evidence}: used before, or never made")
        written, peer, expires = found
        if expires <= self._clock.now():
            raise Unauthenticated("join-token-expired", f"token {evidence} has expired")
        if peer not in ("", call.peer):
            raise Unauthenticated("join-token-peer", f"token {evidence} is for {peer}")
        names = tuple(SpiffeId(self._trust_domain, path) for path in written.split(_BETWEEN))
        return Caller(attestor=self.name, evidence=evidence, identities=names)


def _shown(digest: bytes) -> str:
    """By what a token is known in logs."""
    return digest.hex()[:16]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
