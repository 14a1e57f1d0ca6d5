"""Who is at the other end: Envoy's node message, read as far as it matters.

A stock Envoy sends 60 KB of it, most of which lists its extensions; nothing of the message is kept.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from pilot_core.model import Locality, Proxy
from pilot_core.model.proxy import describe
from pilot_xds.protos import Node
from pilot_xds.wire import Malformed

_MAX_DEPTH = 16


def read(data: bytes) -> Proxy:
    """The proxy that a serialized node describes. Raises Malformed."""
    try:
        node = Node.FromString(data)
    except DecodeError as error:
        raise Malformed(f"the node cannot be read: {error}") from None
    place = node.locality
    return describe(
        node.id,
        {key: _value(value) for key, value in node.metadata.fields.items()},
        locality=Locality(place.region, place.zone, place.sub_zone),
        user_agent=node.user_agent_name,
        version=_version(node),
    )


def _version(node: Any) -> str:
    if node.HasField("user_agent_build_version"):
        number = node.user_agent_build_version.version
        return f"{number.major_number}.{number.minor_number}.{number.patch}"
    return str(node.user_agent_version)[:64]


def _value(value: Any, depth: int = 0) -> Any:
    """A google.protobuf.Value as plain data; what is nested too deeply counts as not said."""
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value" or depth > _MAX_DEPTH:
        return None
    if kind == "struct_value":
        return {k: _value(v, depth + 1) for k, v in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_value(v, depth + 1) for v in value.list_value.values]
    return getattr(value, kind)
