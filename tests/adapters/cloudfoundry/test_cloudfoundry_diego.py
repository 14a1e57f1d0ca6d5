"""All of Diego's events in any order: what serves in the end is what a fresh list says."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from pilot_adapter_cloudfoundry.diego import Diego, Listing
from pilot_adapter_cloudfoundry.lrp import (
    Desired,
    DesiredEvent,
    Event,
    Gone,
    Instance,
    InstanceEvent,
    Mapping,
    Presence,
    Seen,
    Tag,
)

PROCESSES = ("p0", "p1")
CELLS = ("10.0.0.1", "10.0.0.2")


class Foundation:
    """A Diego that lives: every method is something that happens, and tells its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.instances: dict[str, Seen] = {}
        self.desired: dict[str, Seen] = {}
        self._count = 0

    def desire(self, process: str, instances: int) -> None:
        made = Desired(process=process, domain="cf-apps", instances=instances)
        before = self.desired.get(process)
        tag = Tag(before.tag.epoch, before.tag.index + 1) if before else Tag(self._new("d"))
        seen = Seen(process, tag, made, replaces=before.tag if before else None)
        self.desired[process] = seen
        self.events.append(DesiredEvent(seen))

    def undesire(self, process: str) -> None:
        seen = self.desired.pop(process, None)
        if seen is not None:
            self.events.append(DesiredEvent(Gone(process, seen.tag)))

    def start(self, process: str, index: int, place: tuple[str, int]) -> None:
        """On a place that somebody else may have had."""
        guid = self._new("i")
        made = Instance(
            guid=guid,
            process=process,
            index=index,
            is_running=True,
            is_ready=True,
            address=place[0],
            ports=(Mapping(8080, 0, 61001, place[1]),),
            since=self._count,
        )
        self._see(Seen(guid, Tag(self._new("e"), 2), made))

    def flip(self, guid: str) -> None:
        self._change(guid, is_ready=not self.instances[guid].value.is_ready)

    def evacuate(self, guid: str) -> None:
        old = self.instances[guid]
        if old.value.presence is Presence.ORDINARY:
            made = _changed(old.value, presence=Presence.EVACUATING)
            self._see(Seen(guid, Tag(self._new("e")), made, replaces=old.tag))

    def lose(self, guid: str) -> None:
        old = self.instances[guid]
        if old.value.presence is Presence.ORDINARY:
            made = _changed(old.value, presence=Presence.SUSPECT)
            self._see(Seen(guid, old.tag, made, 1, old.tag, 0))

    def stop(self, guid: str) -> None:
        self.events.append(InstanceEvent(Gone(guid, self.instances.pop(guid).tag)))

    def listing(self) -> Listing:
        fresh = frozenset({"cf-apps"})
        return Listing(tuple(self.instances.values()), tuple(self.desired.values()), fresh)

    def _change(self, guid: str, **more: object) -> None:
        old = self.instances[guid]
        tag = Tag(old.tag.epoch, old.tag.index + 1)
        self._see(Seen(guid, tag, _changed(old.value, **more), old.rank, old.tag, old.rank))

    def _see(self, seen: Seen) -> None:
        self.instances[seen.key] = seen
        self.events.append(InstanceEvent(seen))

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"


def _changed(instance: Instance, **more: object) -> Instance:
    fields = {name: getattr(instance, name) for name in instance.__struct_fields__}
    return Instance(**{**fields, **more})


def live(chance: random.Random, steps: int) -> Foundation:
    made = Foundation()
    for process in PROCESSES:
        made.desire(process, 2)
    for _ in range(steps):
        guid = chance.choice([*made.instances, ""])
        process = chance.choice(PROCESSES)
        what = chance.choice(
            ["start", "start", "flip", "evacuate", "lose", "stop", "desire", "not"]
        )
        if what == "start":
            place = (chance.choice(CELLS), 61000 + chance.randrange(3))
            made.start(process, chance.randrange(3), place)
        elif what == "desire":
            made.desire(process, chance.randrange(1, 4))
        elif what == "not":
            made.undesire(process)
        elif guid:
            getattr(made, what)(guid)
    return made


def serving(diego: Diego) -> dict[str, list[tuple[str, Presence]]]:
    return {p: [(i.guid, i.presence) for i in diego.serving(p)] for p in PROCESSES}


def listed(foundation: Foundation) -> Diego:
    made = Diego()
    made.ask()
    made.listed(foundation.listing())
    return made


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_events_in_any_order_and_any_number_of_times_end_as_a_fresh_list(
    chance: random.Random, steps: int
) -> None:
    foundation = live(chance, steps)
    heard = foundation.events + chance.choices(foundation.events, k=len(foundation.events))
    chance.shuffle(heard)
    diego = Diego()
    for event in heard:
        diego.take(event)
    assert serving(listed(foundation)) == serving(diego)


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_a_list_that_overtakes_events_ends_as_a_fresh_list_too(
    chance: random.Random, steps: int
) -> None:
    foundation = live(chance, steps)
    diego = Diego(max_loss=1)
    asked, answered = sorted(chance.choices(range(len(foundation.events) + 1), k=2))
    for event in foundation.events[:asked]:
        diego.take(event)
    diego.ask()
    late = foundation.events[asked:]
    for event in late[: answered - asked]:
        diego.take(event)
    diego.listed(foundation.listing())
    # What had been heard before the list was asked for may be told once more behind it.
    again = [event for event in foundation.events[:asked] if chance.random() < 0.5]
    behind = [*late[answered - asked :], *again]
    chance.shuffle(behind)
    for event in behind:
        diego.take(event)
    assert serving(listed(foundation)) == serving(diego)


@given(st.randoms(use_true_random=False), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_no_address_and_no_index_serves_twice(chance: random.Random, steps: int) -> None:
    foundation, diego = live(chance, steps), Diego()
    for event in foundation.events:
        diego.take(event)
        found = [i for process in PROCESSES for i in diego.serving(process)]
        places = [(i.address, i.ports) for i in found]
        assert len(places) == len(set(places))
        ordinary = [(i.process, i.index) for i in found if i.presence is Presence.ORDINARY]
        assert len(ordinary) == len(set(ordinary))


def test_a_list_without_change_says_that_nothing_has_changed() -> None:
    foundation = live(random.Random(7), 60)
    diego = listed(foundation)
    diego.changed.clear()
    diego.ask()
    diego.listed(foundation.listing())
    assert set() == diego.changed
