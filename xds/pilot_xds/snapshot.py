"""A snapshot: what one proxy is to have now, as a short tuple of shared layers per type.

A name may stand in one layer only. When it moves from one to another between two snapshots, that
is a change of the resource, never its removal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pilot_xds.layer import Layer
from pilot_xds.resource import Resource
from pilot_xds.types import ResourceType

_MODULUS = 1 << 64
_NOTHING: Mapping[ResourceType, tuple[Layer, ...]] = dict.fromkeys(ResourceType, ())


class Snapshot:
    """Immutable, and shared by all proxies of one plan."""

    __slots__ = ("__weakref__", "_versions", "by_type")

    def __init__(self, layers: Mapping[ResourceType, tuple[Layer, ...]]) -> None:
        self.by_type = {**_NOTHING, **layers}
        self._versions: dict[ResourceType, str] = {}

    def layers(self, type: ResourceType) -> tuple[Layer, ...]:
        return self.by_type[type]

    def version(self, type: ResourceType) -> str:
        """The hash of all resources of the type, in hexadecimal."""
        version = self._versions.get(type)
        if version is None:
            version = self._versions[type] = version_of(self.layers(type))
        return version

    def get(self, type: ResourceType, name: str) -> Resource | None:
        return find(self.layers(type), name)

    def resources(self, type: ResourceType) -> Iterator[Resource]:
        """All of the type, sorted by name."""
        merged = {n: layer.resources[n] for layer in self.layers(type) for n in layer.resources}
        for name in sorted(merged):
            yield merged[name]


EMPTY = Snapshot({})


def find(layers: tuple[Layer, ...], name: str) -> Resource | None:
    for layer in layers:
        resource = layer.resources.get(name)
        if resource is not None:
            return resource
    return None


def version_of(layers: tuple[Layer, ...]) -> str:
    return f"{sum(layer.digest for layer in layers) % _MODULUS:016x}"
