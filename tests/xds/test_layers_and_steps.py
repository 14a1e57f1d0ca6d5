"""What streams share: layers, the steps between them, snapshots and their versions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilot_xds import answers, steps
from pilot_xds.names import Names
from pilot_xds.resource import Resource
from pilot_xds.snapshot import EMPTY, Snapshot, version_of
from pilot_xds.subscription import Subscription
from pilot_xds.types import ResourceType, Variant
from xds_messages import CDS, EDS, layer, resource
from xds_talk import Talk

DELTA, SOTW = Variant.DELTA, Variant.SOTW
contents = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"), max_size=8)


@given(contents, contents)
def test_a_layer_that_came_step_by_step_equals_one_made_at_once(old, new):
    before = layer(CDS, old)
    gone = old.keys() - new.keys()
    after = before.replace([resource(CDS, n, t) for n, t in new.items()], gone)
    made = layer(CDS, new)
    assert made.digest == after.digest
    assert dict(made.resources) == dict(after.resources)
    assert made.body(DELTA) == after.body(DELTA)
    assert (after is before) == (old == new)


@given(contents, contents)
def test_a_step_holds_what_differs_and_nothing_else(old, new):
    step = layer(CDS, new).since(layer(CDS, old))
    assert {n for n in new if old.get(n) != new[n]} == set(step.changed)
    assert old.keys() - new.keys() == set(step.removed)
    assert sorted(step.changed) == list(step.changed)
    assert bool(step) == (old != new)


@given(st.lists(contents, max_size=3), st.lists(contents, max_size=3))
def test_the_step_over_several_layers_leads_from_the_old_content_to_the_new(old, new):
    """A name stands in one layer only, and may move."""
    before, after = _disjoint(old), _disjoint(new)
    had, has = _all(before), _all(after)
    step = steps.between(before, after)
    assert {n for n, r in has.items() if had.get(n) != r} == set(step.changed)
    assert had.keys() - has.keys() == set(step.removed)


@given(contents, st.lists(contents, max_size=2))
def test_a_client_that_says_its_versions_gets_what_differs(old, new):
    layers = _disjoint(new)
    have = {name: resource(CDS, name, text).version for name, text in old.items()}
    step = steps.from_versions(have, layers)
    has = _all(layers)
    assert {n for n, r in has.items() if have.get(n) != r.version} == set(step.changed)
    assert have.keys() - has.keys() == set(step.removed)


def _disjoint(many):
    seen: set[str] = set()
    made = []
    for texts in many:
        made.append(layer(CDS, {n: t for n, t in texts.items() if n not in seen}))
        seen |= texts.keys()
    return tuple(made)


def _all(layers):
    return {name: made for one in layers for name, made in one.resources.items()}


def test_a_step_is_one_object_for_all_who_take_it_and_so_are_its_bytes():
    old = layer(EDS, {"a": "1", "b": "1"})
    new = old.replace([resource(EDS, "a", "2")])
    assert new.since(old) is new.since(old)
    for variant in Variant:
        assert new.since(old).body(variant) is new.since(old).body(variant)
        assert new.body(variant) is new.body(variant)


def test_streams_that_want_all_of_a_step_share_its_bytes():
    old = layer(EDS, {"a": "1", "b": "1"})
    step = old.replace([resource(EDS, "a", "2")]).since(old)
    bodies = []
    for names in ({"a"}, {"a", "b"}, {"a", "b", "c"}):
        sub = Subscription(EDS, 0)
        sub.names = Names(frozenset(names))
        bodies.append(answers.changed(sub, step, DELTA).data)
    assert bodies[0] is bodies[1] is bodies[2]


def test_a_step_that_nobody_takes_any_more_is_forgotten():
    old = layer(EDS, {"a": "1"})
    new = old.replace([resource(EDS, "a", "2")])
    new.since(old)
    assert 1 == len(new._steps)
    del old
    assert 0 == len(new._steps)


def test_versions_do_not_depend_on_the_order_or_on_the_layers():
    whole = layer(CDS, {"a": "1", "b": "2"})
    parts = (layer(CDS, {"b": "2"}), layer(CDS, {"a": "1"}))
    assert version_of((whole,)) == version_of(parts)
    assert version_of(parts) != version_of((layer(CDS, {"a": "2", "b": "1"}),))
    assert version_of(()) == EMPTY.version(CDS)


def test_a_resource_that_changes_and_changes_back_has_its_version_again():
    first = layer(CDS, {"a": "1"})
    second = first.replace([resource(CDS, "a", "2")])
    third = second.replace([resource(CDS, "a", "1")])
    assert (first.digest, False) == (third.digest, first.digest == second.digest)


def test_resources_are_equal_by_name_and_content():
    assert resource(CDS, "a") == resource(CDS, "a")
    assert resource(CDS, "a") != resource(CDS, "a", "2")
    assert Resource("a", b"x") != Resource("b", b"x")
    assert Resource("a", b"x") != "a"
    assert 1 == len({resource(CDS, "a"), resource(CDS, "a")})


def test_a_snapshot_finds_and_lists_over_all_layers():
    made = Snapshot({CDS: (layer(CDS, {"b": "1"}), layer(CDS, {"a": "1"}))})
    assert ["a", "b"] == [r.name for r in made.resources(CDS)]
    assert resource(CDS, "a") == made.get(CDS, "a")
    assert None is made.get(CDS, "c")
    assert () == made.layers(ResourceType.SECRET)


def test_a_name_that_moves_to_another_layer_is_not_sent_again():
    talk = Talk(DELTA)
    one, other = layer(CDS, {"a": "1", "b": "1"}), layer(CDS, {})
    talk.stream.update(Snapshot({CDS: (one, other)}))
    talk.answer(talk.ask(CDS)[0])
    moved = (one.replace([], ["a"]), other.replace([resource(CDS, "a")]))
    talk.stream.update(Snapshot({CDS: moved}))
    assert [] == talk.hear_all()
    assert "synced" == talk.stream.status(CDS, 0).state


def test_large_answers_that_many_ask_for_are_put_together_once():
    layers = (layer(EDS, {f"s{n}": "1" for n in range(60)}),)
    names = frozenset(f"s{n}" for n in range(40))
    bodies = []
    for _ in range(2):
        sub = Subscription(EDS, 0)
        sub.names = Names(names)
        bodies.append(answers.named(frozenset(sorted(names)), sub, layers, DELTA).data)
    assert bodies[0] is bodies[1]


def test_an_answer_to_exactly_what_there_is_is_the_layers_own_bytes():
    one = layer(EDS, {f"s{n}": "1" for n in range(60)})
    sub = Subscription(EDS, 0)
    sub.names = Names(frozenset(one.resources))
    assert one.body(DELTA) is answers.named(sub.names.set, sub, (one,), DELTA).data


def test_an_empty_assignment_names_its_cluster():
    made = answers.empty_assignment("outbound|80||ü.mesh")
    assert resource(EDS, "x").any[:4] == made.any[:4]
    talk = Talk(DELTA, {EDS: {}})
    (said,) = talk.ask(EDS, "outbound|80||ü.mesh")
    assert ((("outbound|80||ü.mesh", ""),), made.version) == (said.contents, said.versions[0][1])
