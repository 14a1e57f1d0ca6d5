"""A client that asks and never reads: HTTP/2 by hand, as no library lets its user be so rude."""

from __future__ import annotations

import socket
import struct

from pilot_xds.types import ResourceType, Variant
from xds_messages import delta, node, sotw

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_HEADERS = 4
_METHODS = {Variant.DELTA: "DeltaAggregatedResources", Variant.SOTW: "StreamAggregatedResources"}


def ask(address: str, variant: Variant, kind: ResourceType, id: str) -> socket.socket:
    """Connected, and having asked for everything of a type. The server may send 64 KB, which is
    HTTP/2's first window, and is never allowed more."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/envoy.service.discovery.v3.AggregatedDiscoveryService/{_METHODS[variant]}",
        ":authority": "xds",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    headers = b"".join(_literal(name) + _literal(value)[1:] for name, value in fields.items())
    request = (delta if variant is Variant.DELTA else sotw)(kind, node=node(id))
    message = struct.pack(">BI", 0, len(request)) + request
    connection.sendall(
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, 0, 1, message)
    )
    return connection


def _literal(text: str) -> bytes:
    """RFC 7541, 6.2.2, for texts of less than 127 bytes; a value is the same without its start."""
    return b"\x00" + bytes((len(text),)) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
