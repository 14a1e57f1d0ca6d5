"""A platform with an authority of its own, such as a foundation's or a company's: it gives its
machines certificates that have nothing to do with ours."""

from __future__ import annotations

import datetime
import ipaddress
import time
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

import authorities
from authorities import DOMAIN, NOW
from pilot_certs import possession
from pilot_certs.agent.proofs import PlatformCertificate
from pilot_certs.possession import Possession
from pilot_core.testing import FakeClock


class Platform:
    """A platform with an authority of its own, such as a foundation's or a company's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = authorities.key()
        # Good at the time of the fake clock, and now.
        self.root = authorities.root(self.key, domain="platform", life=1e9)
        self.ours = authorities.started(folder / "ours", FakeClock(NOW))

    def certificate(
        self,
        key: Any,
        *,
        name: str = "vm-1",
        addresses: tuple[str, ...] = (),
        until: float = NOW + 3600,
        is_authority: bool = False,
        names: int = 1,
        now: bool = False,
    ) -> x509.Certificate:
        shift = time.time() - NOW if now else 0.0

        def at(seconds: float) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(seconds + shift, datetime.UTC)

        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] * names))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at(NOW - 3600))
            .not_valid_after(at(until))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if addresses:
            stated = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(stated), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def proof(self, *, check_address: bool = True) -> Possession:
        return Possession(
            "vms",
            [authorities.pem(self.root)],
            FakeClock(NOW),
            identity=possession.common_name(DOMAIN, "/vm"),
            foreign_to=lambda: self.ours.roots,
            check_address=check_address,
        )

    def shows(
        self, certificate: x509.Certificate, key: Any, *, name: str = "vms"
    ) -> PlatformCertificate:
        """It and a key in files, as an agent is given them."""
        (self.folder / "c.pem").write_text(authorities.pem(certificate))
        (self.folder / "k.pem").write_bytes(authorities.private_pem(key))
        return PlatformCertificate(name, self.folder / "c.pem", self.folder / "k.pem")
