"""Which process somebody is, by the identity certificate of its instance and Diego's word.

Rule 1: a certificate alone proves nothing: staging and tasks have certificates of the same
application. What it names has to run as an instance of it, by what the BBS says.
Rule 2: the subject's parts are told apart by their prefixes, never by their order, and each has to
be there once.
Rule 3: who signed for the certificate, and that whoever shows it has its key, is settled before
anybody is asked here.

Sources: Diego's instance identity (`instance_identity` in the executor), and the SPIFFE ids that
Cloud Foundry's own UAA gives.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilot_adapter_cloudfoundry.diego import Diego
from pilot_core.adapter import Denied
from pilot_core.model import Workload

KIND = "x509"
"""The kind of evidence: a leaf as DER, whose key has been proved."""
_PARTS = ("organization", "space", "app")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_ODD = (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What certificates that are not sound make the library raise."""


class Identity(NamedTuple):
    """What a certificate says of itself."""

    guid: str
    organization: str
    space: str
    app: str
    addresses: tuple[str, ...]


def identity(der: bytes) -> Identity:
    """Raises Denied where it is no instance's."""
    try:
        return _identity(x509.load_der_x509_certificate(der))
    except _ODD as error:
        raise Denied(f"the certificate cannot be read: {error}") from None
    except x509.ExtensionNotFound as error:
        raise Denied(f"the certificate has no {error.oid._name}") from None


def workload(said: Identity, diego: Diego) -> Workload:
    """The process that runs under this identity. Raises Denied."""
    instance = diego.instance(said.guid)
    desired = diego.desired(instance.process) if instance is not None else None
    if instance is None or desired is None or not instance.is_running:
        raise Denied(f"{said.guid} is no instance that runs: a task, staging, or gone")
    if desired.app != said.app:
        raise Denied(f"{said.guid} runs another application than its certificate names")
    tags = dict(desired.tags)
    process = tags.get("process_type") or "web"
    path = f"/cf/org/{said.organization}/space/{said.space}/app/{said.app}/process/{process}"
    selectors = {
        "cf.app.name": tags.get("app_name", ""),
        "cf.instance.id": said.guid,
        "cf.instance.index": str(instance.index),
        "cf.process.guid": instance.process,
    }
    return Workload(
        path=path,
        addresses=tuple(
            sorted({instance.address, instance.container_address, *said.addresses} - {""})
        ),
        selectors=tuple((k, v) for k, v in selectors.items() if v),
    )


def _identity(leaf: x509.Certificate) -> Identity:
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise Denied("the certificate is not meant for clients")
    parts = {name: _part(name, leaf) for name in _PARTS}
    names = _subject(NameOID.COMMON_NAME, leaf)
    also = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if len(names) != 1 or names[0] not in also.get_values_for_type(x509.DNSName):
        raise Denied("the certificate's common name is none of its DNS names")
    addresses = tuple(str(a) for a in also.get_values_for_type(x509.IPAddress))
    return Identity(names[0], **parts, addresses=addresses)


def _part(name: str, leaf: x509.Certificate) -> str:
    units = _subject(NameOID.ORGANIZATIONAL_UNIT_NAME, leaf)
    found = [unit.removeprefix(f"{name}:") for unit in units if unit.startswith(f"{name}:")]
    if len(found) != 1 or not _SEGMENT.fullmatch(found[0]):
        raise Denied(f"the certificate names {len(found)} of {name}, where one guid is expected")
    return found[0]


def _subject(kind: x509.ObjectIdentifier, leaf: x509.Certificate) -> list[str]:
    return [str(found.value) for found in leaf.subject.get_attributes_for_oid(kind)]
