"""Views: everything that the builder of one resource sees, and so the resource's cache key.

Rule 1: a builder gets a view and nothing else. The same view makes the same bytes.
Rule 2: a view holds no more than its resource needs, so that what does not matter changes nothing.
Rule 3: tuples in a view are in the order in which they are to be built, which never depends on
hash seeds or on the order of arrival.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec

from pilot_core.model import Health, Locality, TlsMode


class EndpointView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """One address to balance to. `addresses[0]` may be `unix:///path`, and `port` is 0 then."""

    addresses: tuple[str, ...]
    port: int
    health: Health
    weight: int
    tls: TlsMode = TlsMode.PLAIN
    tls_name: str = ""
    """The name that the platform's own TLS server there must present; it wins over `tls`."""
    tls_roots: str = ""


class LocalityView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The endpoints of one place; priorities count from 0 without gaps."""

    locality: Locality
    priority: int
    endpoints: tuple[EndpointView, ...]


class EndpointsView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The load assignment of one cluster (EDS); empty where nothing answers."""

    name: str
    localities: tuple[LocalityView, ...]


class Discovery(enum.StrEnum):
    """How a cluster finds its endpoints."""

    EDS = "eds"
    DNS = "dns"
    """Its endpoints are DNS names, and part of the cluster."""
    STATIC = "static"
    """Its endpoints are part of the cluster: the application behind a sidecar."""
    ORIGINAL_DESTINATION = "original-destination"


class ClusterView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A cluster (CDS). `localities` is empty unless the endpoints are part of it.

    `identities` are the SPIFFE ids that its endpoints with mutual TLS may show, and `roots` the
    names of those that sign for its endpoints with a platform's TLS; empty where it has none. Where
    it has any, `protocol` is what is spoken inside TLS, as its hello names it (ALPN); empty: bytes.
    """

    name: str
    discovery: Discovery
    http2: bool = False
    localities: tuple[LocalityView, ...] = ()
    identities: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    protocol: str = ""
    source: str = ""
    """The address that connections to it come from; empty: the system chooses."""


class VirtualHostView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """One name (`HOSTNAME:PORT`), the Host headers it answers to, and the cluster behind."""

    name: str
    domains: tuple[str, ...]
    cluster: str


class HostsView(msgspec.Struct, frozen=True, cache_hash=True, weakref=True):
    """Virtual hosts that several route configurations share, in their order."""

    hosts: tuple[VirtualHostView, ...]


class RoutesView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A route configuration (RDS): its virtual hosts, group by group."""

    name: str
    groups: tuple[HostsView, ...]

    @property
    def hosts(self) -> tuple[VirtualHostView, ...]:
        return tuple(host for group in self.groups for host in group.hosts)


class Direction(enum.StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    GATEWAY = "gateway"


class HttpListenerView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A listener that routes by a route configuration of its own name space (RDS)."""

    name: str
    address: str
    port: int
    routes: str
    direction: Direction


class CallersView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Who may connect to a listener: callers of the trust domain, by mutual TLS, and others only
    where plaintext is taken as well."""

    trust_domain: str
    plaintext: bool = False


class ForwardListenerView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A listener that hands everything to one cluster, as HTTP or as bytes.

    Without `callers` it takes plaintext from everybody.
    """

    name: str
    address: str
    port: int
    cluster: str
    http: bool
    direction: Direction
    callers: CallersView | None = None

    @property
    def takes_both(self) -> bool:
        """Callers with a certificate, and callers in plaintext."""
        return self.callers is not None and self.callers.plaintext


class ApiListenerView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The listener a gRPC library asks for by its target; it routes all to one cluster."""

    name: str
    cluster: str


class CaughtListenerView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Where redirected connections of the application come in: each goes to the listener of what
    it was meant for, and to the cluster where there is none."""

    name: str
    port: int
    cluster: str


class PortListenerView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Connections meant for this address and port (`0.0.0.0`: any), handed on by the listener that
    caught them. With `routes`, HTTP goes by them (RDS) and the rest to the cluster."""

    name: str
    address: str
    port: int
    cluster: str
    routes: str = ""


class GateView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Where redirected connections of callers come in: each is served as the listener at the
    address and port that it was meant for would, and any other as `otherwise` says."""

    name: str
    port: int
    served: tuple[ForwardListenerView, ...]
    otherwise: ForwardListenerView


class RootsView(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Certificates to believe, in PEM: a secret (SDS) that is none."""

    name: str
    certificates: str


ListenerView: TypeAlias = (
    HttpListenerView
    | ForwardListenerView
    | ApiListenerView
    | CaughtListenerView
    | PortListenerView
    | GateView
)
View: TypeAlias = ClusterView | EndpointsView | RoutesView | ListenerView | RootsView
