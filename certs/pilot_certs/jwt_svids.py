"""JWT-SVIDs: identities as signed tokens, for where TLS ends before it gets to the workload.

(JWT-SVID and SPIFFE bundle specifications.) The key that signs them belongs to a signer, and comes
and goes with it: it is in the bundle before anything is signed with it.

Rule 1: ES256 alone. What a token's header says chooses a key that is known, and nothing else.
Rule 2: a token without an audience, an end or an identity of ours is none.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from pilot_certs import spiffe
from pilot_certs.refusal import InvalidRequest
from pilot_certs.spiffe import SpiffeId

LIFETIME = 300.0
LONGEST = 16 << 10
_MOST_AUDIENCES, _LONGEST_AUDIENCE = 16, 512
_LEEWAY = 10.0
_ALGORITHM = "ES256"
_HEADER = frozenset({"alg", "kid", "typ"})
_TYPES = (None, "JWT", "JOSE")
_ODD = (JoseError, ValueError, TypeError, KeyError, RecursionError, UnicodeError)


class Minted(NamedTuple):
    """A token, and until when it is good."""

    token: str
    not_after: float


class PublicKey(NamedTuple):
    """A key that verifies tokens: its name, and its SubjectPublicKeyInfo (DER)."""

    kid: str
    spki: bytes


def check_audiences(audiences: Sequence[str]) -> tuple[str, ...]:
    """Raises InvalidRequest for none, and for more than makes sense."""
    if not 1 <= len(audiences) <= _MOST_AUDIENCES:
        raise InvalidRequest("jwt-audience", f"{len(audiences)} audiences")
    given = tuple(dict.fromkeys(audiences))
    if not all(0 < len(one) <= _LONGEST_AUDIENCE for one in given):
        raise InvalidRequest("jwt-audience", "an audience that is empty, or too long")
    return given


def mint(
    name: SpiffeId, audiences: Sequence[str], key: ec.EllipticCurvePrivateKey, kid: str, now: float
) -> Minted:
    """A token for this identity, good for five minutes. Raises InvalidRequest."""
    ends = float(int(now + LIFETIME))
    claims = {
        "sub": str(name),
        "aud": list(check_audiences(audiences)),
        "iat": int(now),
        "exp": int(ends),
    }
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    header = {"alg": _ALGORITHM, "kid": kid, "typ": "JWT"}
    token = jwt.encode(header, claims, ECKey.import_key(pem), algorithms=[_ALGORITHM])
    return Minted(token, ends)


def validate(
    token: str, audience: str, keys: Sequence[PublicKey], trust_domain: str, now: float
) -> tuple[SpiffeId, Mapping[str, Any]]:
    """Whom a token stands for, with its claims, where it is meant for this audience.

    Raises InvalidRequest.
    """
    if not audience or len(token) > LONGEST:
        raise InvalidRequest("jwt", "no audience, or a token that is too long")
    claims = _claims(token, keys)
    name = spiffe.parse(str(claims.get("sub")))
    stated = claims.get("aud")
    if audience not in (stated if isinstance(stated, list) else [stated]):
        raise InvalidRequest("jwt-audience", "the token is meant for somebody else")
    if name.trust_domain != trust_domain or not name.path:
        raise InvalidRequest("jwt-subject", f"{name} is no workload of {trust_domain}")
    ends = claims.get("exp")
    if isinstance(ends, bool) or not isinstance(ends, int | float) or ends <= now - _LEEWAY:
        raise InvalidRequest("jwt-expired", "the token has ended, or does not say when it does")
    return name, claims


def _claims(token: str, keys: Sequence[PublicKey]) -> dict[str, Any]:
    known = {key.kid: key for key in keys}
    try:
        header = msgspec.json.decode(_part(token, 0), type=dict[str, Any])
        if not set(header) <= _HEADER or header.get("typ") not in _TYPES:
            raise InvalidRequest("jwt-header", "the token's header says more than it may")
        found = ECKey.import_key(_jwk(known[str(header.get("kid"))]))
        return dict(jwt.decode(token, found, algorithms=[_ALGORITHM]).claims)
    except InvalidRequest:
        raise
    except (*_ODD, msgspec.MsgspecError) as error:
        raise InvalidRequest("jwt-signature", type(error).__name__) from None


def _part(token: str, number: int) -> bytes:
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidRequest("jwt", "this is no token")
    return base64.urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4))


def jwks(keys: Sequence[PublicKey]) -> bytes:
    """The keys as a SPIFFE bundle has them."""
    return msgspec.json.encode({"keys": [{**_jwk(key), "use": "jwt-svid"} for key in keys]})


def _jwk(key: PublicKey) -> dict[str, Any]:
    public = load_der_public_key(key.spki)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("a key of another kind")
    numbers = public.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "kid": key.kid,
        "alg": _ALGORITHM,
        "x": _coordinate(numbers.x),
        "y": _coordinate(numbers.y),
    }


def _coordinate(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
