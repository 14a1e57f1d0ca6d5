"""Instance identity as Diego issues it: an authority, and certificates with their odd subjects."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilot_certs import possession
from pilot_core.model import Evidence

_HOUR = datetime.timedelta(hours=1)
_SHA = hashes.SHA256()
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
UNITS = ("organization:org-1", "space:space-2", "app:app-1")


class Held(NamedTuple):
    """A certificate with its authority's behind it, as the instance has it, and the key."""

    leaf: x509.Certificate
    pem: bytes
    key: rsa.RSAPrivateKey

    @property
    def evidence(self) -> Evidence:
        """What the adapter is asked, once the key has been proved."""
        return Evidence(kind="x509", payload=self.leaf.public_bytes(Encoding.DER))

    async def sign(self, nonce: bytes) -> bytes:
        """The answer of whoever has the key."""
        text = possession.signed_text(nonce, self.leaf)
        pss = padding.PSS(padding.MGF1(_SHA), _SHA.digest_size)
        return self.key.sign(text, pss, _SHA)


class IdentityAuthority:
    """The authority that cells sign with; RSA, as theirs."""

    def __init__(self, name: str = "instanceIdentityCA") -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 24 * _HOUR)
            .not_valid_after(now + 24 * _HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, _SHA)
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()

    def file(self, folder: Path) -> Path:
        path = folder / "instance-identity-ca.pem"
        path.write_text(self.pem)
        return path

    def issue(
        self,
        guid: str,
        units: Sequence[str] = UNITS,
        *,
        dns: str = "",
        hours: float = 24,
        age: float = 1,
        is_client: bool = True,
    ) -> Held:
        """For one instance. The units are one part of the subject, in the order of their DER."""
        key = rsa.generate_private_key(65537, 2048)
        unit = NameOID.ORGANIZATIONAL_UNIT_NAME
        subject = x509.Name(
            [
                x509.RelativeDistinguishedName([x509.NameAttribute(unit, text) for text in units]),
                x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, guid)]),
            ]
            if units
            else [x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, guid)])]
        )
        names = [
            x509.DNSName(dns or guid),
            x509.IPAddress(ipaddress.ip_address("10.255.77.4")),
        ]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH]
        if is_client:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        begin = datetime.datetime.now(datetime.UTC) - age * _HOUR
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + hours * _HOUR)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(self._key, _SHA)
        )
        return Held(made, made.public_bytes(Encoding.PEM) + self.pem.encode(), key)
