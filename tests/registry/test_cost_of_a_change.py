"""The cost of a change is the size of the change: counted in what is made anew, not in time."""

from __future__ import annotations

from pilot_core.model import World
from pilot_core.registry import merging
from pilot_core.registry.mirror import Mirror
from registries import endpoints, service

ORDER = {"dc1": 0}


class Made:
    """A mirror and a world of so many services with five endpoints each."""

    def __init__(self, services: int) -> None:
        self.mirror = Mirror(lambda registry: None)
        for n in range(services):
            addresses = [f"10.{n >> 8 & 255}.{n & 255}.{i}" for i in range(5)]
            records = (service(f"s{n}.mesh"), endpoints(f"s{n}.mesh", *addresses))
            self.mirror.put("dc1", f"s{n}", records)
        self.world = World()
        self.batch()

    def batch(self):
        keys = self.mirror.take()
        merged = merging.merged(self.mirror, keys, ORDER)
        before = self.world
        self.world, delta = before.apply(merged.services, merged.endpoints)
        return before, delta

    def change_one(self):
        records = (service("s7.mesh"), endpoints("s7.mesh", "10.99.0.1"))
        self.mirror.put("dc1", "s7", records)
        return self.batch()


def fresh(new, old) -> int:
    """How many entries of a table were copied to make the other."""
    shards = zip(new._shards, old._shards, strict=True)
    return sum(len(mine) for mine, theirs in shards if mine is not theirs)


def test_one_changed_endpoint_copies_as_much_of_a_large_world_as_of_a_small_one():
    for services in (1_000, 20_000):
        made = Made(services)
        before, delta = made.change_one()
        assert (set(), {"s7.mesh"}, 6) == (delta.services, delta.endpoints, len(delta.addresses))
        assert made.world.services is before.services
        assert made.world._by_namespace is before._by_namespace
        assert made.world._private_to is before._private_to
        assert 0 < fresh(made.world.endpoints, before.endpoints) < 200
        # Five addresses have left the index, one has come: so many shards, and no more.
        assert 0 < fresh(made.world._by_address, before._by_address) < 6 * 200


def test_only_the_keys_that_changed_are_merged():
    made = Made(2_000)
    asked = []

    class Counting(Mirror):
        def claims(self, key):
            asked.append(key)
            return made.mirror.claims(key)

    made.mirror.put("dc1", "s7", (service("s7.mesh"), endpoints("s7.mesh", "10.99.0.1")))
    counting = Counting(lambda registry: None)
    merging.merged(counting, made.mirror.take(), ORDER)
    assert [("endpoints", "s7.mesh")] == asked


def test_an_equal_relist_of_everything_merges_nothing():
    made = Made(2_000)
    for _, source, records in list(made.mirror.everything()):
        made.mirror.put("dc1", source, tuple(records))
    assert set() == made.mirror.take()
