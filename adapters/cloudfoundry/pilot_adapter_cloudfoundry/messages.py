"""What emitters and routers say over NATS, decoded; `null` is a normal way to say nothing.

Source: routing-release, docs of gorouter, "Registering Routes via NATS".
"""

from __future__ import annotations

import math
import socket
from typing import Any

import msgspec

from pilot_adapter_cloudfoundry.route import Balancing, Route, Uri

_PORT_LIMIT = 65535


class Unusable(Exception):
    """A message that names routes, and says what no proxy could use; the text says why."""


class Options(msgspec.Struct, frozen=True):
    """What else is asked of a route."""

    loadbalancing: str | None = None
    hash_header: str | None = None
    hash_balance: str | float | None = None
    route_policy_scope: Any = None
    route_policy_sources: Any = None

    @property
    def has_policy(self) -> bool:
        return bool(self.route_policy_scope or self.route_policy_sources)

    @property
    def balancing(self) -> Balancing:
        """Nothing where it makes no sense: then it is as if nobody had asked."""
        try:
            factor = float(self.hash_balance or 0)
        except ValueError:
            factor = 0.0
        return Balancing(self.loadbalancing or "", self.hash_header or "", factor)


class Registration(msgspec.Struct, frozen=True):
    """`router.register` and `router.unregister`, and the same of `service-discovery`."""

    uris: list[str] | None = None
    host: str | None = None
    port: int | None = None
    tls_port: int | None = None
    server_cert_domain_san: str | None = None
    private_instance_id: str | None = None
    private_instance_index: str | int | None = None
    app: str | None = None
    protocol: str | None = None
    tags: dict[str, Any] | None = None
    isolation_segment: str | None = None
    availability_zone: str | None = None
    route_service_url: str | None = None
    stale_threshold_in_seconds: int | None = None
    options: Options | None = None


class Start(msgspec.Struct, frozen=True):
    """A router introduces itself, unasked or as the answer to a greeting; in seconds."""

    interval: float | None = msgspec.field(name="minimumRegisterIntervalInSeconds", default=None)
    prune: float | None = msgspec.field(name="pruneThresholdInSeconds", default=None)


_LABELS = (
    ("cf.app.id", "app_id"),
    ("cf.app.name", "app_name"),
    ("cf.org.id", "organization_id"),
    ("cf.org.name", "organization_name"),
    ("cf.process.id", "process_id"),
    ("cf.process.type", "process_type"),
    ("cf.space.id", "space_id"),
    ("cf.space.name", "space_name"),
    ("cf.component", "component"),
    ("cfapp", "process_id"),
)

_registration = msgspec.json.Decoder(Registration)
_start = msgspec.json.Decoder(Start)


def registration(data: bytes) -> Registration:
    """Raises msgspec.MsgspecError."""
    return _registration.decode(data)


def start(data: bytes) -> Start:
    """Raises msgspec.MsgspecError."""
    return _start.decode(data)


def uris(said: Registration) -> tuple[Uri, ...]:
    """What routers match: lower case, paths too, without a query."""
    return tuple(dict.fromkeys(Uri.parse(text) for text in said.uris or () if text))


def speaker(said: Registration) -> str:
    """Who a message is from, sound or not: an instance, else whoever is at the address."""
    return said.private_instance_id or f"{said.host}:{said.private_instance_index or said.port}"


def lifetime(said: Registration) -> float:
    """Seconds; infinite where the message does not shorten it."""
    stale = said.stale_threshold_in_seconds or 0
    return stale if stale > 0 else math.inf


def external(said: Registration) -> Route:
    """The instance of an HTTP route. Where there is a TLS port it is the only one that counts.
    Raises Unusable."""
    host, port = said.host or "", said.tls_port or said.port or 0
    if not is_ip(host):
        raise Unusable(f"host {host[:60]!r} is not an IP address")
    if not 0 < port <= _PORT_LIMIT:
        raise Unusable(f"port {port} of {host} is not a number from 1 to {_PORT_LIMIT}")
    tls_name = (said.server_cert_domain_san or "") if said.tls_port else ""
    if said.tls_port and not tls_name:
        raise Unusable(f"{host}:{port} speaks TLS, and does not say under what name")
    options = said.options or Options()
    return Route(
        id=said.private_instance_id or "",
        host=host,
        port=port,
        tls_name=tls_name,
        is_http2=said.protocol == "http2",
        app=said.app or "",
        zone=said.availability_zone or "",
        labels=labels(said),
        is_guarded=bool(said.route_service_url) or options.has_policy,
        segment=said.isolation_segment or "",
        balancing=options.balancing,
        is_of_diego=(said.tags or {}).get("component") == "route-emitter",
    )


def internal(said: Registration) -> Route:
    """The instance of an internal route: an address in the containers' network. It has no id but
    its index in its application. Raises Unusable."""
    host = said.host or ""
    if not is_ip(host):
        raise Unusable(f"host {host[:60]!r} is not an IP address")
    index = said.private_instance_index
    id = f"{said.app}/{index}" if said.app and index not in (None, "") else ""
    return Route(
        id=id,
        host=host,
        port=0,
        app=said.app or "",
        zone=said.availability_zone or "",
        labels=labels(said),
        is_of_diego=True,
    )


def labels(said: Registration) -> tuple[tuple[str, str], ...]:
    """What the emitter knows of the instance, under this mesh's names; sorted."""
    tags = said.tags or {}
    made = {name: tags.get(tag) for name, tag in _LABELS}
    made["cf.app.id"] = made["cf.app.id"] or said.app
    made["cf.instance.id"] = said.private_instance_id
    index = said.private_instance_index
    made["cf.instance.index"] = None if index is None else str(index)
    made["cf.isolation_segment"] = said.isolation_segment
    made["topology.zone"] = said.availability_zone
    return tuple(sorted((k, v) for k, v in made.items() if isinstance(v, str) and v))


def is_ip(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return False
    return True
