"""A layer: an immutable set of resources of one type, shared by all proxies that see the same.

Rule 1: a layer never changes; `replace` makes the next one and shares what is equal.
Rule 2: what is sent of a layer is encoded once: the whole of it, and each step to it from an older
one, however many streams take that step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from weakref import WeakKeyDictionary

from pilot_core.model import Table
from pilot_xds.resource import Resource
from pilot_xds.types import ResourceType, Variant

_MODULUS = 1 << 64


class Step:
    """From one layer to a later one: what changed, what is gone, and the finished bytes."""

    __slots__ = ("_bodies", "changed", "removed")

    def __init__(self, changed: dict[str, Resource], removed: tuple[str, ...]) -> None:
        self.changed = {name: changed[name] for name in sorted(changed)}
        self.removed = tuple(sorted(removed))
        self._bodies: dict[Variant, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)

    def body(self, variant: Variant) -> bytes:
        """The changed resources as fields of a response."""
        return _body(self._bodies, self.changed.values(), variant)


class Layer:
    """Resources by name."""

    __slots__ = ("__weakref__", "_bodies", "_steps", "_versions", "digest", "resources", "type")

    def __init__(
        self, type: ResourceType, resources: Table[str, Resource], digest: int | None = None
    ) -> None:
        self.type = type
        self.resources = resources
        self.digest = _digest(resources) if digest is None else digest
        self._steps: WeakKeyDictionary[Layer, Step] = WeakKeyDictionary()
        self._bodies: dict[Variant, bytes] = {}
        self._versions: dict[str, str] | None = None

    @classmethod
    def of(cls, type: ResourceType, resources: Iterable[Resource] = ()) -> Layer:
        return cls(type, Table({r.name: r for r in resources}))

    def replace(self, put: Iterable[Resource], drop: Iterable[str] = ()) -> Layer:
        """The layer with these resources and without the dropped ones, which win over `put`; itself
        where nothing differs."""
        dropped = frozenset(drop)
        last = {r.name: r for r in put if r.name not in dropped}
        fresh = {name: r for name, r in last.items() if self.resources.get(name) != r}
        gone = [name for name in dropped if name in self.resources]
        if not fresh and not gone:
            return self
        digest = self.digest + sum(r.digest for r in fresh.values())
        for name in [*fresh, *gone]:
            before = self.resources.get(name)
            digest -= before.digest if before else 0
        return Layer(self.type, self.resources.replace(fresh, gone), digest % _MODULUS)

    def since(self, old: Layer) -> Step:
        """The step from `old` to this layer; the same object for everybody who asks."""
        step = self._steps.get(old)
        if step is None:
            step = self._steps[old] = Step(*self.resources.diff(old.resources))
        return step

    @property
    def versions(self) -> Mapping[str, str]:
        """The version of each resource by name: for clients that say which ones they have."""
        if self._versions is None:
            self._versions = {name: r.version for name, r in self.resources.items()}
        return self._versions

    def body(self, variant: Variant) -> bytes:
        """All of it as fields of a response."""
        # Sorted when it is encoded, not each time that a client gets it.
        return _body(self._bodies, self._sorted(), variant)

    def _sorted(self) -> Iterator[Resource]:
        for name in sorted(self.resources):
            yield self.resources[name]


def _body(bodies: dict[Variant, bytes], resources: Iterable[Resource], variant: Variant) -> bytes:
    body = bodies.get(variant)
    if body is None:
        body = bodies[variant] = b"".join(r.body(variant) for r in resources)
    return body


def _digest(resources: Table[str, Resource]) -> int:
    """The sum of all digests: independent of the order, so that it changes step by step."""
    return sum(resources[name].digest for name in resources) % _MODULUS
