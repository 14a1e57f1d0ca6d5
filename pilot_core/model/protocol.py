"""The protocols a port can speak, and which of them the data plane treats as HTTP."""

from __future__ import annotations

import enum


class Protocol(enum.StrEnum):
    """What is spoken on a port: the names of the catalogue format."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    GRPC_WEB = "grpc_web"
    HTTPS = "https"
    TLS = "tls"
    TCP = "tcp"
    UDP = "udp"
    MONGO = "mongo"
    MYSQL = "mysql"
    REDIS = "redis"
    KAFKA = "kafka"
    ZOOKEEPER = "zookeeper"
    THRIFT = "thrift"
    DUBBO = "dubbo"
    BOLT = "bolt"

    @property
    def is_http(self) -> bool:
        """Routed request by request. HTTPS is not: what is encrypted end to end is a TCP stream."""
        return self in _HTTP

    @property
    def is_http2(self) -> bool:
        """Spoken to the endpoint as HTTP/2 with prior knowledge."""
        return self in _HTTP2

    @property
    def is_datagram(self) -> bool:
        return self is Protocol.UDP

    @property
    def is_carried_as_tcp(self) -> bool:
        """The data plane does not look into it, though it is more than a stream of bytes."""
        return self not in _HTTP and self not in _BYTES


_HTTP = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
_HTTP2 = frozenset({Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
_BYTES = frozenset({Protocol.TCP, Protocol.TLS, Protocol.HTTPS})

_BY_PREFIX = {
    "http": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC_WEB,
    **{p.value: p for p in Protocol},
}


def from_port_name(name: str) -> Protocol:
    """The protocol that a port's name announces (`http-admin`, `grpc`, `redis-cache`), else TCP.

    The rule of Istio's "explicit protocol selection": the part before the first hyphen decides,
    with `grpc-web` as the one prefix that has a hyphen of its own.
    """
    lowered = name.lower()
    if lowered == "grpc-web" or lowered.startswith("grpc-web-"):
        return Protocol.GRPC_WEB
    return _BY_PREFIX.get(lowered.partition("-")[0], Protocol.TCP)
