"""ServiceEntry: services that no registry knows, written down by hand.

istio.io/latest/docs/reference/config/networking/service-entry, versions v1alpha3 to v1.

Rule 1: each of `hosts` is a service of its own, with all the ports and endpoints.
Rule 2: with resolution DNS and no endpoints, the host itself is what proxies resolve.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from pilot_core.dialects import entries
from pilot_core.dialects.convert import Converter, Said
from pilot_core.dialects.entries import EndpointEntry, Number, PortEntry, Weight
from pilot_core.dialects.istio import metadata
from pilot_core.dialects.steps import Steps, follow
from pilot_core.document import Decoder, Findings, Node
from pilot_core.document import Mapping as Tree
from pilot_core.document.words import Where
from pilot_core.model import Endpoints, Origin, Protocol, Resolution, Service, TlsMode
from pilot_core.model.service import EVERYWHERE

_SPIFFE = "spiffe://"
_NOBODY = "~"
_TLS_MODE = "security.istio.io/tlsMode"
_PROTOCOLS = {"HTTP2": Protocol.HTTP2, "GRPC-WEB": Protocol.GRPC_WEB}


class _Resolution(enum.StrEnum):
    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class _Location(enum.StrEnum):
    EXTERNAL = "MESH_EXTERNAL"
    INTERNAL = "MESH_INTERNAL"


_RESOLUTIONS = {
    _Resolution.NONE: Resolution.PASSTHROUGH,
    _Resolution.STATIC: Resolution.STATIC,
    _Resolution.DNS: Resolution.DNS,
    _Resolution.DNS_ROUND_ROBIN: Resolution.DNS,
}


class _Port(msgspec.Struct, frozen=True, rename="camel"):
    number: Number
    name: str = ""
    protocol: str = ""
    target_port: Number | None = None


class _Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    address: str
    ports: Mapping[str, Number] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: Weight = 1
    service_account: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    ports: tuple[_Port, ...] = ()
    location: _Location = _Location.EXTERNAL
    """Whether the mesh's TLS is spoken is said of each endpoint, by its label for that."""
    resolution: _Resolution = _Resolution.NONE
    endpoints: tuple[_Endpoint, ...] = ()
    workload_selector: Node | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class _Object(msgspec.Struct, frozen=True):
    api_version: str = msgspec.field(name="apiVersion")
    kind: str
    metadata: Node
    spec: _Spec
    status: Node | None = None


def decode(root: Tree, findings: Findings) -> Iterable[Said]:
    """The services of one ServiceEntry, each with its endpoints."""
    decoder = Decoder(findings)
    found = decoder.decode(root, _Object)
    if found is None:
        return ()
    about = metadata.read(found.metadata, decoder)
    return _Reading(root, found.spec, about.namespace, decoder).records()


class _Reading:
    """One object; what is wrong with it is found at its place."""

    def __init__(self, root: Tree, spec: _Spec, namespace: str, decoder: Decoder) -> None:
        self._spec, self._namespace, self._decoder = spec, namespace, decoder
        self._node = root.get("spec") or root
        self._where: Where = ((), "spec")
        self._origin = Origin(decoder.findings.place(root))
        self._convert = Converter()

    def records(self) -> Iterator[Said]:
        spec = self._spec
        self._refuse_what_has_no_effect()
        if not spec.hosts:
            self._refuse(("hosts",), "a host is needed")
        resolution = _RESOLUTIONS.get(spec.resolution)
        if resolution is None:
            known = ", ".join(_RESOLUTIONS)
            self._refuse(("resolution",), f"{spec.resolution} is not read, only {known}")
            return
        for index, host in enumerate(spec.hosts):
            yield from self._service(index, self._entry(host, resolution))

    def _refuse(self, steps: Steps, message: str) -> None:
        self._decoder.refuse(*follow(self._node, self._where, steps), message)

    def _refuse_what_has_no_effect(self) -> None:
        spec = self._spec
        if spec.workload_selector is not None:
            message = "workloads are not selected by this version: list them as endpoints"
            self._refuse(("workloadSelector",), message)
        for index, address in enumerate(spec.addresses):
            if "/" in address:
                self._refuse(("addresses", index), "ranges are not read by this version")
        for index, name in enumerate(spec.subject_alt_names):
            if not name.startswith(_SPIFFE):
                self._refuse(("subjectAltNames", index), "only SPIFFE ids are read by this version")

    def _entry(self, host: str, resolution: Resolution) -> entries.ServiceEntry:
        spec = self._spec
        endpoints = tuple(self._endpoint(written) for written in spec.endpoints)
        if resolution is Resolution.DNS and not endpoints and not host.startswith("*"):
            endpoints = (self._endpoint(_Endpoint(host)),)
        visibility = tuple(n for n in spec.export_to if n != _NOBODY)
        return entries.ServiceEntry(
            hostname=host,
            namespace=self._namespace,
            ports=tuple(self._port(index, port) for index, port in enumerate(spec.ports)),
            resolution=resolution,
            visibility=visibility if spec.export_to else (EVERYWHERE,),
            endpoints=endpoints,
        )

    def _port(self, index: int, port: _Port) -> PortEntry:
        said = port.protocol.upper()
        protocol = _PROTOCOLS.get(said) or next(
            (p for p in Protocol if p.value == said.lower()), None
        )
        if said and protocol is None:
            self._refuse(("ports", index, "protocol"), f"there is no protocol {port.protocol}")
        return PortEntry(number=port.number, name=port.name, protocol=protocol)

    def _endpoint(self, written: _Endpoint) -> EndpointEntry:
        numbers = {p.name or str(p.number): p.target_port or p.number for p in self._spec.ports}
        is_mesh = written.labels.get(_TLS_MODE) == "istio"
        return EndpointEntry(
            address=written.address,
            ports={**numbers, **written.ports},
            weight=written.weight or 1,
            locality=written.locality,
            network=written.network,
            labels=written.labels,
            service_account=written.service_account,
            tls=TlsMode.MUTUAL if is_mesh else TlsMode.PLAIN,
        )

    def _service(self, index: int, entry: entries.ServiceEntry) -> Iterator[Said]:
        def refuse(steps: Steps, message: str) -> None:
            places: dict[Any, Steps] = {
                "hostname": ("hosts", index),
                "visibility": ("exportTo", *steps[1:]),
            }
            self._refuse(places.get(steps[0], steps), message)

        for record in self._convert.records(entry, self._origin, refuse):
            if isinstance(record, Endpoints):
                yield record
                continue
            yield self._with_addresses(record)

    def _with_addresses(self, service: Service) -> Service:
        identities = tuple(n for n in self._spec.subject_alt_names if n.startswith(_SPIFFE))
        return msgspec.structs.replace(
            service, addresses=self._spec.addresses, identities=identities
        )
