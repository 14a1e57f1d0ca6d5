"""Authorities for tests: real ones, in a folder of the test's, on a clock that it moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pilot_certs import csr, profile, public_key
from pilot_certs.authority import Authority
from pilot_certs.journal import Journal
from pilot_certs.keys import FileKeys
from pilot_certs.profile import Issuer, PrivateKey
from pilot_certs.spiffe import SpiffeId
from pilot_certs.validity import Window
from pilot_core.clock import Clock

DOMAIN = "mesh.example"
NOW = 1_700_000_000.0
REVIEWS = SpiffeId(DOMAIN, "/ns/shop/sa/reviews")


class Fleet:
    """A fleet that says what the test wants it to."""

    def __init__(self) -> None:
        self.missing: Sequence[str] = ()
        self.users: Sequence[str] = ()

    def without_roots(self, roots: frozenset[str]) -> Sequence[str]:
        return self.missing

    def with_leaf_of(self, signer_id: str) -> Sequence[str]:
        return self.users


def unopened(folder: Path, clock: Clock) -> Authority:
    """An authority that has not started yet, over whatever is in the folder."""
    return Authority(Journal(folder / "ca"), FileKeys(folder / "ca" / "keys"), clock)


def started(folder: Path, clock: Clock) -> Authority:
    """The same, started."""
    made = unopened(folder, clock)
    made.start(DOMAIN, who="test")
    return made


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def private_pem(private: PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def csr_pem(private: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    request = x509.load_der_x509_csr(csr.make(private or key()))
    return request.public_bytes(Encoding.PEM)


def root(
    private: PrivateKey, *, domain: str = DOMAIN, start: float = NOW - 100, life: float = 864000
) -> x509.Certificate:
    return profile.root(private, SpiffeId(domain), Window(start, start + life))


def intermediate(
    private: PrivateKey, above: Issuer, *, start: float = NOW - 100, life: float = 864000
) -> x509.Certificate:
    window = Window(start, start + life)
    public = public_key.allowed(private.public_key())
    return profile.intermediate(public, SpiffeId(DOMAIN), window, above)
