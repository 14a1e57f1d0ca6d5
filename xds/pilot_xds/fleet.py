"""The fleet: every connected proxy, and the snapshot that each one is to have.

Rule 1: proxies of one plan are one cohort, with one snapshot; cohorts share layers by key.
Rule 2: a change wakes only the proxies whose snapshot is another one afterwards.
Rule 3: nothing is handed out before `open`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilot_core.clock import Clock
from pilot_core.model import Delta, Proxy, World
from pilot_core.plan import proxies
from pilot_core.plan.identities import DEFAULT_TRUST_DOMAIN
from pilot_core.plan.layers import InboundListeners, LayerKey
from pilot_core.plan.proxies import ProxyPlan, Shut
from pilot_core.telemetry.problems import Problems
from pilot_xds import claims
from pilot_xds.claims import Impostor
from pilot_xds.complaints import Complaints, OriginOf
from pilot_xds.connection import Connection
from pilot_xds.layers import Layers
from pilot_xds.metrics import XdsMetrics
from pilot_xds.proved import Proved
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot
from pilot_xds.stream import Response
from pilot_xds.types import ResourceType


class Cohort:
    """Proxies with one plan."""

    __slots__ = ("members", "plan", "snapshot")

    def __init__(self, plan: ProxyPlan, snapshot: Snapshot) -> None:
        self.plan, self.snapshot = plan, snapshot
        self.members: set[Connection] = set()


class Fleet:
    """Everybody who is connected. Everything happens on the event loop, and nothing waits."""

    def __init__(
        self,
        *,
        clock: Clock,
        problems: Problems,
        metrics: XdsMetrics,
        origin_of: OriginOf = lambda hostname: "",
        trust_domain: str = DEFAULT_TRUST_DOMAIN,
        expects_agents: bool = False,
    ) -> None:
        self.clock = clock
        self.now = clock.monotonic
        self.metrics = metrics
        self._trust_domain = trust_domain
        self.connections: set[Connection] = set()
        self._complaints = Complaints(problems, origin_of)
        self.layers = Layers(self._complaints.not_built, trust_domain if expects_agents else "")
        self._cohorts: dict[ProxyPlan, Cohort] = {}
        self._by_layer: dict[LayerKey, set[Cohort]] = {}
        self._shut: dict[str, Shut] = {}
        self._proved = Proved(self._complaints)
        self._is_open = False

    @property
    def world(self) -> World:
        return self.layers.world

    def open(self) -> None:
        """From now on proxies get what they ask for."""
        self._is_open = True
        for cohort in self._cohorts.values():
            for member in cohort.members:
                member.give(cohort.snapshot)

    def update(self, old: World, new: World, delta: Delta) -> None:
        """The world has changed. A follower of the hub."""
        started = self.now()
        touched = self.layers.touched(new, delta) if new.inbound or self._shut else ()
        changed = self.layers.apply(new, delta)
        self._proved.look(new, delta.addresses)
        for cohort in self._of(key for key in touched if isinstance(key, InboundListeners)):
            for member in cohort.members:
                self._tell_shut(member)
        for cohort in self._of(changed):
            cohort.snapshot = self.layers.snapshot(cohort.plan)
            if self._is_open:
                for member in cohort.members:
                    member.give(cohort.snapshot, changed_at=started)
        self.metrics.build_time.observe(self.now() - started)

    def _of(self, keys: Iterable[LayerKey]) -> set[Cohort]:
        """Whose snapshots have one of these layers."""
        return {cohort for key in keys for cohort in self._by_layer.get(key, ())}

    def admit(self, proxy: Proxy, identity: str, peer: str) -> None:
        """Let nobody in who has proved to be somebody else than he says. Raises Impostor."""
        if not identity:
            return
        try:
            claims.check(proxy, identity, self.world)
        except Impostor as error:
            self._complaints.denied(proxy.id, identity, peer, str(error))
            raise
        self._complaints.admitted(identity)

    def join(self, connection: Connection) -> None:
        """The proxy has said who it is."""
        assert connection.proxy is not None
        plan = proxies.plan(connection.proxy, self._trust_domain)
        cohort = self._cohorts.get(plan)
        if cohort is None:
            cohort = self._cohorts[plan] = self._found(plan)
        cohort.members.add(connection)
        connection.cohort = cohort
        connection.connected_since = self.clock.now()
        self.connections.add(connection)
        self._proved.add(connection)
        self.metrics.streams.labels(connection.stream.variant).inc()
        self._tell_shut(connection)
        if self._is_open:
            connection.give(cohort.snapshot)

    def _tell_shut(self, connection: Connection) -> None:
        """Show where nobody gets in at a sidecar, until somebody does or it has gone."""
        cohort, name = connection.cohort, connection.name
        found = proxies.shut(cohort.plan, self.world) if cohort else proxies.OPEN
        if found != self._shut.get(name, proxies.OPEN):
            self._complaints.shut(name, found)
            self._shut[name] = found
        if found == proxies.OPEN:
            self._shut.pop(name, None)

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
        self._proved.remove(connection)
        self.metrics.streams.labels(connection.stream.variant).dec()
        for kind in tuple(connection.refused):
            self._settled(connection, kind)
        connection.cohort = None
        self._tell_shut(connection)
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

    def heard(self, connection: Connection, heard: Heard, *, has_work: bool) -> None:
        """Note what a request meant: acknowledgements end a change, refusals are shown. `has_work`:
        something is still to be sent."""
        kind = heard.type
        if kind is None:
            return
        if heard.error:
            self._refused(connection, kind, heard.error)
        elif heard.is_ack:
            since = connection.changed_at
            if since is not None and not has_work and not connection.stream.is_outstanding():
                self.metrics.convergence.observe(self.now() - since)
                connection.changed_at = None
            if kind in connection.refused and not connection.stream.types[kind].error:
                self._settled(connection, kind)

    def _refused(self, connection: Connection, kind: ResourceType, words: str) -> None:
        # What was refused does not arrive: how long it took would mean nothing.
        connection.changed_at = None
        connection.refused |= {kind}
        self.metrics.rejects[kind].inc()
        self._complaints.refused(connection.name, kind, words)

    def _settled(self, connection: Connection, kind: ResourceType) -> None:
        """It has taken what came after the refusal, or has gone."""
        connection.refused -= {kind}
        same = (c for c in self.connections if c.name == connection.name)
        if not any(kind in c.refused for c in same):
            self._complaints.accepted(connection.name, kind)

    def sent(self, response: Response) -> None:
        if response.type is not None:
            self.metrics.pushes[response.type.short] += 1
            self.metrics.resources[response.type.short] += response.resources
