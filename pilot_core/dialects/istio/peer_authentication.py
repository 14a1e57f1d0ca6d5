"""PeerAuthentication: who may connect to the sidecars of the mesh, a namespace or workloads.

istio.io/latest/docs/reference/config/security/peer_authentication, versions v1beta1 and v1.

Rule 1: in the mesh's root namespace it is about the mesh, elsewhere about its namespace.
Rule 2: what it leaves unset is inherited: nothing is said of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from pilot_core.dialects.istio import metadata
from pilot_core.dialects.istio.metadata import Metadata
from pilot_core.dialects.steps import Steps, follow
from pilot_core.document import Decoder, Findings, Node
from pilot_core.document import Mapping as Tree
from pilot_core.model import Inbound, InboundTls, Origin

ROOT_NAMESPACE = "istio-system"


class _Mode(enum.StrEnum):
    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


_MODES = {
    _Mode.DISABLE: InboundTls.DISABLED,
    _Mode.PERMISSIVE: InboundTls.PERMISSIVE,
    _Mode.STRICT: InboundTls.STRICT,
}


class _Mtls(msgspec.Struct, frozen=True):
    mode: _Mode = _Mode.UNSET


class _Selector(msgspec.Struct, frozen=True, rename="camel"):
    match_labels: Mapping[str, str] = msgspec.field(default_factory=dict)


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    selector: _Selector = _Selector()
    mtls: _Mtls = _Mtls()
    port_level_mtls: Mapping[str, _Mtls] = msgspec.field(default_factory=dict)


class _Object(msgspec.Struct, frozen=True):
    api_version: str = msgspec.field(name="apiVersion")
    kind: str
    metadata: Node
    spec: _Spec = _Spec()
    status: Node | None = None


def decode(root: Tree, findings: Findings) -> Iterable[Inbound]:
    """One PeerAuthentication as a statement."""
    decoder = Decoder(findings)
    found = decoder.decode(root, _Object)
    if found is None:
        return ()
    about = metadata.read(found.metadata, decoder)
    for steps, message in _without_effect(about, found.spec):
        decoder.refuse(*follow(root.get("spec") or root, ((), "spec"), steps), message)
    return (_inbound(about, found.spec, Origin(findings.place(root))),)


def _without_effect(about: Metadata, spec: _Spec) -> Iterator[tuple[Steps, str]]:
    is_chosen = bool(spec.selector.match_labels)
    if is_chosen and about.namespace == ROOT_NAMESPACE:
        message = f"workloads are not chosen from {ROOT_NAMESPACE}: say it in their namespace"
        yield ("selector",), message
    if spec.port_level_mtls and not is_chosen:
        yield ("portLevelMtls",), "ports are read beside a selector only, as everywhere"
    for port in spec.port_level_mtls:
        if not port.isdecimal() or not 0 < int(port[:6]) < 65536:
            yield ("portLevelMtls",), f'"{port[:20]}" is not a number from 1 to 65535'


def _inbound(about: Metadata, spec: _Spec, origin: Origin) -> Inbound:
    ports = {int(p[:6]): mtls.mode for p, mtls in spec.port_level_mtls.items() if p.isdecimal()}
    return Inbound(
        name=f"PeerAuthentication {about.namespace}/{about.name}",
        namespace="" if about.namespace == ROOT_NAMESPACE else about.namespace,
        labels=tuple(sorted(spec.selector.match_labels.items())),
        mode=_MODES.get(spec.mtls.mode),
        ports=tuple(sorted((n, _MODES[mode]) for n, mode in ports.items() if mode in _MODES)),
        origin=origin,
    )
