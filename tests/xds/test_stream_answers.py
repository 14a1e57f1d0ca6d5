"""Acknowledgements and refusals: what they mean, and what is sent after them."""

from __future__ import annotations

import pytest

from pilot_xds.types import Variant
from xds_messages import CDS, EDS, LDS, RDS, delta, sotw
from xds_talk import Talk

DELTA, SOTW = Variant.DELTA, Variant.SOTW
both = pytest.mark.parametrize("variant", [DELTA, SOTW])


def state(talk, kind):
    return talk.stream.status(kind, talk.now)


@both
def test_an_acknowledgement_is_answered_with_silence(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    (said,) = talk.ask(CDS)
    assert "sent" == state(talk, CDS).state
    assert talk.answer(said).is_ack
    assert [] == talk.hear_all()
    assert ("synced", said.version, said.version) == (
        state(talk, CDS).state,
        state(talk, CDS).version,
        state(talk, CDS).acked,
    )
    assert talk.stream.has_everything()


@both
def test_an_acknowledgement_tells_how_long_it_took(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    (said,) = talk.ask(CDS)
    talk.now = 2.5
    assert 2.5 == talk.answer(said).waited


@both
def test_one_push_per_type_is_outstanding_and_the_newest_content_wins(variant):
    talk = Talk(variant, {EDS: {"a": "1"}})
    (first,) = talk.ask(EDS, "a")
    for text in ("2", "3", "4"):
        talk.give({EDS: {"a": text}})
        assert [] == talk.hear_all()
    talk.answer(first, "a")
    assert [(("a", "4"),)] == [said.contents for said in talk.hear_all()]


@both
def test_only_what_has_changed_is_sent_of_endpoints(variant):
    talk = Talk(variant, {EDS: {"a": "1", "b": "1"}})
    talk.answer(talk.ask(EDS, "a", "b")[0], "a", "b")
    talk.give({EDS: {"a": "1", "b": "2"}})
    assert [(("b", "2"),)] == [said.contents for said in talk.hear_all()]


@both
@pytest.mark.parametrize("kind", [CDS, LDS])
def test_of_clusters_and_listeners_state_of_the_world_sends_all(variant, kind):
    talk = Talk(variant, {kind: {"a": "1", "b": "1"}})
    talk.answer(talk.ask(kind)[0])
    talk.give({kind: {"a": "1", "b": "2"}})
    (said,) = talk.hear_all()
    assert (("b",) if variant is DELTA else ("a", "b")) == said.names


@both
def test_equal_content_is_not_sent_again(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    talk.answer(talk.ask(CDS)[0])
    talk.give({CDS: {"a": "1"}})
    assert not talk.stream.has_work()
    other = Talk(variant, {CDS: {"a": "1"}})
    talk.stream.update(other.snapshot)
    assert [] == talk.hear_all()
    assert "synced" == state(talk, CDS).state


@both
def test_what_changes_and_changes_back_before_the_acknowledgement_is_not_sent(variant):
    talk = Talk(variant, {EDS: {"a": "1"}})
    (first,) = talk.ask(EDS, "a")
    talk.give({EDS: {"a": "2"}})
    talk.give({EDS: {"a": "1"}})
    talk.answer(first, "a")
    assert [] == talk.hear_all()


@both
def test_a_refusal_never_brings_the_same_bytes_again(variant):
    talk = Talk(variant, {CDS: {"a": "1", "b": "1"}})
    (said,) = talk.ask(CDS)
    heard = talk.answer(said, error="cluster a: no")
    assert ("cluster a: no", False) == (heard.error, heard.is_ack)
    assert [] == talk.hear_all()
    assert ("nacked", "cluster a: no", "") == (
        state(talk, CDS).state,
        state(talk, CDS).error,
        state(talk, CDS).acked,
    )


@both
def test_a_change_elsewhere_does_not_bring_back_what_was_refused(variant):
    talk = Talk(variant, {CDS: {"a": "1", "b": "1"}})
    talk.answer(talk.ask(CDS)[0])
    talk.give({CDS: {"a": "bad", "b": "1"}})
    talk.answer(talk.hear(), error="a is bad")
    talk.give({CDS: {"a": "bad", "b": "2"}})
    (said,) = talk.hear_all()
    # State of the world must name it, or it would be removed: with what was accepted before.
    assert ((("b", "2"),) if variant is DELTA else (("a", "1"), ("b", "2"))) == said.contents
    talk.answer(said)
    assert ("nacked", "a is bad") == (state(talk, CDS).state, state(talk, CDS).error)


@both
def test_what_was_refused_is_sent_when_it_has_changed(variant):
    talk = Talk(variant, {CDS: {"a": "bad"}})
    talk.answer(talk.ask(CDS)[0], error="a is bad")
    talk.give({CDS: {"a": "good"}})
    (said,) = talk.hear_all()
    assert (("a", "good"),) == said.contents
    talk.answer(said)
    assert ("synced", "") == (state(talk, CDS).state, state(talk, CDS).error)


@both
def test_a_refusal_ends_when_its_culprit_is_gone(variant):
    talk = Talk(variant, {CDS: {"a": "bad", "b": "1"}})
    talk.answer(talk.ask(CDS)[0], error="a is bad")
    talk.give({CDS: {"b": "1"}})
    talk.settle()
    assert ("synced", "") == (state(talk, CDS).state, state(talk, CDS).error)


@both
def test_without_a_word_about_which_the_rest_in_doubt_goes_with_the_next_push(variant):
    """Some clients keep the good parts of what they refuse, some keep nothing."""
    talk = Talk(variant, {EDS: {"a": "1", "b": "1", "c": "1"}})
    talk.answer(talk.ask(EDS, "a", "b", "c")[0], "a", "b", "c")
    talk.give({EDS: {"a": "2", "b": "2", "c": "1"}})
    talk.answer(talk.hear(), "a", "b", "c", error="no")
    assert [] == talk.hear_all()
    talk.give({EDS: {"a": "2", "b": "2", "c": "2"}})
    (said,) = talk.hear_all()
    assert {"a", "b", "c"} == set(said.names)


@both
def test_what_is_in_doubt_goes_with_a_removal_too(variant):
    talk = Talk(variant, {CDS: {"a": "1", "b": "1", "c": "1"}})
    talk.answer(talk.ask(CDS)[0])
    talk.give({CDS: {"a": "2", "b": "2", "c": "1"}})
    talk.answer(talk.hear(), error="no")
    talk.give({CDS: {"a": "2", "b": "2"}})
    said = talk.hear_all()
    assert {"a", "b"} == {name for s in said for name in s.names}
    talk.answer(said[-1])
    talk.settle()
    assert ("synced", "") == (state(talk, CDS).state, state(talk, CDS).error)


@both
def test_the_only_resource_of_a_refused_response_is_its_culprit(variant):
    talk = Talk(variant, {EDS: {"a": "1", "b": "1"}})
    talk.answer(talk.ask(EDS, "a", "b")[0], "a", "b")
    talk.give({EDS: {"a": "bad", "b": "1"}})
    talk.answer(talk.hear(), "a", "b", error="no")
    talk.give({EDS: {"a": "bad", "b": "2"}})
    assert [(("b", "2"),)] == [said.contents for said in talk.hear_all()]


@both
def test_endpoints_that_were_refused_do_not_follow_their_cluster(variant):
    talk = Talk(variant, {CDS: {"a": "1"}, EDS: {"a": "bad"}})
    talk.answer(talk.ask(CDS)[0])
    talk.answer(talk.ask(EDS, "a")[0], "a", error="a is bad")
    talk.give({CDS: {"a": "2"}})
    assert [CDS] == [said.type for said in talk.hear_all()]


def test_what_was_refused_is_sent_to_a_client_that_asks_for_it_again():
    talk = Talk(DELTA, {EDS: {"a": "bad"}})
    talk.answer(talk.ask(EDS, "a")[0], error="a is bad")
    talk.say(delta(EDS, ["a"]))
    (said,) = talk.hear_all()
    assert (("a", "bad"),) == said.contents
    talk.answer(said)
    assert ("synced", "") == (state(talk, EDS).state, state(talk, EDS).error)


@both
def test_words_of_a_refusal_are_capped(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    (said,) = talk.ask(CDS)
    talk.answer(said, error="x" * 1_000_000)
    assert 4096 == len(state(talk, CDS).error)


@both
def test_a_refusal_without_a_word_is_one(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    (said,) = talk.ask(CDS)
    talk.answer(said, error="")
    assert ("nacked", "refused without a word") == (state(talk, CDS).state, state(talk, CDS).error)


@both
def test_a_refusal_of_an_older_response_counts(variant):
    talk = Talk(variant, {EDS: {"a": "bad", "b": "1"}})
    (first,) = talk.ask(EDS, "a")
    talk.say(delta(EDS, ["b"]) if variant is DELTA else sotw(EDS, ["a", "b"]))
    second = talk.hear()
    talk.answer(first, "a", error="a is bad")
    assert "nacked" == state(talk, EDS).state
    talk.answer(second, "a", "b")
    talk.give({EDS: {"a": "bad", "b": "2"}})
    assert [(("b", "2"),)] == [said.contents for said in talk.hear_all()]


@both
def test_a_stale_acknowledgement_acknowledges_nothing(variant):
    talk = Talk(variant, {EDS: {"a": "1"}})
    talk.ask(EDS, "a")
    nonce = {"response_nonce": "of another stream"}
    talk.say(delta(EDS, **nonce) if variant is DELTA else sotw(EDS, ["a"], **nonce))
    assert "sent" == state(talk, EDS).state


@both
def test_an_acknowledgement_said_twice_is_heard_once(variant):
    talk = Talk(variant, {EDS: {"a": "1"}})
    (said,) = talk.ask(EDS, "a")
    assert talk.answer(said, "a").is_ack
    assert not talk.answer(said, "a").is_ack
    assert [] == talk.hear_all()


@both
def test_a_client_that_is_silent_becomes_stale(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    talk.ask(CDS)
    talk.now = 19.0
    assert "sent" == state(talk, CDS).state
    talk.now = 21.0
    assert "stale" == state(talk, CDS).state


@both
def test_newer_content_that_is_not_taken_is_stale_sooner(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    talk.ask(CDS)
    talk.give({CDS: {"a": "2"}})
    talk.now = 6.0
    assert "stale" == state(talk, CDS).state


@both
def test_a_type_that_was_not_asked_for_has_no_status(variant):
    talk = Talk(variant, {CDS: {"a": "1"}})
    assert None is state(talk, RDS)
    talk = Talk(variant)
    talk.ask(RDS, "a")
    assert "sent" == state(talk, RDS).state


def test_what_was_refused_and_is_leaving_is_not_sent_again_while_it_leaves():
    """In state of the world what is leaving stays in the response for a while."""
    talk = Talk(SOTW, {CDS: {"a": "1", "b": "1"}})
    talk.answer(talk.ask(CDS)[0])
    talk.give({CDS: {"a": "bad", "b": "1"}})
    talk.answer(talk.hear(), error="a is bad")
    talk.give({CDS: {"b": "2"}})
    said = talk.hear()
    assert {("a", "1"), ("b", "2")} == set(said.contents)
    talk.answer(said)
    assert [("b",)] == [last.names for last in talk.hear_all()]


def test_a_refusal_of_what_is_leaving_is_not_blamed_on_what_is_new():
    talk = Talk(SOTW, {CDS: {"old": "1"}})
    talk.answer(talk.ask(CDS)[0])
    talk.give({CDS: {"new": "1"}})
    talk.answer(talk.hear(), error="no")
    talk.settle()
    assert ("synced", "") == (state(talk, CDS).state, state(talk, CDS).error)
