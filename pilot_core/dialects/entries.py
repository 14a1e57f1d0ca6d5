"""The entries of a catalogue file, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from pilot_core.model import Health, InboundTls, Protocol, Resolution, TlsMode
from pilot_core.model.service import EVERYWHERE

Number = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Weight = Annotated[int, msgspec.Meta(ge=0, le=4294967295)]


class PortEntry(msgspec.Struct, frozen=True, gc=False):
    """`{name: http, number: 80, protocol: http}`"""

    number: Number
    name: str = ""
    """Default: the number."""
    protocol: Protocol | None = None
    """Default: what the name's prefix announces, else tcp."""


class EndpointEntry(msgspec.Struct, frozen=True, gc=False):
    """One instance of the service."""

    address: str
    """An IP address; a DNS name with resolution dns; `unix:///path`."""
    ports: Mapping[str, Number] = msgspec.field(default_factory=dict)
    """By port name; default: the service's numbers."""
    health: Health = Health.HEALTHY
    weight: Weight = 1
    locality: str = ""
    """`region/zone/subzone`"""
    network: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    workload: str = ""
    service_account: str = ""
    tls: TlsMode = TlsMode.PLAIN
    """Does the endpoint terminate the mesh's TLS?"""
    tls_name: str = ""
    """The DNS name that a TLS server of the platform's own must present there."""
    tls_roots: str = ""
    """Who signs for it: one of the document's `roots`, or of another registry's."""


class ServiceEntry(msgspec.Struct, frozen=True, gc=False):
    """One service with its endpoints."""

    hostname: str
    namespace: str = "default"
    ports: tuple[PortEntry, ...] = ()
    resolution: Resolution = Resolution.STATIC
    visibility: tuple[str, ...] = (EVERYWHERE,)
    """Namespaces that see it; `.` is its own."""
    addresses: tuple[str, ...] = ()
    """Virtual addresses, by which callers know it whose traffic is redirected to a proxy."""
    endpoints: tuple[EndpointEntry, ...] = ()


class RootsEntry(msgspec.Struct, frozen=True, gc=False):
    """Who signs for a platform's own TLS servers."""

    name: str
    certificates: str
    """In PEM, one after another."""


class InboundEntry(msgspec.Struct, frozen=True, gc=False):
    """Who may connect to sidecars: of the mesh, of a namespace, or of workloads in one."""

    namespace: str = ""
    workload: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    mode: InboundTls | None = None
    """strict: callers with a certificate of the mesh; permissive: these and plaintext; disabled:
    plaintext only."""
    ports: Mapping[str, InboundTls] = msgspec.field(default_factory=dict)
    """By the endpoints' own port number, where that is another one."""
