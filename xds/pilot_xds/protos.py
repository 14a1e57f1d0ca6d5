"""Envoy's API: message classes from one descriptor set, in a descriptor pool of our own.

The only module that touches the set. A private pool, because the default one is shared with every
other package of the process, and packages that bring Envoy's generated code overwrite each other's
files (docs/decisions/0004). Classes are made when they are first asked for:

    from pilot_xds.protos import Cluster
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

SNAPSHOT = "xds-protos 1.85.0"
"""Where the descriptors come from: what this version of the API does not have, we cannot build."""

_CONFIG = "envoy.config."
_HTTP = "envoy.extensions.filters.http."
_LISTENER = "envoy.extensions.filters.listener."
_NETWORK = "envoy.extensions.filters.network."
_TLS = "envoy.extensions.transport_sockets.tls.v3."

NAMES = {
    "AdsDummy": "envoy.service.discovery.v3.AdsDummy",
    "AnyMessage": "google.protobuf.Any",
    "ApiListener": f"{_CONFIG}listener.v3.ApiListener",
    "Bootstrap": f"{_CONFIG}bootstrap.v3.Bootstrap",
    "ClientConfig": "envoy.service.status.v3.ClientConfig",
    "ClientStatusRequest": "envoy.service.status.v3.ClientStatusRequest",
    "ClientStatusResponse": "envoy.service.status.v3.ClientStatusResponse",
    "Cluster": f"{_CONFIG}cluster.v3.Cluster",
    "ClusterLoadAssignment": f"{_CONFIG}endpoint.v3.ClusterLoadAssignment",
    "CommonTlsContext": f"{_TLS}CommonTlsContext",
    "DeltaDiscoveryRequest": "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "DeltaDiscoveryResponse": "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "DiscoveryRequest": "envoy.service.discovery.v3.DiscoveryRequest",
    "DiscoveryResponse": "envoy.service.discovery.v3.DiscoveryResponse",
    "DownstreamTlsContext": f"{_TLS}DownstreamTlsContext",
    "FilterChain": f"{_CONFIG}listener.v3.FilterChain",
    "HttpConnectionManager": f"{_NETWORK}http_connection_manager.v3.HttpConnectionManager",
    "HttpInspector": f"{_LISTENER}http_inspector.v3.HttpInspector",
    "HttpProtocolOptions": "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    "LbEndpoint": f"{_CONFIG}endpoint.v3.LbEndpoint",
    "Listener": f"{_CONFIG}listener.v3.Listener",
    "LocalityLbEndpoints": f"{_CONFIG}endpoint.v3.LocalityLbEndpoints",
    "Node": f"{_CONFIG}core.v3.Node",
    "OriginalDst": f"{_LISTENER}original_dst.v3.OriginalDst",
    "Resource": "envoy.service.discovery.v3.Resource",
    "Route": f"{_CONFIG}route.v3.Route",
    "RouteConfiguration": f"{_CONFIG}route.v3.RouteConfiguration",
    "Router": f"{_HTTP}router.v3.Router",
    "StructMessage": "google.protobuf.Struct",
    "Secret": f"{_TLS}Secret",
    "TcpProxy": f"{_NETWORK}tcp_proxy.v3.TcpProxy",
    "TlsInspector": f"{_LISTENER}tls_inspector.v3.TlsInspector",
    "TransportSocket": f"{_CONFIG}core.v3.TransportSocket",
    "UpstreamTlsContext": f"{_TLS}UpstreamTlsContext",
    "VirtualHost": f"{_CONFIG}route.v3.VirtualHost",
}
"""The messages by name; any other of the API comes from `message("full.name")`."""


def _files(raw: bytes) -> Iterator[bytes]:
    """The files of a serialized FileDescriptorSet, which has one repeated field and no other.

    To decode the set only to encode every file again would take as long as all the rest.
    """
    at = 0
    while at < len(raw):
        length, shift, at = 0, 0, at + 1
        while True:
            byte, at = raw[at], at + 1
            length, shift = length | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        yield raw[at : at + length]
        at += length


def _pool() -> descriptor_pool.DescriptorPool:
    # Not by importlib.resources, whose import alone takes as long as reading the set.
    packed = Path(__file__).with_name("envoy_api.bin").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in _files(zlib.decompress(packed)):
        pool.AddSerializedFile(file)  # type: ignore[no-untyped-call]
        # types-protobuf leaves this method without annotations.
    return pool


POOL = _pool()


def message(full_name: str) -> type[Message]:
    """The class of any message of the API. Raises KeyError where the API has none of that name."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def pack(packed: Message) -> Any:
    """The message as a `google.protobuf.Any`, deterministically serialized."""
    any_message: Any = message("google.protobuf.Any")()
    any_message.Pack(packed, deterministic=True)
    return any_message


def __getattr__(name: str) -> type[Message]:
    try:
        made = message(NAMES[name])
    except KeyError:
        raise AttributeError(f"module {__name__} has no message {name}") from None
    globals()[name] = made
    return made
