"""Resources as people read them: the JSON form of their messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format

from pilot_core.model import Proxy, World
from pilot_core.plan import proxies
from pilot_core.plan.identities import DEFAULT_TRUST_DOMAIN
from pilot_core.plan.layers import LayerKey
from pilot_xds.build import resource
from pilot_xds.protos import POOL, AnyMessage
from pilot_xds.resource import Resource
from pilot_xds.snapshot import Snapshot
from pilot_xds.types import ResourceType

KINDS = {
    "clusters": ResourceType.CLUSTER,
    "endpoints": ResourceType.ENDPOINTS,
    "listeners": ResourceType.LISTENER,
    "routes": ResourceType.ROUTES,
    "secrets": ResourceType.SECRET,
}


def as_dict(shown: Resource) -> dict[str, Any]:
    """The message in protobuf's JSON form, with the field names of Envoy's documentation."""
    text = json_format.MessageToJson(
        AnyMessage.FromString(shown.any),
        preserving_proto_field_name=True,
        descriptor_pool=POOL,
    )
    made: dict[str, Any] = json.loads(text)
    made.pop("@type", None)
    return made


def of_snapshot(snapshot: Snapshot, kinds: Iterable[str] = KINDS) -> dict[str, list[Any]]:
    """The resources of these kinds, sorted by name."""
    return {kind: [as_dict(r) for r in snapshot.resources(KINDS[kind])] for kind in kinds}


def translate(
    world: World, proxy: Proxy, trust_domain: str = DEFAULT_TRUST_DOMAIN
) -> dict[str, list[Any]]:
    """What a proxy would be given in this world; no server is involved."""
    plan = proxies.plan(proxy, trust_domain)
    parts = {
        "clusters": plan.clusters,
        "endpoints": plan.endpoints,
        "listeners": plan.listeners,
        "routes": plan.routes,
        "secrets": plan.secrets,
    }
    return {
        kind: [as_dict(r) for r in sorted(_resources(world, keys), key=lambda r: r.name)]
        for kind, keys in parts.items()
    }


def _resources(world: World, keys: Iterable[LayerKey]) -> list[Resource]:
    return [resource(view) for key in keys for view in key.views(world)]
