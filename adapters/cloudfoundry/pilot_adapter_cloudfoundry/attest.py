"""Which instance somebody is, by its identity certificate: Diego's authority, and Diego's word.

Rule 1: a certificate alone proves nothing: staging and tasks have certificates of the same
application. What it names has to run as an instance of it, by what the BBS says.
Rule 2: the subject's parts are told apart by their prefixes, never by their order, and each has to
be there once.
Rule 3: whoever presents a certificate signs a challenge with its key: certificates are public.

Sources: Diego's instance identity (`instance_identity` in the executor), and the SPIFFE ids that
Cloud Foundry's own UAA gives.
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ExtensionNotFound
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.lrp import Instance
from pilot_core.adapter import Denied
from pilot_core.model import Workload

KIND = "instance-identity"
_LONGEST = 32768
"""Bytes; a chain of two certificates has about four thousand."""
_PARTS = ("organization", "space", "app")
_CHALLENGE = 32
"""Bytes, at least: nobody guesses one."""


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload: JSON, with bytes in base64. `certificate` is what `CF_INSTANCE_CERT` names;
    `signature` is of SHA-256 over the challenge, by the key that `CF_INSTANCE_KEY` names: PSS with
    the longest salt for RSA, ECDSA else."""

    certificate: str
    challenge: bytes
    signature: bytes


class Identity(NamedTuple):
    """What a certificate says of itself."""

    guid: str
    organization: str
    space: str
    app: str
    addresses: tuple[str, ...]
    expires: datetime.datetime


_proof = msgspec.json.Decoder(Proof)


def proof(payload: bytes) -> Proof:
    """Raises Denied."""
    if len(payload) > _LONGEST:
        raise Denied(f"a proof of {len(payload)} bytes is longer than any")
    try:
        return _proof.decode(payload)
    except msgspec.MsgspecError as error:
        raise Denied(f"the proof is not of kind {KIND}: {error}") from None


def identity(found: Proof, roots: str, now: float) -> Identity:
    """Who the certificate belongs to, if one of `roots` (PEM) has signed for it and whoever
    presents it has its key. Raises Denied."""
    try:
        chain = x509.load_pem_x509_certificates(found.certificate.encode())
        trusted = x509.load_pem_x509_certificates(roots.encode())
    except ValueError:
        raise Denied("the proof holds no certificates in PEM") from None
    leaf, above = chain[0], chain[1:]
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    verifier = (
        PolicyBuilder()
        .store(Store(trusted))
        .time(moment)
        .extension_policies(ca_policy=_authorities(), ee_policy=_leaves())
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, above)
    except VerificationError as error:
        raise Denied(f"the certificate is not one of Diego's: {error}") from None
    _check_signature(leaf, found)
    return _subject(leaf)


def workload(said: Identity, diego: Diego, peer: str = "") -> Workload:
    """The process that runs under this identity; `peer` is where the proof came from, where that
    has to be the instance's own address. Raises Denied."""
    instance = diego.instance(said.guid)
    desired = diego.desired(instance.process) if instance is not None else None
    if instance is None or desired is None or not instance.is_running:
        raise Denied(f"{said.guid} is no instance that runs: a task, staging, or gone")
    if desired.app != said.app:
        raise Denied(f"{said.guid} runs another application than its certificate names")
    if peer and peer not in _addresses(instance, said):
        raise Denied(f"{said.guid} is not at {peer}")
    tags = dict(desired.tags)
    process = tags.get("process_type") or "web"
    path = f"/cf/org/{said.organization}/space/{said.space}/app/{said.app}/process/{process}"
    selectors = {
        "cf.app.name": tags.get("app_name", ""),
        "cf.certificate.expires": said.expires.isoformat(),
        "cf.instance.id": said.guid,
        "cf.instance.index": str(instance.index),
        "cf.process.guid": instance.process,
    }
    return Workload(
        path=path,
        addresses=tuple(sorted(_addresses(instance, said))),
        selectors=tuple((k, v) for k, v in selectors.items() if v),
    )


def _addresses(instance: Instance, said: Identity) -> set[str]:
    return {instance.address, instance.container_address, *said.addresses} - {""}


def _authorities() -> ExtensionPolicy:
    return ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, _signs
    )


def _leaves() -> ExtensionPolicy:
    return (
        ExtensionPolicy.permit_all()
        .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
        .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _is_client)
    )


def _signs(policy: Policy, certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("one that may not sign has signed")


def _is_client(policy: Policy, certificate: x509.Certificate, found: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.CLIENT_AUTH not in found:
        raise ValueError("it is not meant for clients")


def _check_signature(leaf: x509.Certificate, found: Proof) -> None:
    if len(found.challenge) < _CHALLENGE:
        raise Denied(f"a challenge has to have {_CHALLENGE} bytes")
    key, sha = leaf.public_key(), hashes.SHA256()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(sha), padding.PSS.MAX_LENGTH)
            key.verify(found.signature, found.challenge, pss, sha)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(found.signature, found.challenge, ec.ECDSA(sha))
        else:
            raise Denied(f"keys of the kind {type(key).__name__} are not used by Diego")
    except InvalidSignature:
        raise Denied("whoever presents the certificate does not have its key") from None


def _subject(leaf: x509.Certificate) -> Identity:
    unit_name, subject = NameOID.ORGANIZATIONAL_UNIT_NAME, leaf.subject
    units = [str(a.value) for a in subject.get_attributes_for_oid(unit_name)]
    parts: dict[str, str] = {}
    for name in _PARTS:
        found = [unit.removeprefix(f"{name}:") for unit in units if unit.startswith(f"{name}:")]
        if len(found) != 1 or not found[0]:
            raise Denied(f"the certificate names {len(found)} of {name}, where one is expected")
        parts[name] = found[0]
    names = [str(a.value) for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        also = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except ExtensionNotFound:
        raise Denied("the certificate has no alternative names") from None
    if len(names) != 1 or names[0] not in also.get_values_for_type(x509.DNSName):
        raise Denied("the certificate's common name is none of its DNS names")
    addresses = tuple(str(a) for a in also.get_values_for_type(x509.IPAddress))
    return Identity(names[0], **parts, addresses=addresses, expires=leaf.not_valid_after_utc)
