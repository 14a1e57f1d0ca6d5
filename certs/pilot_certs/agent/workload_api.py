"""The SPIFFE Workload API: what a workload is told, always as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import jwt_svids, spiffe
from pilot_certs.agent.held import Held
from pilot_certs.messages import (
    BundlesResponse,
    JwtBundlesResponse,
    JwtResponse,
    SvidResponse,
    ValidateResponse,
)
from pilot_certs.refusal import NotAuthorized
from pilot_certs.spiffe import SpiffeId

HEADER, VALUE = "workload.spiffe.io", "true"
"""Every call has to carry it: so nobody can be made to call who does not know what he does."""


def svids(allowed: tuple[SpiffeId, ...], held: Held) -> bytes | None:
    """All certificates of somebody with these identities; None while one of them is not there."""
    if not allowed or any(name not in held.svids for name in allowed):
        return None
    made = SvidResponse()
    for name in allowed:
        svid = held.svids[name]
        made.svids.add(
            spiffe_id=str(name),
            x509_svid=_der(svid.chain),
            x509_svid_key=svid.key_bytes(Encoding.DER),
            bundle=_der(held.roots),
        )
    data: bytes = made.SerializeToString(deterministic=True)
    return data


def bundles(held: Held) -> bytes | None:
    """The roots of our trust domain; None while there are none."""
    if not held.roots:
        return None
    made = BundlesResponse()
    made.bundles.add(key=f"{spiffe.SCHEME}{held.trust_domain}", value=_der(held.roots))
    data: bytes = made.SerializeToString(deterministic=True)
    return data


def wanted(spiffe_id: str, allowed: tuple[SpiffeId, ...]) -> tuple[SpiffeId, ...]:
    """Whom a token is asked for: this identity, or without one all of the caller's. Raises
    InvalidRequest, NotAuthorized."""
    if not spiffe_id:
        return allowed
    name = spiffe.parse(spiffe_id)
    if name not in allowed:
        raise NotAuthorized("identity", f"the caller may not have {name}")
    return (name,)


def tokens(made: Sequence[tuple[SpiffeId, str]]) -> bytes:
    """Tokens as they are handed out."""
    said = JwtResponse()
    for name, token in made:
        said.svids.add(spiffe_id=str(name), svid=token)
    data: bytes = said.SerializeToString()
    return data


def jwt_bundles(held: Held) -> bytes | None:
    """The keys that verify tokens of our trust domain; None while there are none."""
    if not held.jwt_keys:
        return None
    made = JwtBundlesResponse()
    keys = jwt_svids.jwks(held.jwt_keys)
    made.bundles.add(key=f"{spiffe.SCHEME}{held.trust_domain}", value=keys)
    data: bytes = made.SerializeToString(deterministic=True)
    return data


def validated(token: str, audience: str, held: Held, now: float) -> bytes:
    """Whom a token stands for. Raises InvalidRequest."""
    name, claims = jwt_svids.validate(token, audience, held.jwt_keys, held.trust_domain, now)
    said = ValidateResponse(spiffe_id=str(name))
    said.claims.update(claims)
    data: bytes = said.SerializeToString()
    return data


def _der(pems: tuple[str, ...]) -> bytes:
    loaded = (x509.load_pem_x509_certificate(pem.encode()) for pem in pems)
    return b"".join(certificate.public_bytes(Encoding.DER) for certificate in loaded)
