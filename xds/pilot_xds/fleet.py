"""The fleet: every connected proxy, and the layers that their snapshots are made of.

Rule 1: proxies of one plan are one cohort, with one snapshot; cohorts share layers by key.
Rule 2: a change asks only the layers that watch what it touches, and wakes only the proxies whose
snapshot is another one afterwards.
Rule 3: a layer lives as long as somebody uses it; the public ones always, so that the first proxy
does not wait for them.
Rule 4: nothing is handed out before `open`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from pilot_core.clock import Clock
from pilot_core.model import NO_LOCALITY, Delta, Problem, Severity, World
from pilot_core.plan import layers as plans
from pilot_core.plan import proxies
from pilot_core.plan.layers import LayerKey
from pilot_core.plan.proxies import ProxyPlan
from pilot_core.telemetry.problems import Problems
from pilot_xds.build import resource
from pilot_xds.connection import Connection
from pilot_xds.layer import Layer
from pilot_xds.metrics import XdsMetrics
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot
from pilot_xds.stream import Response
from pilot_xds.types import ResourceType

log = logging.getLogger(__name__)

NACK = "nack"
_PINNED: tuple[LayerKey, ...] = (
    plans.PublicClusters(),
    plans.PublicEndpoints(NO_LOCALITY),
    plans.BuiltinClusters(),
)
_PARTS = (
    (ResourceType.CLUSTER, "clusters"),
    (ResourceType.ENDPOINTS, "endpoints"),
    (ResourceType.LISTENER, "listeners"),
    (ResourceType.ROUTES, "routes"),
)


class Cohort:
    """Proxies with one plan."""

    __slots__ = ("members", "plan", "snapshot")

    def __init__(self, plan: ProxyPlan, snapshot: Snapshot) -> None:
        self.plan, self.snapshot = plan, snapshot
        self.members: set[Connection] = set()


class Layers:
    """The layers in use, by key, each kept up to date with the world."""

    def __init__(self) -> None:
        self.world = World()
        self._layers: dict[LayerKey, Layer] = {}
        self._uses: dict[LayerKey, int] = {}
        self._watchers: dict[str, set[LayerKey]] = {}
        for key in _PINNED:
            self.use(key)

    def use(self, key: LayerKey) -> None:
        """One more user of the layer, which is made for the first one."""
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses > 1:
            return
        kind = ResourceType(key.type)
        self._layers[key] = Layer.of(kind, (resource(v) for v in key.views(self.world)))
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

    def apply(self, old: World, new: World, delta: Delta) -> set[LayerKey]:
        """Bring all layers to the new world; the keys of those that are others now."""
        self.world = new
        changed: set[LayerKey] = set()
        for key in self._touched(old, new, delta):
            change = key.changes(old, new, delta)
            if not change.put and not change.drop:
                continue
            before = self._layers[key]
            after = before.replace([resource(view) for view in change.put], change.drop)
            if after is not before:
                self._layers[key] = after
                changed.add(key)
        return changed

    def _touched(self, old: World, new: World, delta: Delta) -> set[LayerKey]:
        touched: set[LayerKey] = set()
        for trigger in plans.triggers(old, new, delta):
            touched |= self._watchers.get(trigger, set())
        return touched

    def snapshot(self, plan: ProxyPlan) -> Snapshot:
        return Snapshot(
            {kind: tuple(self._layers[key] for key in getattr(plan, part)) for kind, part in _PARTS}
        )


class Fleet:
    """Everybody who is connected. Everything happens on the event loop, and nothing waits."""

    def __init__(
        self,
        *,
        clock: Clock,
        problems: Problems,
        metrics: XdsMetrics,
        origin_of: Callable[[str], str] = lambda hostname: "",
    ) -> None:
        self.connections: set[Connection] = set()
        self.layers = Layers()
        self.metrics = metrics
        self._clock, self._problems, self._origin_of = clock, problems, origin_of
        self._cohorts: dict[ProxyPlan, Cohort] = {}
        self._by_layer: dict[LayerKey, set[Cohort]] = {}
        self._is_open = False

    def now(self) -> float:
        return self._clock.monotonic()

    @property
    def world(self) -> World:
        return self.layers.world

    def open(self) -> None:
        """From now on proxies get what they ask for."""
        self._is_open = True
        for cohort in self._cohorts.values():
            self._hand_out(cohort)

    def update(self, old: World, new: World, delta: Delta) -> None:
        """The world has changed. A follower of the hub."""
        started = self.now()
        changed = self.layers.apply(old, new, delta)
        cohorts = {c for key in changed for c in self._by_layer.get(key, ())}
        for cohort in cohorts:
            cohort.snapshot = self.layers.snapshot(cohort.plan)
            if self._is_open:
                self._hand_out(cohort)
        self.metrics.build_time.observe(self.now() - started)

    def _hand_out(self, cohort: Cohort) -> None:
        now = self.now()
        for member in cohort.members:
            member.stream.update(cohort.snapshot)
            member.changed_at = member.changed_at or now
            member.wake()

    def join(self, connection: Connection) -> None:
        """The proxy has said who it is."""
        assert connection.proxy is not None
        plan = proxies.plan(connection.proxy)
        cohort = self._cohorts.get(plan)
        if cohort is None:
            cohort = self._cohorts[plan] = self._found(plan)
        cohort.members.add(connection)
        connection.cohort = cohort
        connection.connected_since = self._clock.now()
        self.connections.add(connection)
        self.metrics.streams.labels(connection.stream.variant).inc()
        if self._is_open:
            connection.stream.update(cohort.snapshot)

    def _found(self, plan: ProxyPlan) -> Cohort:
        for key in plan.keys:
            self.layers.use(key)
        cohort = Cohort(plan, self.layers.snapshot(plan))
        for key in plan.keys:
            self._by_layer.setdefault(key, set()).add(cohort)
        return cohort

    def leave(self, connection: Connection) -> None:
        """The stream has ended."""
        cohort = connection.cohort
        if cohort is None or connection not in cohort.members:
            return
        cohort.members.discard(connection)
        self.connections.discard(connection)
        self.metrics.streams.labels(connection.stream.variant).dec()
        if connection.proxy is not None:
            self._problems.clear(NACK, object=connection.proxy.id)
        if not cohort.members:
            self._dissolve(cohort)

    def _dissolve(self, cohort: Cohort) -> None:
        del self._cohorts[cohort.plan]
        for key in cohort.plan.keys:
            users = self._by_layer[key]
            users.discard(cohort)
            if not users:
                del self._by_layer[key]
            self.layers.release(key)

    def heard(self, connection: Connection, heard: Heard) -> None:
        """Note what a request meant: acknowledgements end a change, refusals are shown."""
        if heard.error:
            self._refused(connection, heard)
        elif heard.is_ack and connection.changed_at and not connection.stream.has_work():
            self.metrics.convergence.observe(self.now() - connection.changed_at)
            connection.changed_at = 0.0
        if heard.is_ack and heard.type is not None and connection.proxy is not None:
            self._maybe_clear(connection, heard.type)

    def _maybe_clear(self, connection: Connection, kind: ResourceType) -> None:
        if len(self._problems) and not connection.stream.types[kind].error:
            assert connection.proxy is not None
            self._problems.clear(NACK, source=kind.short, object=connection.proxy.id)

    def _refused(self, connection: Connection, heard: Heard) -> None:
        assert heard.type is not None
        assert connection.proxy is not None
        self.metrics.rejects[heard.type].inc()
        hostname = next(self._hostnames_in(heard.error), "")
        log.warning(
            "refused by a proxy",
            extra={"proxy": connection.proxy.id, "type": heard.type.short, "error": heard.error},
        )
        self._problems.raise_(
            Problem(
                code=NACK,
                severity=Severity.ERROR,
                source=heard.type.short,
                object=connection.proxy.id,
                message=heard.error,
                origin=self._origin_of(hostname) if hostname else "",
            )
        )

    def _hostnames_in(self, text: str) -> Iterator[str]:
        """Hostnames of the world that a proxy's words mention."""
        words = text.replace("|", " ").replace("'", " ").replace('"', " ").replace(":", " ").split()
        return (word for word in words if word in self.world.services)

    def sent(self, response: Response) -> None:
        if response.type is not None:
            self.metrics.pushes[response.type].inc()
            self.metrics.resources[response.type].inc(response.resources)
