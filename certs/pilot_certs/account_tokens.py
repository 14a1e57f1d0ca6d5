"""Tokens that a platform gives to its service accounts (JWT), verified by the platform's keys.

This works without asking the platform, so a token counts until it expires, even if what it was
given to is gone: the lifetime of tokens is bounded here for that reason.

Rule 1: algorithm and key come from what we know, never from the token's header.
Rule 2: whatever is odd about a token is a refusal: it was not made for us.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from pilot_certs import spiffe
from pilot_certs.caller import Call, Caller
from pilot_certs.refusal import InvalidRequest, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import Clock
from pilot_core.errors import ConfigError

_ALGORITHMS = ["ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SUBJECT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")
_HEADER = frozenset({"alg", "kid", "typ"})
_LEEWAY = 60.0
_ODD = (JoseError, ValueError, TypeError, KeyError, RecursionError, UnicodeError)


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are taken, and what they are worth."""

    name: str
    issuer: str
    audience: str = "istio-ca"
    prefix: str = ""
    """What its identities begin with; empty for the mesh's own form `/ns/…/sa/…`."""
    longest: float = 86400.0
    """Tokens that are valid for longer are refused."""


class _Issuer(msgspec.Struct):
    iss: str = ""


_issuers = msgspec.json.Decoder(_Issuer)


class AccountTokens:
    """Takes the tokens of one platform: `caller.Authenticator`."""

    def __init__(self, platform: Platform, jwks: bytes, trust_domain: str, clock: Clock) -> None:
        """Raises ConfigError where the key set has no key that signs tokens."""
        self.name = platform.name
        self._platform, self._trust_domain, self._clock = platform, trust_domain, clock
        self._keys = _keys(jwks)

    async def authenticate(self, call: Call) -> Caller | None:
        if not _TOKEN.fullmatch(call.token) or not self._is_ours(call.token):
            return None
        claims = self._claims(call.token)
        self._check(claims)
        found = _SUBJECT.fullmatch(str(claims.get("sub")))
        if found is None:
            raise Unauthenticated("token-subject", "the token is of no service account")
        try:
            mesh = spiffe.of_account(self._trust_domain, found[1], found[2])
            name = SpiffeId(self._trust_domain, self._platform.prefix + mesh.path)
        except InvalidRequest as error:
            raise Unauthenticated("token-subject", str(error)) from None
        digest = hashlib.sha256(call.token.encode()).hexdigest()[:16]
        return Caller(attestor=self.name, evidence=digest, identities=(name,))

    def _is_ours(self, token: str) -> bool:
        """Does it say so? Nothing else is taken from a token before its signature is verified."""
        body = token.split(".")[1]
        try:
            said = _issuers.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (*_ODD, msgspec.DecodeError):
            return False
        return said.iss == self._platform.issuer

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            decoded = jwt.decode(token, self._keys, algorithms=_ALGORITHMS)
        except _ODD as error:
            raise Unauthenticated("token-signature", type(error).__name__) from None
        if not set(decoded.header) <= _HEADER:
            raise Unauthenticated("token-header", "the token's header says more than it may")
        return dict(decoded.claims)

    def _check(self, claims: dict[str, Any]) -> None:
        """Raises Unauthenticated."""
        now = self._clock.now()
        audience = claims.get("aud")
        if self._platform.audience not in (audience if isinstance(audience, list) else [audience]):
            raise Unauthenticated("token-audience", "the token is meant for somebody else")
        ends, begins = _time(claims, "exp"), _time(claims, "iat")
        if ends <= now - _LEEWAY:
            raise Unauthenticated("token-expired", "the token has expired")
        if max(begins, _time(claims, "nbf", begins)) > now + _LEEWAY:
            raise Unauthenticated("token-future", "the token is not valid yet")
        if ends - begins > self._platform.longest:
            raise Unauthenticated("token-lifetime", f"a token for {ends - begins:.0f} s")


def _time(claims: dict[str, Any], name: str, missing: float | None = None) -> float:
    """A claim that is a number, and nothing that merely looks like one."""
    value = claims.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated("token-claims", f"the token has no {name}")
    return float(value)


def _keys(jwks: bytes) -> KeySet:
    try:
        entries = msgspec.json.decode(jwks)["keys"]
        keys: list[OctKey | RSAKey | ECKey | OKPKey] = [
            _key(entry) for entry in entries if entry.get("kty") in ("EC", "RSA")
        ]
    except (*_ODD, AttributeError, msgspec.DecodeError) as error:
        raise ConfigError(f"the key set cannot be read: {error}") from None
    if not keys:
        raise ConfigError("the key set holds no EC or RSA key")
    return KeySet(keys)


def _key(entry: dict[str, Any]) -> ECKey | RSAKey:
    kind = ECKey if entry["kty"] == "EC" else RSAKey
    return kind.import_key(entry)
