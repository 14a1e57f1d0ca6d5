"""Secrets as Envoy knows them: which name means what, for whom, and its encoded form (SDS v3)."""

from __future__ import annotations

import functools
from typing import NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import spiffe
from pilot_certs.agent.held import Held, Svid, digest
from pilot_certs.messages import SECRET, Secret
from pilot_certs.refusal import InvalidRequest, NotAuthorized
from pilot_certs.spiffe import SpiffeId

TYPE_URL = f"type.googleapis.com/{SECRET}"
DEFAULT, ROOTS = "default", "ROOTCA"


class Encoded(NamedTuple):
    """A secret, ready to be sent."""

    name: str
    version: str
    data: bytes


def find(name: str, allowed: tuple[SpiffeId, ...], held: Held) -> Encoded | None:
    """The secret of this name, for somebody who may have these identities; None while it is not
    there yet. Raises NotAuthorized, InvalidRequest.

    `default` is the first identity, `ROOTCA` or the trust domain's id the roots, any other SPIFFE
    id that identity.
    """
    if not allowed:
        raise NotAuthorized("no-identity", "no identity for this caller")
    if name in (ROOTS, f"{spiffe.SCHEME}{held.trust_domain}"):
        return _roots(name, held.roots) if held.roots else None
    wanted = allowed[0] if name == DEFAULT else _parsed(name)
    if wanted not in allowed:
        raise NotAuthorized("identity", f"the caller may not have {wanted}")
    svid = held.svids.get(wanted)
    return _certificate(name, svid) if svid else None


def _parsed(name: str) -> SpiffeId:
    if not name.startswith(spiffe.SCHEME):
        raise InvalidRequest("secret-name", f"no secret is called {name[:80]!r}")
    return spiffe.parse(name)


@functools.lru_cache(maxsize=64)
def _roots(name: str, roots: tuple[str, ...]) -> Encoded:
    made = Secret(name=name)
    made.validation_context.trusted_ca.inline_bytes = "".join(roots).encode()
    return Encoded(name, digest(*roots), made.SerializeToString())


def _certificate(name: str, svid: Svid) -> Encoded:
    made = Secret(name=name)
    made.tls_certificate.certificate_chain.inline_bytes = "".join(svid.chain).encode()
    made.tls_certificate.private_key.inline_bytes = svid.key_bytes(Encoding.PEM)
    return Encoded(name, svid.version, made.SerializeToString())
