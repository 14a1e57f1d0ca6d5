"""Certificate requests: a public key and the proof that somebody has its private half.

Rule 1: nothing else is taken out of a request; names, usages and extensions in it are not read.
Rule 2: cheap checks come first: a stranger must not cost us a signature check by sending junk.
Rule 3: whatever bytes come in, InvalidRequest is the only error that goes out.
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pilot_certs import public_key
from pilot_certs.public_key import PublicKey
from pilot_certs.refusal import InvalidRequest

LONGEST = 16 << 10
"""Bytes of a request, in either encoding."""
_BLOCK = re.compile(
    rb"-----BEGIN (NEW )?CERTIFICATE REQUEST-----\r?\n"
    rb"((?:[A-Za-z0-9+/]+=*\r?\n)+)"
    rb"-----END (NEW )?CERTIFICATE REQUEST-----\s*"
)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_ODD = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What the parser raises for bytes that are no request."""


def from_pem(pem: bytes) -> PublicKey:
    """The key of a request in PEM: one block, and nothing before, between or behind.

    Raises InvalidRequest.
    """
    if len(pem) > LONGEST:
        raise InvalidRequest("csr-size", f"a request of {len(pem)} bytes")
    found = _BLOCK.fullmatch(pem)
    if found is None or found[1] != found[3]:
        raise InvalidRequest("csr-pem", "not exactly one PEM block with a certificate request")
    return from_der(_decoded(b"".join(found[2].split())))


def _decoded(text: bytes) -> bytes:
    """Base64 in its one legal form: the library would take odd padding."""
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidRequest("csr-pem", "the PEM block is not base64") from None
    if base64.b64encode(der) != text:
        raise InvalidRequest("csr-pem", "the PEM block is padded oddly")
    return der


def from_der(der: bytes) -> PublicKey:
    """The key of a request in DER. Raises InvalidRequest."""
    if len(der) > LONGEST:
        raise InvalidRequest("csr-size", f"a request of {len(der)} bytes")
    try:
        request = x509.load_der_x509_csr(der)
        key = public_key.allowed(request.public_key())
    except _ODD as error:
        raise InvalidRequest("csr-malformed", f"the request cannot be read: {error}") from None
    _check_signature(request)
    return key


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        algorithm = request.signature_hash_algorithm
        is_valid = isinstance(algorithm, _HASHES) and request.is_signature_valid
    except _ODD as error:
        raise InvalidRequest("csr-signature", f"odd signature: {error}") from None
    if not is_valid:
        raise InvalidRequest("csr-signature", "the request is not signed by its own key")


def make(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A request in DER for this key, without a name: who asks gets the name it has proved."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, hashes.SHA256())
    return request.public_bytes(public_key.DER)
