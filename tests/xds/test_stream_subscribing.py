"""What a client asks for, and what it gets for it, in both variants."""

from __future__ import annotations

import pytest

from pilot_xds.types import Variant
from pilot_xds.wire import Malformed
from xds_messages import CDS, EDS, LDS, RDS, delta, node, sotw
from xds_talk import Talk

DELTA, SOTW = Variant.DELTA, Variant.SOTW
both = pytest.mark.parametrize("variant", [DELTA, SOTW])
full = pytest.mark.parametrize("kind", [CDS, LDS])
TWO = {"a": "1", "b": "1"}


def everything(kind):
    return {kind: TWO}


@both
@full
def test_the_first_request_without_names_asks_for_everything(variant, kind):
    (said,) = Talk(variant, everything(kind)).ask(kind)
    assert (("a", "1"), ("b", "1")) == said.contents


@both
@full
def test_a_star_asks_for_everything(variant, kind):
    (said,) = Talk(variant, everything(kind)).ask(kind, "*")
    assert ("a", "b") == said.names


@both
@full
def test_a_name_asks_for_that_alone(variant, kind):
    (said,) = Talk(variant, everything(kind)).ask(kind, "b")
    assert ("b",) == said.names


@both
@pytest.mark.parametrize("kind", [EDS, RDS])
def test_without_names_nothing_is_asked_of_types_that_are_named(variant, kind):
    assert [] == Talk(variant, everything(kind)).ask(kind)


@both
@pytest.mark.parametrize("kind", [EDS, RDS])
def test_a_star_works_for_other_types_too(variant, kind):
    (said,) = Talk(variant, everything(kind)).ask(kind, "*")
    assert ("a", "b") == said.names


@both
@full
def test_everything_is_answered_even_if_there_is_nothing(variant, kind):
    (said,) = Talk(variant, {kind: {}}).ask(kind)
    assert (kind, ()) == (said.type, said.contents)


@both
def test_nothing_is_said_before_there_is_something_to_have(variant):
    talk = Talk(variant)
    assert [] == talk.ask(CDS)
    talk.give({CDS: TWO})
    assert ["a", "b"] == [name for said in talk.hear_all() for name in said.names]


@both
def test_nonces_differ_over_all_types_of_a_stream(variant):
    talk = Talk(variant, dict.fromkeys((CDS, EDS, LDS, RDS), TWO))
    said = talk.ask(CDS) + talk.ask(EDS, "a") + talk.ask(LDS) + talk.ask(RDS, "a")
    nonces = [s.nonce for s in said]
    assert 4 == len(set(nonces) - {""})


@both
def test_endpoints_that_do_not_exist_are_an_empty_assignment(variant):
    (said,) = Talk(variant, {EDS: TWO}).ask(EDS, "a", "nobody")
    assert (("a", "1"), ("nobody", "")) == said.contents
    assert () == said.removed


@both
def test_endpoints_that_come_later_are_sent_when_they_come(variant):
    talk = Talk(variant, {EDS: {}})
    talk.answer(talk.ask(EDS, "late")[0], "late")
    talk.give({EDS: {"late": "1"}})
    assert (("late", "1"),) == talk.hear().contents


def test_other_things_that_do_not_exist_are_said_to_be_removed_in_delta():
    talk = Talk(DELTA, {RDS: {}})
    (said,) = talk.ask(RDS, "late")
    assert ((), ("late",)) == (said.contents, said.removed)
    talk.answer(said)
    talk.give({RDS: {"late": "1"}})
    assert ("late",) == talk.hear().names


def test_state_of_the_world_has_no_words_for_routes_that_do_not_exist():
    talk = Talk(SOTW, {RDS: {}})
    assert [] == talk.ask(RDS, "late")
    talk.give({RDS: {"late": "1"}})
    assert ("late",) == talk.hear().names


@both
def test_more_names_bring_the_new_ones_alone(variant):
    talk = Talk(variant, {EDS: TWO})
    (first,) = talk.ask(EDS, "a")
    talk.answer(first, "a")
    if variant is DELTA:
        talk.say(delta(EDS, ["b"]))
    else:
        talk.say(sotw(EDS, ["a", "b"], version_info=first.version, response_nonce=first.nonce))
    (said,) = talk.hear_all()
    assert ("b",) == said.names


@both
def test_more_names_do_not_wait_for_an_acknowledgement(variant):
    talk = Talk(variant, {EDS: TWO})
    (first,) = talk.ask(EDS, "a")
    talk.say(delta(EDS, ["b"]) if variant is DELTA else sotw(EDS, ["a", "b"]))
    assert ("b",) == talk.hear().names
    assert first.type is EDS


@both
def test_fewer_names_need_no_response_and_are_not_heard_of_again(variant):
    talk = Talk(variant, {EDS: TWO})
    (first,) = talk.ask(EDS, "a", "b")
    if variant is DELTA:
        talk.say(delta(EDS, [], ["a"], response_nonce=first.nonce))
    else:
        talk.answer(first, "b")
    assert [] == talk.hear_all()
    talk.give({EDS: {"a": "2", "b": "1"}})
    assert [] == talk.hear_all()


def test_names_asked_for_again_are_answered_again_in_delta():
    talk = Talk(DELTA, {EDS: TWO})
    talk.answer(talk.ask(EDS, "a")[0])
    talk.say(delta(EDS, ["a"]))
    assert ("a",) == talk.hear().names


def test_names_that_ride_on_an_acknowledgement_count():
    talk = Talk(DELTA, {EDS: TWO})
    (first,) = talk.ask(EDS, "a")
    heard = talk.say(delta(EDS, ["b"], ["a"], response_nonce=first.nonce))
    assert heard.is_ack
    assert ("b",) == talk.hear().names


def test_names_on_a_stale_nonce_count_in_delta():
    talk = Talk(DELTA, {EDS: TWO})
    talk.ask(EDS, "a")
    talk.say(delta(EDS, ["b"], response_nonce="of long ago"))
    assert ("b",) == talk.hear().names


def test_names_on_a_stale_nonce_are_void_in_state_of_the_world():
    talk = Talk(SOTW, {EDS: TWO})
    talk.ask(EDS, "a")
    talk.say(sotw(EDS, ["a", "b"], response_nonce="of long ago"))
    assert [] == talk.hear_all()


def test_unknown_names_to_drop_are_ignored():
    talk = Talk(DELTA, {EDS: TWO})
    talk.answer(talk.ask(EDS, "a")[0])
    talk.say(delta(EDS, [], ["never", "heard"]))
    assert [] == talk.hear_all()


@pytest.mark.parametrize(("names", "content"), [(TWO, ("a",)), ({"b": "1"}, ())])
def test_dropping_a_name_beside_the_wildcard_is_answered(names, content):
    """The one unsubscription that has to be: the name may be in the wildcard, or not."""
    talk = Talk(DELTA, {CDS: names})
    talk.say(delta(CDS, ["*", "a"]))
    talk.settle()
    talk.say(delta(CDS, [], ["a"]))
    (said,) = talk.hear_all()
    assert (content, () if content else ("a",)) == (said.names, said.removed)


def test_the_implicit_wildcard_stays_beside_a_name_and_ends_when_it_is_dropped():
    talk = Talk(DELTA, {CDS: TWO})
    talk.ask(CDS)
    talk.say(delta(CDS, ["a"]))
    talk.settle()
    talk.give({CDS: {"a": "2", "b": "2"}})
    said = talk.hear()
    assert ("a", "b") == said.names
    talk.say(delta(CDS, [], ["*"], response_nonce=said.nonce))
    talk.give({CDS: {"a": "3", "b": "3"}})
    assert [("a",)] == [said.names for said in talk.hear_all()]


def test_a_wildcard_dropped_before_it_was_answered_brings_nothing():
    talk = Talk(DELTA)
    talk.say(delta(CDS, ["*"]))
    talk.say(delta(CDS, [], ["*"]))
    talk.give({CDS: TWO})
    assert [] == talk.hear_all()


def test_what_is_dropped_and_added_in_one_request_is_added():
    talk = Talk(DELTA, {EDS: TWO})
    talk.say(delta(EDS, ["a"], ["a"]))
    assert ("a",) == talk.hear().names


def test_from_everything_to_a_name_to_nothing_in_state_of_the_world():
    talk = Talk(SOTW, {CDS: TWO})
    (said,) = talk.ask(CDS, "*", "a")
    talk.answer(said, "a")
    talk.give({CDS: {"a": "2", "b": "2"}})
    said = talk.hear()
    assert ("a",) == said.names
    talk.answer(said)
    talk.give({CDS: {"a": "3", "b": "3"}})
    assert [] == talk.hear_all()


@both
def test_an_empty_list_after_names_unsubscribes_from_everything(variant):
    """Envoy says so when its last route configuration goes: it is no wildcard."""
    talk = Talk(variant, {RDS: TWO})
    (said,) = talk.ask(RDS, "a")
    if variant is DELTA:
        talk.say(delta(RDS, [], ["a"], response_nonce=said.nonce))
    else:
        talk.answer(said)
    talk.give({RDS: {"a": "2", "b": "2"}})
    assert [] == talk.hear_all()


@both
def test_types_may_be_asked_for_in_any_order(variant):
    talk = Talk(variant, {kind: {"a": "1"} for kind in (CDS, EDS, LDS, RDS)})
    said = talk.ask(RDS, "a") + talk.ask(LDS) + talk.ask(EDS, "a") + talk.ask(CDS)
    assert {RDS, LDS, EDS, CDS} == {s.type for s in said}


def test_a_type_that_nobody_serves_is_answered_with_not_found_in_delta():
    talk = Talk(DELTA, {CDS: TWO})
    talk.say(delta("type.googleapis.com/acme.Unknown", ["x", "*", "y"]))
    (said,) = talk.hear_all()
    assert (None, ("x", "y")) == (said.type, said.removed)
    talk.say(delta("type.googleapis.com/acme.Unknown", response_nonce=said.nonce))
    assert [] == talk.hear_all()


def test_a_type_that_nobody_serves_is_not_answered_in_state_of_the_world():
    talk = Talk(SOTW, {CDS: TWO})
    talk.say(sotw("type.googleapis.com/acme.Unknown", ["x"]))
    assert [] == talk.hear_all()


def test_unanswered_requests_for_unknown_types_do_not_pile_up():
    talk = Talk(DELTA)
    for number in range(1_000):
        talk.say(delta(f"type.googleapis.com/acme.Unknown{number}", ["x"]))
    assert 16 == len(talk.hear_all())


@both
def test_a_request_without_a_type_is_malformed(variant):
    talk = Talk(variant)
    with pytest.raises(Malformed, match="no type"):
        talk.say((delta if variant is DELTA else sotw)("", ["a"]))


@both
def test_the_node_that_comes_with_a_request_is_handed_out_serialized(variant):
    talk = Talk(variant)
    make = delta if variant is DELTA else sotw
    _, said = talk.stream.receive(make(CDS, node=node("me")), 0)
    assert node("me").SerializeToString() == said
    assert None is talk.stream.receive(make(LDS), 0)[1]
