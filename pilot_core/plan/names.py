"""Names that tools and people depend on: clusters, virtual hosts, listeners, routes."""

from __future__ import annotations

BLACK_HOLE = "BlackHoleCluster"
PASSTHROUGH = "PassthroughCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
"""To the application, at a port that no registry knows."""
VIRTUAL_OUTBOUND, VIRTUAL_INBOUND = "virtualOutbound", "virtualInbound"
"""The listeners that intercepted traffic comes to."""
OUTBOUND_HTTP = "outbound-http"
"""The HTTP listener's name, and that of its route configuration."""
_LONGEST_SERVER_NAME = 255
"""Bytes (RFC 6066 with RFC 1035; what TLS libraries take)."""


def outbound_cluster(hostname: str, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{hostname}"


def inbound_cluster(port: int) -> str:
    return f"inbound|{port}||"


def server_name(cluster: str) -> str:
    """What a caller says in its TLS hello (SNI) to the endpoints of an outbound cluster; empty
    where that would be longer than a hello may say."""
    name = cluster.replace("|", "_.")
    return name if len(name) <= _LONGEST_SERVER_NAME else ""


def roots(name: str) -> str:
    """The secret that holds these roots."""
    return f"roots/{name}"


def hostname_of_cluster(name: str) -> str:
    """The hostname in a cluster's name; empty where there is none."""
    parts = name.split("|")
    return parts[3] if len(parts) == 4 else ""


def virtual_host(hostname: str, port: int) -> str:
    return f"{hostname}:{port}"


def listener(direction: str, address: str, port: int) -> str:
    return f"{direction}_{address}_{port}"


def intercepted(address: str, port: int) -> str:
    """The listener of connections that were meant for this address and port."""
    return f"{address}_{port}"


def short_name(hostname: str) -> str:
    """The first label of a hostname that has more than one; else, and for wildcards, empty."""
    first, dot, _ = hostname.partition(".")
    return first if dot and first != "*" else ""
