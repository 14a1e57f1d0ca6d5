"""The control plane's own certificate, and the TLS context that shows it.

Rule 1: it comes from the authority as everybody's does, and is renewed at half of its life: no
restart, no file of somebody else's.
Rule 2: whoever connects may show a certificate, and need not: who joins has none yet. One that is
shown has to be good.
Rule 3: no session is resumed: a ticket would outlive the root that was trusted when it was given.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pilot_certs.authority import Authority, Issued
from pilot_certs.public_key import allowed
from pilot_certs.spiffe import SpiffeId

PATH = "/pilot-core/control-plane"
"""The control plane's identity, behind the trust domain: what its clients look for."""
_SHARE = 1 / 2


class ServerCertificate:
    """Makes contexts; the current one is made anew when the certificate or the roots change."""

    def __init__(self, authority: Authority, dns: Sequence[str] = ()) -> None:
        self._authority, self._dns = authority, tuple(dns)
        self._made_for = -1
        self._context: ssl.SSLContext | None = None
        self.issued: Issued | None = None

    @property
    def name(self) -> SpiffeId:
        return SpiffeId(self._authority.trust_domain, PATH)

    def context(self) -> ssl.SSLContext:
        """For the next connection. Raises NotReady where there is none yet and none can be made."""
        if self._context is None or self._is_due():
            self._context = self._renewed()
        return self._context

    def _is_due(self) -> bool:
        if self._made_for != self._authority.sequence or self.issued is None:
            return True
        begins, ends = self.issued.window
        return self._authority.clock.now() > ends - (ends - begins) * _SHARE

    def _renewed(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        issued = self._authority.sign(allowed(key.public_key()), self.name, dns=self._dns)
        made = context(issued.chain, key, issued.roots)
        self.issued, self._made_for = issued, self._authority.sequence
        return made


def context(
    chain: Sequence[str], key: ec.EllipticCurvePrivateKey, roots: Sequence[str]
) -> ssl.SSLContext:
    """A server's context for HTTP/2 with this certificate (PEM, leaf first)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    made.num_tickets = 0
    made.verify_mode = ssl.CERT_OPTIONAL
    made.load_verify_locations(cadata="".join(roots))
    made.set_alpn_protocols(["h2"])
    load(made, chain, key)
    return made


def load(made: ssl.SSLContext, chain: Sequence[str], key: ec.EllipticCurvePrivateKey) -> None:
    """Have a context show this certificate. The library reads files only; this one is in memory."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as out:
            out.write(pem + "".join(chain).encode())
        made.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
