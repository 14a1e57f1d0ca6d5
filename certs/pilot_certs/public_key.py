"""Which public keys may be in a certificate: an allow-list of our own.

The library reads and verifies far more than is safe. Ed25519 and P-521 are missing on purpose:
Envoy takes such a certificate, and then fails every handshake with it.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pilot_certs.refusal import InvalidRequest

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
DER = Encoding.DER
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_RSA_BITS = (2048, 3072, 4096)
_EXPONENT = 65537
_ROCA_PRIMES = (
    *(11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157),
)  # fmt: skip
"""Primes modulo which the keys of a broken generator are always powers of 65537 (CVE-2017-15361).
Among a million sound keys, none is one for all of them."""


def allowed(key: object) -> PublicKey:
    """The key, if it may be in a certificate. Raises InvalidRequest."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise InvalidRequest("csr-key", f"curve {key.curve.name}: use P-256 or P-384")
        return key
    if isinstance(key, rsa.RSAPublicKey):
        return _allowed_rsa(key)
    raise InvalidRequest("csr-key", f"{type(key).__name__}: use EC P-256")


def _allowed_rsa(key: rsa.RSAPublicKey) -> rsa.RSAPublicKey:
    if key.key_size not in _RSA_BITS:
        raise InvalidRequest("csr-key", f"RSA of {key.key_size} bits: use 2048, 3072 or 4096")
    numbers = key.public_numbers()
    if numbers.e != _EXPONENT or numbers.n % 2 == 0:
        raise InvalidRequest("csr-key", f"RSA with exponent {numbers.e}: use {_EXPONENT}")
    if all(numbers.n % p in _powers(p) for p in _ROCA_PRIMES):
        raise InvalidRequest("csr-key", "RSA key of a generator that is broken (ROCA)")
    return key


def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(_EXPONENT, k, prime) for k in range(prime))


def spki(key: PublicKey) -> bytes:
    """The SubjectPublicKeyInfo in DER: two keys are the same key if these bytes are."""
    return key.public_bytes(DER, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in hexadecimal."""
    return hashlib.sha256(spki(key)).hexdigest()
