"""Proof of possession: a platform's own certificate, and a signature that only its key can make.

    certificate ─▶   ◀─ nonce   signature over nonce and certificate ─▶   who that is

Rule 1: whose certificates count is said by the operator, by a set of authorities for each platform.
A certificate of our own is no platform's, and proves nothing here.
Rule 2: a nonce is good for one answer on one connection: an answer that somebody has overheard is
worth nothing.
Rule 3: what a stranger may have us verify is bounded before it is verified.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import secrets
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from pilot_certs import chain
from pilot_certs.attest_service import Ask
from pilot_certs.caller import Call, Caller
from pilot_certs.chain import Untrusted
from pilot_certs.refusal import InvalidRequest, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import Clock

_LABEL = b"pilot-core x509 proof of possession v1\0"
_NONCE = 32
_LONGEST = 32 << 10
_LONGEST_CHAIN = 4
_RSA_BITS = range(2048, 8193)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_ODD = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)


def signed_text(nonce: bytes, leaf: x509.Certificate) -> bytes:
    """What is to be signed: it cannot be mistaken for anything else that a key signs."""
    der = leaf.public_bytes(Encoding.DER)
    return _LABEL + nonce + hashlib.sha256(der).digest()


class Possession:
    """Certificates of one platform: `attest_service.Proof`."""

    def __init__(
        self,
        name: str,
        roots: Sequence[str],
        clock: Clock,
        *,
        identity: Callable[[x509.Certificate, Call], SpiffeId] | None = None,
        foreign_to: Callable[[], Sequence[str]],
        check_address: bool = True,
    ) -> None:
        """`identity` says who a proved certificate is; `foreign_to` are our own roots, now."""
        self.name, self._clock = name, clock
        self._roots = [chain.load(root) for root in roots]
        self._identity, self._foreign_to = identity, foreign_to
        self._check_address = check_address

    async def attest(self, payload: bytes, call: Call, ask: Ask) -> Caller:
        leaf = await self.proved(payload, call, ask)
        assert self._identity is not None
        return Caller(
            attestor=self.name, evidence=evidence(leaf), identities=(self._identity(leaf, call),)
        )

    async def proved(self, payload: bytes, call: Call, ask: Ask) -> x509.Certificate:
        """The certificate, whose key the caller has. Raises Unauthenticated."""
        leaf, *between = self._read(payload)
        self._check_chain(leaf, between)
        if self._check_address:
            _check_address(leaf, call.peer)
        nonce = secrets.token_bytes(_NONCE)
        answer = await ask(nonce)
        if not _is_signed(answer, signed_text(nonce, leaf), leaf.public_key()):
            raise Unauthenticated("x509-possession", "the answer is not signed by that key")
        return leaf

    def _read(self, payload: bytes) -> list[x509.Certificate]:
        if len(payload) > _LONGEST:
            raise Unauthenticated("x509-size", f"a chain of {len(payload)} bytes")
        try:
            found = [chain.load(pem) for pem in chain.split(payload)]
        except Untrusted as error:
            raise Unauthenticated("x509-malformed", str(error)) from None
        if not 1 <= len(found) <= _LONGEST_CHAIN:
            raise Unauthenticated("x509-chain", f"a chain of {len(found)} certificates")
        for certificate in found:
            _check_key(certificate)
        return found

    def _check_chain(self, leaf: x509.Certificate, between: list[x509.Certificate]) -> None:
        if _leads_to([chain.load(root) for root in self._foreign_to()], leaf, between, self._clock):
            raise Unauthenticated("x509-own", "a certificate of our own is no platform's")
        if not _leads_to(self._roots, leaf, between, self._clock):
            raise Unauthenticated("x509-chain", f"no authority of {self.name} vouches for it")


def common_name(trust_domain: str, prefix: str) -> Callable[[x509.Certificate, Call], SpiffeId]:
    """Who somebody is whose certificate has a name: that name, below the platform's prefix."""

    def identity(leaf: x509.Certificate, call: Call) -> SpiffeId:
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if len(names) != 1:
            raise Unauthenticated("x509-name", f"a certificate with {len(names)} common names")
        name = names[0].value
        if not isinstance(name, str):
            raise Unauthenticated("x509-name", "a common name that is no text")
        try:
            found = SpiffeId(trust_domain, f"{prefix}/{name}")
        except InvalidRequest as error:
            raise Unauthenticated("x509-name", str(error)) from None
        if "/" in name:
            raise Unauthenticated("x509-name", f"{name!r} is more than one name")
        return found

    return identity


def evidence(leaf: x509.Certificate) -> str:
    """By what a certificate is known in logs."""
    return leaf.fingerprint(hashes.SHA256()).hex()[:16]


def _leads_to(
    roots: list[x509.Certificate],
    leaf: x509.Certificate,
    between: list[x509.Certificate],
    clock: Clock,
) -> bool:
    if not roots:
        return False
    policy = verification.ExtensionPolicy
    moment = datetime.datetime.fromtimestamp(clock.now(), datetime.UTC)
    builder = verification.PolicyBuilder().store(verification.Store(roots)).time(moment)
    # Platforms' leaves have names of all kinds; what they are is read behind this.
    builder = builder.extension_policies(
        ca_policy=policy.webpki_defaults_ca(), ee_policy=policy.permit_all()
    )
    try:
        builder.build_client_verifier().verify(leaf, between)
    except (verification.VerificationError, *_ODD):
        return False
    return not _is_authority(leaf)


def _is_authority(leaf: x509.Certificate) -> bool:
    try:
        found = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    except _ODD:
        return True
    return found.value.ca


def _check_key(certificate: x509.Certificate) -> None:
    """A key whose use costs little, and proves something."""
    try:
        key = certificate.public_key()
    except (*_ODD, x509.UnsupportedGeneralNameType) as error:
        raise Unauthenticated("x509-key", f"a key that nobody uses: {error}") from None
    is_ec = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    is_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS
    if not (is_ec or is_rsa):
        raise Unauthenticated("x509-key", f"a key of the kind {type(key).__name__}")


def _check_address(leaf: x509.Certificate, peer: str) -> None:
    """A certificate that names addresses is good at those only."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        stated = names.get_values_for_type(x509.IPAddress)
    except x509.ExtensionNotFound:
        return
    except _ODD as error:
        raise Unauthenticated("x509-malformed", str(error)) from None
    if stated and ipaddress.ip_address(peer) not in stated:
        where = ", ".join(map(str, stated))
        raise Unauthenticated("x509-address", f"a certificate for {where}, shown by {peer}")


def _is_signed(signature: bytes, text: bytes, key: object) -> bool:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
            key.verify(signature, text, pss, hashes.SHA256())
        else:
            return False
    except (InvalidSignature, *_ODD):
        return False
    return True
