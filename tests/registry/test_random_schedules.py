"""Whatever registries put, drop, resync and lose, in whatever order: the world is what a model of
a few lines says it is."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from pilot_core.adapter import Unavailable
from pilot_core.testing import FakeClock
from pilot_core.testing.clock import settle
from registries import Stage, endpoints, registration, service

REGISTRIES = ("dc1", "dc2")
SOURCES = ("a/1", "a/2", "b/1")
RECORDS = st.lists(
    st.one_of(
        st.builds(service, st.sampled_from(["x.mesh", "y.mesh"]), namespace=st.sampled_from("mn")),
        st.builds(endpoints, st.sampled_from(["x.mesh", "y.mesh"]), st.sampled_from("12")).map(
            lambda e: endpoints(e.hostname, f"10.0.0.{e.endpoints[0].address}")
        ),
    ),
    max_size=3,
    unique_by=lambda record: record.key,
)
PUTS = st.dictionaries(st.sampled_from(SOURCES), RECORDS, max_size=3)
VERBS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(SOURCES), RECORDS),
    st.tuples(st.just("put"), st.sampled_from(SOURCES), RECORDS),
    st.tuples(st.just("drop"), st.sampled_from(SOURCES), st.none()),
    st.tuples(st.just("resync"), st.sampled_from(["a/", "b/", ""]), PUTS),
    st.tuples(st.just("failed resync"), st.just(""), PUTS),
    st.tuples(st.just("sync"), st.sampled_from(["", "", "a/", "b/"]), st.none()),
    st.tuples(st.just("lose"), st.sampled_from(["a/", "b/"]), st.none()),
    st.tuples(st.just("end"), st.none(), st.none()),
    st.tuples(st.just("wait"), st.none(), st.none()),
)
STEPS = st.lists(st.tuples(st.sampled_from(REGISTRIES), VERBS), min_size=15, max_size=30)


class Model:
    """One registry as the contract describes it: sources, those that this session has put, and
    the parts that it has read and lost."""

    def __init__(self) -> None:
        self.sources: dict[str, list] = {}
        self.begin()

    def begin(self) -> None:
        self.seen: set[str] = set()
        self.read: set[str] = set()
        self.lost: set[str] = set()
        self.is_synced = False

    def do(self, verb: str, where: str, what) -> None:
        if verb in ("put", "drop"):
            self.put(where, what or [])
        elif verb == "resync":
            for source, records in what.items():
                self.put(source, records)
            self.lost.discard(where)
            self.sweep(where, what)
            self.get_synced()
        elif verb == "lose":
            self.read.discard(where)
            self.lost.add(where)
        elif verb == "sync" and where not in self.read:
            self.read.add(where)
            self.lost.discard(where)
            if where:
                self.sweep(where, self.seen)
            self.get_synced()
        elif verb == "end":
            self.begin()

    def get_synced(self) -> None:
        known = {source for source, records in self.sources.items() if records}
        is_unknown = any(not any(s.startswith(part) for s in known) for part in self.lost)
        if "" in self.read and not self.is_synced and not is_unknown:
            self.is_synced = True
            self.sweep("", self.seen)

    def put(self, source: str, records: list) -> None:
        self.seen.add(source)
        self.sources[source] = records

    def sweep(self, where: str, there) -> None:
        self.sources = {
            source: records
            for source, records in self.sources.items()
            if not source.startswith(where) or source in there or source[:2] in self.lost
        }


def expected(models: dict[str, Model]) -> tuple[dict, dict]:
    """(namespace, registries) of each service, and the addresses of each hostname in order."""
    services, addresses = {}, {}
    for name in REGISTRIES:
        for _, records in sorted(models[name].sources.items()):
            for record in records:
                if record.kind == "service":
                    namespace, others = services.get(record.hostname, (record.namespace, ()))
                    merged = tuple(dict.fromkeys((*others, name)))
                    services[record.hostname] = (namespace, merged)
                else:
                    found = [e.address for e in record.endpoints]
                    addresses.setdefault(record.hostname, []).extend(found)
    return services, addresses


def seen(world) -> tuple[dict, dict]:
    return (
        {h: (s.service.namespace, s.registries) for h, s in world.services.items()},
        {h: [e.address for e in world.endpoints_of(h)] for h in world.endpoints},
    )


class Registry:
    """The real one: does what the schedule says with its present sink."""

    def __init__(self) -> None:
        self.sink, self.over = None, asyncio.Event()

    async def run(self, sink) -> None:
        self.sink = sink
        self.over.clear()
        await self.over.wait()
        raise Unavailable("over")

    def do(self, verb: str, where: str, what) -> None:
        if verb == "put":
            self.sink.put(where, what)
        elif verb == "drop":
            self.sink.drop(where)
        elif verb == "sync":
            self.sink.synced(where)
        elif verb == "lose":
            self.sink.keep(where, "no path to it")
        elif verb == "end":
            self.over.set()
        elif "resync" in verb:
            with contextlib.suppress(KeyError), self.sink.resync(where):
                for source, records in what.items():
                    self.sink.put(source, records)
                if verb == "failed resync":
                    raise KeyError(verb)


async def play(steps) -> None:
    clock = FakeClock()
    stage = Stage(clock, None)
    worlds = []
    stage.hub.follow(lambda old, new, delta: worlds.append((old, new, delta)))
    real = {name: Registry() for name in REGISTRIES}
    models = {name: Model() for name in REGISTRIES}
    await stage.hub.start([registration(name, real[name].run) for name in REGISTRIES])
    await settle()
    for name, (verb, where, what) in steps:
        real[name].do(verb, where, what)
        models[name].do(verb, where, what)
        if verb in ("end", "wait"):
            # Longer than the longest pause between two sessions.
            await clock.advance(31 if verb == "end" else 1)
            assert expected(models) == seen(stage.hub.world)
    await clock.advance(1)
    assert expected(models) == seen(stage.hub.world)
    for (_, world, _), (following, _, _) in itertools.pairwise(worlds):
        assert world is following
    assert all(old is not new and delta for old, new, delta in worlds)
    assert not any(p.code == "internal-error" for p in stage.problems)
    await stage.hub.stop()


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_the_world_is_what_the_registries_say_whatever_happened_before(steps):
    asyncio.run(play(steps))
