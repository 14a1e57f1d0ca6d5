"""The text form of a world: plain data that JSON and YAML can hold, and back.

Rule 1: `world(plain(w))` holds what `w` holds, save origins and conflicts, which tell of documents
and claims rather than of the mesh.
Rule 2: what has its default value is not written; hostnames are sorted, endpoints keep their order.
Policies are written out in full, where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pilot_core.model.endpoint import NO_LOCALITY, Endpoint, Health, Locality, Shard, TlsMode
from pilot_core.model.merge import MeshService
from pilot_core.model.record import Claim, RecordKey
from pilot_core.model.service import EVERYWHERE, Port, Resolution, Service
from pilot_core.model.world import World

_EVERYBODY = (EVERYWHERE,)


class _ServiceText(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    hostname: str
    namespace: str = "default"
    ports: tuple[Port, ...] = ()
    resolution: Resolution = Resolution.STATIC
    visibility: tuple[str, ...] | None = None
    addresses: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    registries: tuple[str, ...] = ()


class _EndpointText(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    addresses: tuple[str, ...]
    ports: dict[str, int] = {}
    health: Health = Health.HEALTHY
    weight: int = 1
    locality: str = ""
    network: str = ""
    labels: dict[str, str] = {}
    workload: str = ""
    service_account: str = ""
    identity: str = ""
    tls: TlsMode = TlsMode.PLAIN
    tls_name: str = ""
    tls_roots: str = ""


class _ShardText(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    hostname: str
    registry: str = ""
    source: str = ""
    endpoints: tuple[_EndpointText, ...] = ()


class _WorldText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    services: tuple[_ServiceText, ...] = ()
    endpoints: tuple[_ShardText, ...] = ()
    policies: tuple[Claim, ...] = ()


def plain(world: World) -> dict[str, Any]:
    """The world as `{services: […], endpoints: […]}`, of dicts, lists, texts and numbers only."""
    written = _WorldText(
        services=tuple(_service_text(world.services[h]) for h in sorted(world.services)),
        endpoints=tuple(
            _shard_text(hostname, shard)
            for hostname in sorted(world.endpoints)
            for shard in world.endpoints[hostname]
        ),
        policies=tuple(claim for key in sorted(world.policies) for claim in world.policies[key]),
    )
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(written))
    if not made["policies"]:
        del made["policies"]
    return made


def world(tree: Any) -> World:
    """The world that plain data describes. Raises msgspec.ValidationError, which names the path."""
    read = msgspec.convert(tree, _WorldText, strict=True)
    shards: dict[str, list[Shard]] = {}
    for shard in read.endpoints:
        shards.setdefault(shard.hostname, []).append(_shard(shard))
    policies: dict[RecordKey, list[Claim]] = {}
    for claim in read.policies:
        policies.setdefault(claim.record.key, []).append(claim)
    made, _ = World().apply(
        {text.hostname: _service(text) for text in read.services},
        {hostname: tuple(found) for hostname, found in shards.items()},
        {key: tuple(found) for key, found in policies.items()},
    )
    return made


def _service_text(found: MeshService) -> _ServiceText:
    service = found.service
    return _ServiceText(
        hostname=service.hostname,
        namespace=service.namespace,
        ports=service.ports,
        resolution=service.resolution,
        visibility=None if service.visibility == _EVERYBODY else service.visibility,
        addresses=service.addresses,
        identities=service.identities,
        labels=dict(service.labels),
        registries=found.registries,
    )


def _service(text: _ServiceText) -> MeshService:
    service = Service(
        hostname=text.hostname,
        namespace=text.namespace,
        ports=text.ports,
        resolution=text.resolution,
        visibility=_EVERYBODY if text.visibility is None else text.visibility,
        addresses=text.addresses,
        identities=text.identities,
        labels=_pairs(text.labels.items()),
    )
    return MeshService(service, text.registries)


def _shard_text(hostname: str, shard: Shard) -> _ShardText:
    return _ShardText(
        hostname=hostname,
        registry=shard.registry,
        source=shard.source,
        endpoints=tuple(_endpoint_text(endpoint) for endpoint in shard.endpoints),
    )


def _shard(text: _ShardText) -> Shard:
    return Shard(text.registry, text.source, tuple(_endpoint(e) for e in text.endpoints))


def _endpoint_text(endpoint: Endpoint) -> _EndpointText:
    fields = msgspec.structs.asdict(endpoint)
    as_maps: Mapping[str, Any] = {
        "ports": dict(endpoint.ports),
        "labels": dict(endpoint.labels),
        "locality": str(endpoint.locality),
    }
    return _EndpointText(**{**fields, **as_maps})


def _endpoint(text: _EndpointText) -> Endpoint:
    fields = msgspec.structs.asdict(text)
    as_pairs: Mapping[str, Any] = {
        "ports": _pairs(text.ports.items()),
        "labels": _pairs(text.labels.items()),
        "locality": Locality.parse(text.locality) if text.locality else NO_LOCALITY,
    }
    return Endpoint(**{**fields, **as_pairs})


def _pairs(items: Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(items))
