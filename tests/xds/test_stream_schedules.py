"""Whatever happens in whatever order, a client ends up with exactly what there is."""

from __future__ import annotations

from collections import deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pilot_xds.layer import Layer
from pilot_xds.snapshot import Snapshot, find
from pilot_xds.stream import Stream
from pilot_xds.types import ResourceType, Variant
from pilot_xds.wire import Reader
from xds_messages import CDS, EDS, LDS, Said, read, resource
from xds_model import BAD, PARENT, TYPES, ModelClient

NAMES = ("a", "b", "c", "d")
CONTENTS = ("1", "2", "3", BAD)
names, texts, sides = st.sampled_from(NAMES), st.sampled_from(CONTENTS), st.sampled_from((0, 1))


class Schedule(RuleBasedStateMachine):
    """A server's stream and a client, with everything in flight between them."""

    variant = Variant.DELTA

    @initialize(keeps_good=st.booleans(), is_wordy=st.booleans())
    def begin(self, keeps_good: bool, is_wordy: bool) -> None:
        self.now = 0.0
        self.layers = {kind: [Layer.of(kind), Layer.of(kind)] for kind in TYPES}
        self.client = ModelClient(self.variant, keeps_good=keeps_good, is_wordy=is_wordy)
        self.stream, self.inbox = Stream(self.variant, Reader()), deque[Said]()
        self.client.connect()
        self.unwarmed: set[str] = set()

    # What the world does

    @rule(kind=st.sampled_from(TYPES), name=names, text=texts, side=sides)
    def put(self, kind: ResourceType, name: str, text: str, side: int) -> None:
        made, layers = resource(kind, name, text), self.layers[kind]
        layers[side] = layers[side].replace([made])
        layers[1 - side] = layers[1 - side].replace([], [name])

    @rule(kind=st.sampled_from(TYPES), name=names)
    def drop(self, kind: ResourceType, name: str) -> None:
        self.layers[kind] = [layer.replace([], [name]) for layer in self.layers[kind]]

    @rule(name=names, text=texts)
    def add_service(self, name: str, text: str) -> None:
        for kind in TYPES:
            self.put(kind, name, text, 0)
        self.update()

    @rule(old=names, new=names, text=texts)
    def replace_service(self, old: str, new: str, text: str) -> None:
        for kind in TYPES:
            self.drop(kind, old)
            self.put(kind, new, text, 1)
        self.update()

    @rule(name=names)
    def drop_service(self, name: str) -> None:
        for kind in TYPES:
            self.drop(kind, name)
        self.update()

    @rule()
    def update(self) -> None:
        self.stream.update(Snapshot({kind: tuple(pair) for kind, pair in self.layers.items()}))

    @rule(seconds=st.sampled_from((1.0, 20.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # What the network does

    @rule(count=st.integers(1, 6))
    def server_hears(self, count: int) -> None:
        for _ in range(min(count, len(self.client.outbox))):
            self.stream.receive(self.client.outbox.popleft(), self.now)

    @rule()
    def server_speaks(self) -> None:
        self._speak()

    def _speak(self) -> bool:
        has_work = self.stream.has_work()
        response = self.stream.next(self.now)
        if response is None:
            return False
        assert has_work
        said = read(self.variant, response.data)
        self._note_warming(said)
        self.inbox.append(said)
        return True

    def _note_warming(self, said: Said) -> None:
        """The endpoints of new and changed clusters go out before anything else does."""
        if said.type is EDS:
            self.unwarmed -= set(said.names)
        assert said.type in (CDS, EDS) or not self.unwarmed
        if said.type is CDS and EDS in self.stream.types:
            layers = tuple(self.layers[EDS])
            there = {n for n in said.names if find(layers, n) is not None}
            if self.variant is Variant.DELTA:
                endpoints = self.stream.types[EDS]
                self.unwarmed |= there & (endpoints.prompted - endpoints.culprits.keys())

    @rule(count=st.integers(1, 6))
    def client_hears(self, count: int) -> None:
        for _ in range(min(count, len(self.inbox))):
            self.client.hear(self.inbox.popleft())

    @rule(order=st.permutations(TYPES))
    def reconnect(self, order: list[ResourceType]) -> None:
        self.inbox.clear()
        self.unwarmed.clear()
        self.stream = Stream(self.variant, Reader())
        self.update()
        self.client.connect(order)

    # What has to be true in the end

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        self.update()
        self._settle()
        if self.client.keeps_good:
            self._check_all_but_refused()
        self._mend_everything()
        self._settle()
        self._check_everything()

    def _settle(self) -> None:
        for _ in range(200):
            self.now += 0.01
            is_busy = bool(self.client.outbox or self.inbox)
            self.server_hears(100)
            is_busy |= self._speak()
            self.client_hears(100)
            if is_busy:
                continue
            if self.stream.retry_at is None:
                return
            self.now = max(self.now, self.stream.retry_at)
        raise AssertionError("the two never come to rest")

    def _check_all_but_refused(self) -> None:
        for kind in (CDS, LDS):
            there = self._there(kind)
            good = {n: text for n, text in there.items() if text != BAD}
            has = self.client.has[kind]
            assert good == {n: text for n, text in has.items() if there.get(n) != BAD}
        assert not {n for n in self.client.warming if self._there(EDS).get(n) != BAD}

    def _mend_everything(self) -> None:
        for kind in TYPES:
            for name, text in self._there(kind).items():
                if text == BAD:
                    self.put(kind, name, "mended", 0)
            self.put(kind, "last", "1", 0)
        self.update()

    def _check_everything(self) -> None:
        for kind in (CDS, LDS):
            assert self._there(kind) == self.client.has[kind]
        for kind, parent in PARENT.items():
            there = self._there(kind)
            wanted = {n: there[n] for n in self._there(parent) if n in there}
            assert wanted == {n: t for n, t in self.client.has[kind].items() if n in there}
        assert set() == self.client.warming
        assert self.stream.has_everything()
        for kind in TYPES:
            status = self.stream.status(kind, self.now)
            assert status is not None
            assert "synced" == status.state, (kind, status)

    def _there(self, kind: ResourceType) -> dict[str, str]:
        contents = {}
        for layer in self.layers[kind]:
            for name, made in layer.resources.items():
                found = [t for t in (*CONTENTS, "mended") if resource(kind, name, t) == made]
                contents[name] = found[0]
        return contents


class StateOfTheWorld(Schedule):
    variant = Variant.SOTW


quick = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestDelta = Schedule.TestCase
TestDelta.settings = quick
TestStateOfTheWorld = StateOfTheWorld.TestCase
TestStateOfTheWorld.settings = quick
