"""A proxy: who is connected, as far as it says so itself.

What it says decides which configuration it is shown; which services it stands for follows from
the world (the endpoints with its address and namespace), never from its word.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from pilot_core.model.endpoint import NO_LOCALITY, Locality


class ProxyKind(enum.StrEnum):
    SIDECAR = "sidecar"
    ROUTER = "router"
    """A gateway: it stands beside no workload, and takes traffic from outside."""
    GRPC = "grpc"
    """A gRPC library that balances by itself; it asks for one listener per target."""


class Mode(enum.StrEnum):
    """How traffic gets into the proxy."""

    NONE = "none"
    REDIRECT = "redirect"
    TPROXY = "tproxy"


class Proxy(msgspec.Struct, frozen=True, gc=False, cache_hash=True, kw_only=True):
    """What the node of one xDS stream said (`node.id` and `node.metadata`)."""

    id: str
    kind: ProxyKind = ProxyKind.SIDECAR
    addresses: tuple[str, ...] = ()
    workload: str = ""
    namespace: str = "default"
    service_account: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    locality: Locality = NO_LOCALITY
    cluster_id: str = ""
    network: str = ""
    mode: Mode = Mode.NONE
    outbound: tuple[tuple[str, str], ...] = ()
    """(listen address, `hostname:port`) pairs, sorted."""
    inbound: tuple[tuple[int, str], ...] = ()
    """(service endpoint's port, application address) pairs, sorted."""
    http_listener: str = ""
    is_registry_only: bool = False
    """Intercepted connections to what no registry knows are refused."""
    has_agent: bool = False
    """Its certificates come from an agent beside it, so that it can speak the mesh's TLS."""
    version: str = ""
    """Envoy's version, or the client library's."""


REGISTRY_ONLY = "REGISTRY_ONLY"
"""What a node's `PILOT_OUTBOUND_POLICY` says where its application may reach the mesh alone."""
AGENT = "agent"
"""What a node's `PILOT_TLS` says where an agent is beside the proxy."""
_MAX_ID = 512
_PORT_DIGITS = 5
_KINDS = {"sidecar": ProxyKind.SIDECAR, "router": ProxyKind.ROUTER}


def describe(
    node_id: str,
    metadata: Mapping[str, Any],
    *,
    locality: Locality = NO_LOCALITY,
    user_agent: str = "",
    version: str = "",
) -> Proxy:
    """The proxy that a node describes. Never fails: what cannot be read counts as not said.

    `node_id` in Istio's form is `sidecar~IP~WORKLOAD.NAMESPACE~DOMAIN`; any other id is a sidecar
    in the namespace `default`. Metadata wins over the id.
    """
    kind, address, workload, namespace = _from_id(node_id[:_MAX_ID])
    if user_agent.lower().startswith("grpc"):
        kind = ProxyKind.GRPC
    addresses = tuple(a for a in _text(metadata, "INSTANCE_IPS").split(",") if a)
    return Proxy(
        id=node_id[:_MAX_ID],
        kind=kind,
        addresses=addresses or ((address,) if address else ()),
        workload=_text(metadata, "WORKLOAD_NAME") or workload,
        namespace=_text(metadata, "NAMESPACE") or namespace or "default",
        service_account=_text(metadata, "SERVICE_ACCOUNT"),
        labels=tuple(sorted(_pairs(metadata, "LABELS").items())),
        locality=locality,
        cluster_id=_text(metadata, "CLUSTER_ID"),
        network=_text(metadata, "NETWORK_ID"),
        mode=_mode(_text(metadata, "INTERCEPTION_MODE")),
        outbound=tuple(sorted(_pairs(metadata, "PILOT_OUTBOUND").items())),
        inbound=tuple(sorted(_ports(_pairs(metadata, "PILOT_INBOUND")))),
        http_listener=_text(metadata, "PILOT_HTTP_LISTENER"),
        is_registry_only=_text(metadata, "PILOT_OUTBOUND_POLICY") == REGISTRY_ONLY,
        has_agent=_text(metadata, "PILOT_TLS") == AGENT,
        version=version,
    )


def _from_id(node_id: str) -> tuple[ProxyKind, str, str, str]:
    parts = node_id.split("~")
    if len(parts) != 4 or parts[0] not in _KINDS:
        return ProxyKind.SIDECAR, "", "", ""
    workload, _, namespace = parts[2].rpartition(".")
    return _KINDS[parts[0]], parts[1], workload or parts[2], namespace


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""


def _pairs(metadata: Mapping[str, Any], key: str) -> dict[str, str]:
    value = metadata.get(key)
    if not isinstance(value, Mapping):
        return {}
    return {str(k): v for k, v in value.items() if isinstance(v, str)}


def _ports(pairs: Mapping[str, str]) -> list[tuple[int, str]]:
    return [
        (int(port), where)
        for port, where in pairs.items()
        if port.isdecimal() and len(port) <= _PORT_DIGITS
    ]


def _mode(text: str) -> Mode:
    if not text:
        return Mode.NONE
    try:
        return Mode(text.lower())
    except ValueError:
        return Mode.NONE
