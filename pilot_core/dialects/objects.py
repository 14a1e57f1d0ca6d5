"""Documents with `apiVersion` and `kind`: which dialect reads them, from files and from platforms.

Rule 1: an object means the same, and has the same findings, wherever it comes from.
Rule 2: an object is taken as a whole or not at all; what of it would have no effect is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from pilot_core.dialects.convert import Said
from pilot_core.dialects.istio import peer_authentication, service_entry
from pilot_core.document import Findings, Scalar, documents
from pilot_core.document import Mapping as Tree
from pilot_core.document.words import nearest
from pilot_core.errors import Finding
from pilot_core.model import Inbound, Trust

Decode: TypeAlias = Callable[[Tree, Findings], Iterable[Said | Trust]]


class Kind(msgspec.Struct, frozen=True):
    """One kind of object, and the versions of it that mean the same."""

    group: str
    name: str
    plural: str
    versions: tuple[str, ...]
    """The preferred one first."""
    decode: Decode

    @property
    def resource(self) -> str:
        """`PLURAL.GROUP`"""
        return f"{self.plural}.{self.group}"


KINDS: Mapping[str, Kind] = {
    kind.resource: kind
    for kind in (
        Kind(
            group="networking.istio.io",
            name="ServiceEntry",
            plural="serviceentries",
            versions=("v1", "v1beta1", "v1alpha3"),
            decode=service_entry.decode,
        ),
        Kind(
            group="security.istio.io",
            name="PeerAuthentication",
            plural="peerauthentications",
            versions=("v1", "v1beta1"),
            decode=peer_authentication.decode,
        ),
    )
}
"""By resource."""


class Read(msgspec.Struct, frozen=True):
    """What an object says, and what is wrong with it: nothing is said where anything is."""

    records: tuple[Said | Trust, ...] = ()
    refused: tuple[Finding, ...] = ()


def read(root: Tree, findings: Findings) -> Read:
    """One document; `findings` are its own."""
    version, name = (_text(root, key) for key in ("apiVersion", "kind"))
    group, _, short = version.rpartition("/")
    kind = next((k for k in KINDS.values() if (k.group, k.name) == (group, name)), None)
    if kind is None or short not in kind.versions:
        findings.add(root, _not_read(name, version, kind))
        return Read(refused=findings.all)
    records = tuple(kind.decode(root, findings))
    return Read(() if len(findings) else records, findings.all)


def read_json(content: bytes, path: str) -> Read:
    """One object as a platform sends it; `path` is what its findings name."""
    findings = Findings(path)
    root = next(documents(content, findings, is_json=True))
    if not isinstance(root, Tree):
        findings.add(root, "expected an object with apiVersion and kind")
        return Read(refused=findings.all)
    return read(root, findings)


def record_kind(root: Tree) -> str:
    """The kind of the records that such a document makes, beside services."""
    return Inbound.kind if _text(root, "kind") == "PeerAuthentication" else ""


def _text(root: Tree, key: str) -> str:
    node = root.get(key)
    return str(node.value) if isinstance(node, Scalar) else ""


def _not_read(name: str, version: str, kind: Kind | None) -> str:
    if kind is not None:
        return f"{name} is read in the versions {', '.join(kind.versions)}, not {version}"
    meant = nearest(name, (k.name for k in KINDS.values()))
    hint = f"; did you mean {meant}?" if meant else ""
    return f"documents of kind {name} ({version}) are not read by this version{hint}"
