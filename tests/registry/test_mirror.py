from __future__ import annotations

from pilot_core.model import Origin
from pilot_core.registry.mirror import Mirror
from registries import endpoints, service

A, B = service("a.mesh"), service("b.mesh")
A_KEY, B_KEY = A.key, B.key


def mirror(**sources) -> Mirror:
    """Sources of the registry dc1, with nothing left to take."""
    made = Mirror(lambda registry: None)
    for source, records in sources.items():
        made.put("dc1", source, tuple(records))
    made.take(), made.take_unwritten()
    return made


def test_only_the_keys_that_differ_are_dirty():
    known = mirror(s=[A, B])
    assert known.put("dc1", "s", (A, service("b.mesh", namespace="shop")))
    assert ({B_KEY}, set()) == (known.take(), known.take())


def test_an_equal_put_is_none():
    heard = []
    known = Mirror(heard.append)
    known.put("dc1", "s", (A, B))
    known.take(), known.take_unwritten()
    assert not known.put("dc1", "s", (service("a.mesh"), service("b.mesh")))
    assert ["dc1"] == heard
    assert (set(), {}) == (known.take(), known.take_unwritten())


def test_an_equal_record_on_another_line_is_known_by_the_new_one_and_changes_nothing():
    known = mirror(s=[service("a.mesh", origin=Origin("f:1:1"))])
    assert not known.put("dc1", "s", (service("a.mesh", origin=Origin("f:8:1")),))
    assert ["f:8:1"] == [claim.place for claim in known.claims(A_KEY)]
    assert set() == known.take()


def test_no_records_remove_the_source_and_its_claims():
    known = mirror(s=[A, B], t=[A])
    assert known.put("dc1", "s", ())
    assert {A_KEY, B_KEY} == known.take()
    assert ["t"] == known.sources("dc1")
    assert (["t"], []) == ([c.source for c in known.claims(A_KEY)], list(known.claims(B_KEY)))
    assert not known.put("dc1", "s", ())


def test_sources_of_one_name_in_two_registries_are_two():
    known = mirror(s=[A])
    known.put("dc2", "s", (B,))
    known.forget("dc2")
    assert (["s"], []) == (known.sources("dc1"), known.sources("dc2"))
    assert {B_KEY} == known.take()
    assert {"dc2": {"s"}} == known.take_unwritten()


def test_everything_is_what_has_been_put():
    known = mirror(s=[A], t=[B])
    known.put("dc2", "s", (B,))
    assert [("dc1", "s", (A,)), ("dc1", "t", (B,)), ("dc2", "s", (B,))] == list(known.everything())


def test_the_tally_follows_every_put():
    known = mirror(s=[A, endpoints("a.mesh", "10.0.0.1", "10.0.0.2")], t=[B])
    assert {"dc1": (2, 2)} == known.tally()
    known.put("dc1", "s", (A, endpoints("a.mesh", "10.0.0.1")))
    assert {"dc1": (2, 1)} == known.tally()
    known.put("dc1", "t", ())
    assert {"dc1": (1, 1)} == known.tally()
    known.forget("dc1")
    assert {} == known.tally()


def test_another_precedence_touches_what_several_claim_and_nothing_else():
    known = mirror(s=[A, B])
    known.put("dc2", "s", (A,))
    known.take()
    known.touch({"dc2"})
    assert {A_KEY} == known.take()
