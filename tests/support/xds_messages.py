"""Discovery requests and responses for tests, made and read by protobuf itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pilot_xds import protos
from pilot_xds.layer import Layer
from pilot_xds.resource import Resource
from pilot_xds.snapshot import Snapshot
from pilot_xds.types import BY_URL, ResourceType, Variant

CDS, EDS, LDS, RDS = (
    ResourceType.CLUSTER,
    ResourceType.ENDPOINTS,
    ResourceType.LISTENER,
    ResourceType.ROUTES,
)
_MESSAGES = {
    CDS: protos.Cluster,
    EDS: protos.ClusterLoadAssignment,
    LDS: protos.Listener,
    RDS: protos.RouteConfiguration,
}


def resource(kind: ResourceType, name: str, content: str = "1") -> Resource:
    """A real message of the type whose content differs with `content`."""
    message: Any = _MESSAGES[kind]()
    if kind is EDS:
        message.cluster_name = name
        message.endpoints.add().locality.zone = content
    elif kind is CDS:
        message.name, message.alt_stat_name = name, content
    elif kind is LDS:
        message.name, message.stat_prefix = name, content
    else:
        message.name = name
        message.virtual_hosts.add().name = content
    return Resource(name, protos.pack(message).SerializeToString())


def layer(kind: ResourceType, contents: Mapping[str, str]) -> Layer:
    return Layer.of(kind, (resource(kind, name, text) for name, text in contents.items()))


def snapshot(contents: Mapping[ResourceType, Mapping[str, str]]) -> Snapshot:
    """One layer per type."""
    return Snapshot({kind: (layer(kind, texts),) for kind, texts in contents.items()})


def node(node_id: str = "sidecar~10.0.0.1~web.shop~mesh", **more: Any) -> Any:
    return protos.Node(id=node_id, **more)


def sotw(
    kind: ResourceType | str, names: Iterable[str] = (), *, error: str | None = None, **more: Any
) -> bytes:
    """A DiscoveryRequest; `more` are its other fields."""
    made: Any = protos.DiscoveryRequest(type_url=_url(kind), resource_names=list(names), **more)
    return _with_error(made, error)


def delta(
    kind: ResourceType | str,
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    *,
    error: str | None = None,
    **more: Any,
) -> bytes:
    """A DeltaDiscoveryRequest; `more` are its other fields."""
    made: Any = protos.DeltaDiscoveryRequest(
        type_url=_url(kind),
        resource_names_subscribe=list(add),
        resource_names_unsubscribe=list(drop),
        **more,
    )
    return _with_error(made, error)


def _with_error(made: Any, error: str | None) -> bytes:
    if error is not None:
        made.error_detail.code, made.error_detail.message = 13, error
    data: bytes = made.SerializeToString()
    return data


def _url(kind: ResourceType | str) -> str:
    return kind if isinstance(kind, str) else kind.url


class Said(msgspec.Struct, frozen=True):
    """One response: the content of each resource by name, in the order they came."""

    type: ResourceType | None
    nonce: str
    version: str
    contents: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.contents)


def read(variant: Variant, data: bytes) -> Said:
    """What a response says."""
    if variant is Variant.SOTW:
        message: Any = protos.DiscoveryResponse.FromString(data)
        kind = BY_URL.get(message.type_url)
        contents = tuple(_content(kind, packed) for packed in message.resources)
        return Said(kind, message.nonce, message.version_info, contents)
    message = protos.DeltaDiscoveryResponse.FromString(data)
    kind = BY_URL.get(message.type_url)
    return Said(
        kind,
        message.nonce,
        message.system_version_info,
        tuple(_content(kind, r.resource) for r in message.resources),
        tuple(message.removed_resources),
        tuple((r.name, r.version) for r in message.resources),
    )


def _content(kind: ResourceType | None, packed: Any) -> tuple[str, str]:
    assert kind is not None
    assert packed.type_url == kind.url
    message: Any = _MESSAGES[kind].FromString(packed.value)
    if kind is EDS:
        zones = [e.locality.zone for e in message.endpoints]
        return message.cluster_name, zones[0] if zones else ""
    if kind is CDS:
        return message.name, message.alt_stat_name
    if kind is LDS:
        return message.name, message.stat_prefix
    return message.name, message.virtual_hosts[0].name if message.virtual_hosts else ""
