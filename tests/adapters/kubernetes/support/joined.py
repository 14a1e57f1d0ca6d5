"""A catalogue that is told of objects as JSON, without a server."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pilot_adapter_kubernetes import resource
from pilot_adapter_kubernetes.catalogue import Catalogue

from pilot_core.model import Endpoint, Endpoints, MeshService, Record, Service, Shard, World, text

_KINDS = {
    "Service": resource.SERVICES,
    "EndpointSlice": resource.SLICES,
    "Pod": resource.PODS,
    "Node": resource.NODES,
}


class Joined:
    """`put` and `drop` objects; ask for a service's records as they are then."""

    def __init__(self) -> None:
        self.dirty: set[str] = set()
        self.now = 0.0
        self.catalogue = Catalogue("cluster.local", self.dirty.add)
        self._told = {
            "Service": self.catalogue.service,
            "EndpointSlice": self.catalogue.slice,
            "Pod": self.catalogue.pod,
            "Node": self.catalogue.node,
        }
        self._known: dict[tuple[str, str], Any] = {}
        self._version = 0

    def put(self, *objects: dict[str, Any]) -> None:
        for sent in objects:
            self._version += 1
            meta = {"resourceVersion": str(self._version), **sent["metadata"]}
            raw = msgspec.Raw(json.dumps({**sent, "metadata": meta}).encode())
            fact = _KINDS[sent["kind"]].read(raw)
            old = self._known.get((sent["kind"], fact.key))
            self._known[sent["kind"], fact.key] = fact
            self._told[sent["kind"]](old, fact)

    def drop(self, sent: dict[str, Any]) -> None:
        meta = sent["metadata"]
        namespace = meta.get("namespace", "")
        key = f"{namespace}/{meta['name']}" if namespace else meta["name"]
        self._told[sent["kind"]](self._known.pop((sent["kind"], key)), None)

    def service(self, key: str) -> Service | None:
        found = [r for r in self._records(key) if isinstance(r, Service)]
        return found[0] if found else None

    def endpoints(self, key: str = "shop/web") -> tuple[Endpoint, ...]:
        found = [r for r in self._records(key) if isinstance(r, Endpoints)]
        return found[0].endpoints if found else ()

    def addresses(self, key: str = "shop/web") -> list[str]:
        return [e.address for e in self.endpoints(key)]

    def plain(self) -> dict[str, Any]:
        """The text form of all there is, and what of it has no effect."""
        services: dict[str, MeshService] = {}
        shards: dict[str, tuple[Shard, ...]] = {}
        for key in self.catalogue.keys:
            for record in self._records(key):
                if isinstance(record, Service):
                    services[record.hostname] = MeshService(record, ())
                else:
                    shards[record.hostname] = (Shard("", "", record.endpoints),)
        world, _ = World().apply(services, shards)
        said = sorted(s for key in self.catalogue.keys for s in self.catalogue.unhonoured(key))
        return text.plain(world) | {"not honoured": said, "pending": self.catalogue.pending}

    def _records(self, key: str) -> tuple[Record, ...]:
        return self.catalogue.records(key, self.now)[0]
