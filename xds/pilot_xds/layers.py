"""The layers in use, by key, each kept up to date with the world.

Rule 1: a layer lives as long as somebody uses it; the public ones always, so that the first proxy
does not wait for them.
Rule 2: a change asks only the layers that watch what it touches.
Rule 3: a view that cannot be built leaves what was built before in its place, and says so.
Rule 4: a change that failed half way is part of the next one, so that nothing stays behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pilot_core.model import NO_LOCALITY, Delta, World
from pilot_core.plan import layers as plans
from pilot_core.plan import triggers
from pilot_core.plan.layers import LayerKey
from pilot_core.plan.proxies import ProxyPlan
from pilot_core.plan.remembered import trim
from pilot_core.plan.views import View
from pilot_xds.build import resource
from pilot_xds.layer import Layer
from pilot_xds.resource import Resource
from pilot_xds.snapshot import Snapshot
from pilot_xds.types import ResourceType


def _pinned(trust_domain: str) -> tuple[LayerKey, ...]:
    """What nearly all proxies have, those that have an agent in a mesh with a trust domain."""
    return (
        plans.PublicClusters(trust_domain),
        plans.PublicEndpoints(NO_LOCALITY, bool(trust_domain)),
        plans.BuiltinClusters(),
    )


class Layers:
    """`on_broken` hears the type and name of a view and why it cannot be built; with "", that it
    can. `trust_domain` is that of a mesh whose proxies have agents."""

    def __init__(
        self, on_broken: Callable[[ResourceType, str, str], None], trust_domain: str = ""
    ) -> None:
        self.world = World()
        self._on_broken = on_broken
        self._broken: set[tuple[ResourceType, str]] = set()
        self._missed = Delta()
        self._layers: dict[LayerKey, Layer] = {}
        self._uses: dict[LayerKey, int] = {}
        self._watchers: dict[str, set[LayerKey]] = {}
        for key in _pinned(trust_domain):
            self.use(key)

    def __len__(self) -> int:
        return len(self._layers)

    def use(self, key: LayerKey) -> None:
        """One more user of the layer, which is made for the first one."""
        if key in self._uses:
            self._uses[key] += 1
            return
        kind = ResourceType(key.type)
        self._layers[key] = Layer.of(kind, self._built(kind, key.views(self.world)))
        self._uses[key] = 1
        for trigger in key.watches:
            self._watchers.setdefault(trigger, set()).add(key)

    def release(self, key: LayerKey) -> None:
        """One user less."""
        self._uses[key] -= 1
        if self._uses[key]:
            return
        del self._uses[key], self._layers[key]
        for trigger in key.watches:
            watchers = self._watchers[trigger]
            watchers.discard(key)
            if not watchers:
                del self._watchers[trigger]

    def apply(self, new: World, delta: Delta) -> set[LayerKey]:
        """Bring all layers to the new world; the keys of those that are others now."""
        delta = self._missed.merge(delta)
        touched = self.touched(new, delta)
        self._missed = delta
        changed = {key for key in touched if self._bring(key, new, delta)}
        self.world, self._missed = new, Delta()
        if delta.services:
            trim(len(new.services))
        return changed

    def _bring(self, key: LayerKey, new: World, delta: Delta) -> bool:
        """Bring one layer to the new world. Is it another one now?"""
        change = key.changes(self.world, new, delta)
        if not change.put and not change.drop:
            return False
        before = self._layers[key]
        self._mended(before.type, change.drop)
        made = list(self._built(before.type, change.put))
        after = self._layers[key] = before.replace(made, change.drop)
        return after is not before

    def touched(self, new: World, delta: Delta) -> set[LayerKey]:
        """The layers that the new world may have made others."""
        touched: set[LayerKey] = set()
        for trigger in triggers.of_change(self.world, new, delta):
            touched |= self._watchers.get(trigger, set())
        return touched

    def _built(self, kind: ResourceType, views: Iterable[View]) -> Iterator[Resource]:
        for view in views:
            try:
                made = resource(view)
            except (ValueError, TypeError) as error:
                # What protobuf says to a number or a text that its field does not take.
                self._broken.add((kind, view.name))
                self._on_broken(kind, view.name, str(error))
                continue
            self._mended(kind, (view.name,))
            yield made

    def _mended(self, kind: ResourceType, names: Iterable[str]) -> None:
        if not self._broken:
            return
        for name in names:
            if (kind, name) in self._broken:
                self._broken.discard((kind, name))
                self._on_broken(kind, name, "")

    def snapshot(self, plan: ProxyPlan) -> Snapshot:
        """What proxies of this plan are to have now; all of its layers are in use."""
        layers = self._layers
        return Snapshot(
            {
                ResourceType.CLUSTER: tuple([layers[key] for key in plan.clusters]),
                ResourceType.ENDPOINTS: tuple([layers[key] for key in plan.endpoints]),
                ResourceType.LISTENER: tuple([layers[key] for key in plan.listeners]),
                ResourceType.ROUTES: tuple([layers[key] for key in plan.routes]),
                ResourceType.SECRET: tuple([layers[key] for key in plan.secrets]),
            }
        )
