"""What our certificates look like: every field of them is ours (RFC 5280, X509-SVID).

Rule 1: a leaf has exactly one URI name. Envoy would take a second one, and match any of them.
Rule 2: subject and authority key identifiers are always there: without them, two roots of one
name break every handshake.
Rule 3: each root has a subject of its own.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilot_certs import public_key
from pilot_certs.public_key import PublicKey
from pilot_certs.spiffe import SpiffeId
from pilot_certs.validity import Window

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
_NOBODY = x509.Name([])


def leaf(
    key: PublicKey, name: SpiffeId, window: Window, issuer: Issuer, dns: Sequence[str] = ()
) -> x509.Certificate:
    """A workload's certificate. `dns` comes from our own configuration, never from a request."""
    names = [x509.UniformResourceIdentifier(str(name)), *map(x509.DNSName, dns)]
    builder = (
        _started(key, window, issuer.subject)
        .subject_name(_NOBODY)
        # Critical, because the subject is empty (RFC 5280, section 4.2.1.6).
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(encipherment=isinstance(key, rsa.RSAPublicKey)), critical=True)
        .add_extension(_USAGES, critical=False)
        .add_extension(issuer.key_identifier, critical=False)
    )
    return issuer.sign(builder)


def root(key: PrivateKey, trust_domain: SpiffeId, window: Window) -> x509.Certificate:
    """A certificate that signs itself."""
    public = public_key.allowed(key.public_key())
    subject = _subject(public, trust_domain)
    builder = _authority(public, trust_domain, window, subject, issuer=subject, depth=1)
    return builder.sign(key, hash_for(key))


def intermediate(
    key: PublicKey, trust_domain: SpiffeId, window: Window, issuer: Issuer
) -> x509.Certificate:
    """An authority below another one, which signs leaves only."""
    subject = _subject(key, trust_domain)
    builder = _authority(key, trust_domain, window, subject, issuer=issuer.subject, depth=0)
    return issuer.sign(builder.add_extension(issuer.key_identifier, critical=False))


class Issuer:
    """An authority's certificate with the key that belongs to it, ready to sign.

    `key` may be a subclass of the library's key classes that asks a machine elsewhere to sign.
    """

    def __init__(self, certificate: x509.Certificate, key: PrivateKey) -> None:
        self.certificate, self._key = certificate, key
        self.subject = certificate.subject
        identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        self.key_identifier = x509.AuthorityKeyIdentifier(identifier.value.digest, None, None)
        self._hash = hash_for(key)

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, self._hash)


def hash_for(key: PrivateKey | PublicKey) -> hashes.SHA256 | hashes.SHA384:
    """The digest that goes with a key's strength."""
    is_long = isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey)
    return hashes.SHA384() if is_long and key.key_size > 256 else hashes.SHA256()


def _authority(
    key: PublicKey,
    trust_domain: SpiffeId,
    window: Window,
    subject: x509.Name,
    *,
    issuer: x509.Name,
    depth: int,
) -> x509.CertificateBuilder:
    names = [x509.UniformResourceIdentifier(str(trust_domain))]
    return (
        _started(key, window, issuer)
        .subject_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def _started(key: PublicKey, window: Window, issuer: x509.Name) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key)
        # Random: a counter would start again with the state it is kept in.
        .serial_number(x509.random_serial_number())
        .issuer_name(issuer)
        .not_valid_before(_time(window.not_before))
        .not_valid_after(_time(window.not_after))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(key: PublicKey, trust_domain: SpiffeId) -> x509.Name:
    return x509.Name(
        [
            # A common name has 64 characters at most; the trust domain stands whole in the URI.
            x509.NameAttribute(NameOID.COMMON_NAME, f"pilot-core {trust_domain.trust_domain}"[:64]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, public_key.fingerprint(key)[:40]),
        ]
    )


def _usage(*, signs: bool = False, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_encipherment=encipherment,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
