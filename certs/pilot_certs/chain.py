"""Does a chain of certificates lead to a root that is trusted? (RFC 5280, X509-SVID section 5)

What the library's verifier does not look at is checked here besides: exactly one URI name, and a
leaf that is none of an authority.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from pilot_certs import spiffe
from pilot_certs.refusal import InvalidRequest
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import PilotError

_LONGEST = 4
_RSA_BITS = 8192
_ODD = (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion)


class Untrusted(PilotError):
    """The chain proves nothing; the message says why."""


def check(
    chain: Sequence[str], roots: Sequence[str], now: float, *, known: Sequence[str] = ()
) -> SpiffeId:
    """Who the first certificate of the chain (PEM, leaf first) stands for; `known` intermediates
    need not be in it. Raises Untrusted."""
    loaded = [load(pem) for pem in chain]
    return verify(loaded, [load(pem) for pem in roots], now, known=[load(pem) for pem in known])


def verify(
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: float,
    *,
    known: Sequence[x509.Certificate] = (),
) -> SpiffeId:
    """The same for certificates that are parsed already. Raises Untrusted."""
    _check_cost(chain)
    if not roots:
        raise Untrusted("no root is trusted")
    leaf, *between = chain
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    builder = verification.PolicyBuilder().store(verification.Store(list(roots))).time(moment)
    try:
        builder.build_client_verifier().verify(leaf, [*between, *known])
    except verification.VerificationError as error:
        raise Untrusted(str(error)) from None
    return name_of(leaf)


def name_of(leaf: x509.Certificate) -> SpiffeId:
    """The SPIFFE id in a leaf. Raises Untrusted where there is not exactly one."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, *_ODD) as error:
        raise Untrusted(f"no leaf of a workload: {error}") from None
    if constraints.ca or len(uris) != 1:
        raise Untrusted(f"no leaf of a workload: {len(uris)} URI names")
    try:
        name = spiffe.parse(uris[0])
    except InvalidRequest as error:
        raise Untrusted(str(error)) from None
    if not name.path:
        raise Untrusted(f"{name} is a trust domain, not a workload")
    return name


def check_authority(chain: Sequence[str], roots: Sequence[str]) -> None:
    """May the first certificate of the chain, or the first root, sign? Raises Untrusted."""
    path = [load(pem) for pem in (*chain, roots[0])]
    for lower, upper in itertools.pairwise(path):
        _check_issued(lower, upper)
    _check_issued(path[-1], path[-1])
    for certificate in path:
        _check_signs(certificate)


def load(pem: str) -> x509.Certificate:
    """Raises Untrusted."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except _ODD as error:
        raise Untrusted(f"no certificate: {error}") from None


def trust_domain(root: str) -> str:
    """What a root's own URI name says; empty where it says nothing."""
    try:
        names = load(root).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        [uri] = names.get_values_for_type(x509.UniformResourceIdentifier)
        return spiffe.parse(uri).trust_domain
    except (x509.ExtensionNotFound, InvalidRequest, Untrusted, *_ODD):
        return ""


def split(pem: bytes) -> tuple[str, ...]:
    """The certificates of a PEM file, each by itself. Raises Untrusted."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except _ODD as error:
        raise Untrusted(f"no certificates: {error}") from None
    return tuple(c.public_bytes(Encoding.PEM).decode() for c in found)


def _check_cost(chain: Sequence[x509.Certificate]) -> None:
    """What a stranger may have us verify."""
    if not 1 <= len(chain) <= _LONGEST:
        raise Untrusted(f"a chain of {len(chain)} certificates: 1 to {_LONGEST} make sense")
    for certificate in chain:
        try:
            key = certificate.public_key()
        except (*_ODD, x509.UnsupportedGeneralNameType) as error:
            raise Untrusted(f"a key that nobody uses: {error}") from None
        if isinstance(key, rsa.RSAPublicKey) and key.key_size > _RSA_BITS:
            raise Untrusted(f"an RSA key of {key.key_size} bits")


def _check_issued(lower: x509.Certificate, upper: x509.Certificate) -> None:
    try:
        lower.verify_directly_issued_by(upper)
    except Exception as error:  # noqa: BLE001  the library has no one class for "it is not so"
        said = str(error) or type(error).__name__
        raise Untrusted(f"{_name(lower)} is not signed by {_name(upper)}: {said}") from None


def _check_signs(certificate: x509.Certificate) -> None:
    try:
        extensions = certificate.extensions
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, *_ODD) as error:
        raise Untrusted(f"{_name(certificate)} is no authority: {error}") from None
    if not (is_ca and signs):
        raise Untrusted(f"{_name(certificate)} may not sign certificates")


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a certificate without a name"
