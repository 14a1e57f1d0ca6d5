"""In which order things come: endpoints behind their clusters, additions before removals."""

from __future__ import annotations

import pytest

from pilot_xds.stream import PATIENCE
from pilot_xds.types import Variant
from xds_messages import CDS, EDS, LDS, RDS, delta, sotw
from xds_talk import Talk

DELTA, SOTW = Variant.DELTA, Variant.SOTW
both = pytest.mark.parametrize("variant", [DELTA, SOTW])
ALL = (CDS, EDS, LDS, RDS)


def everywhere(**texts: str):
    return {kind: dict(texts) for kind in ALL}


def connected(variant: Variant, **texts: str) -> Talk:
    """A client with everything, all of it acknowledged."""
    talk = Talk(variant, everywhere(**texts))
    for kind in ALL:
        names = tuple(texts) if kind in (EDS, RDS) else ()
        for said in talk.ask(kind, *names):
            talk.answer(said, *names)
    assert talk.stream.has_everything()
    return talk


@both
def test_a_change_of_everything_comes_in_the_order_of_use(variant):
    talk = connected(variant, a="1")
    talk.give(everywhere(a="2"))
    assert list(ALL) == [said.type for said in talk.hear_all()]


@both
def test_the_endpoints_of_a_changed_cluster_follow_it_though_they_are_the_same(variant):
    """Envoy keeps a changed cluster warming until it hears of its endpoints."""
    talk = connected(variant, a="1", b="1")
    talk.give({CDS: {"a": "2", "b": "1"}})
    clusters, endpoints = talk.hear_all()
    assert CDS is clusters.type
    assert (EDS, (("a", "1"),)) == (endpoints.type, endpoints.contents)


@both
def test_the_endpoints_of_a_new_cluster_follow_it_before_they_are_asked_for(variant):
    talk = connected(variant, a="1")
    talk.give({CDS: {"a": "1", "new": "1"}, EDS: {"a": "1", "new": "1"}})
    clusters, endpoints = talk.hear_all()
    assert CDS is clusters.type
    assert (EDS, (("new", "1"),)) == (endpoints.type, endpoints.contents)


def test_envoys_own_request_for_them_comes_too_late_and_is_stale():
    """After clusters, state of the world repeats the last request for endpoints; the endpoints are
    on their way under a newer nonce."""
    talk = connected(SOTW, a="1")
    nonce = talk.stream.types[EDS].nonce
    talk.give({CDS: {"a": "2"}})
    talk.hear_all()
    talk.say(sotw(EDS, ["a"], response_nonce=nonce))
    assert [] == talk.hear_all()


@both
def test_endpoints_do_not_wait_for_the_acknowledgement_of_clusters(variant):
    """Envoy acknowledges clusters only when they have their endpoints."""
    talk = connected(variant, a="1")
    talk.give({CDS: {"a": "2"}})
    talk.hear_all()
    talk.stream.types[EDS].acknowledge(talk.now)
    talk.give({EDS: {"a": "2"}})
    assert [(EDS, (("a", "2"),))] == [(said.type, said.contents) for said in talk.hear_all()]


@both
def test_endpoints_behind_a_cluster_do_not_wait_for_those_before(variant):
    talk = connected(variant, a="1", b="1")
    talk.give({EDS: {"a": "1", "b": "2"}})
    assert [EDS] == [said.type for said in talk.hear_all()]
    talk.give({CDS: {"a": "2", "b": "1"}})
    assert [(CDS,), (EDS, "a")] == [
        (said.type, *(said.names if said.type is EDS else ())) for said in talk.hear_all()
    ]


@both
def test_a_cluster_without_endpoints_of_its_own_is_followed_by_none(variant):
    talk = connected(variant, a="1")
    talk.give({CDS: {"a": "1", "BlackHoleCluster": "1"}})
    assert [CDS] == [said.type for said in talk.hear_all()]


@both
def test_clusters_asked_for_after_their_endpoints_are_followed_by_them(variant):
    talk = Talk(variant, everywhere(a="1"))
    talk.answer(talk.ask(EDS, "a")[0], "a")
    assert [CDS, EDS] == [said.type for said in talk.ask(CDS)]


@both
def test_listeners_and_routes_wait_with_the_clusters_that_wait(variant):
    talk = connected(variant, a="1")
    talk.give({CDS: {"a": "2"}})
    clusters, *_ = talk.hear_all()
    talk.give({CDS: {"a": "3"}, RDS: {"a": "3"}, LDS: {"a": "3"}})
    assert [] == talk.hear_all()
    talk.answer(clusters)
    assert [CDS, LDS, RDS] == [s.type for s in talk.hear_all() if s.type is not EDS]


@both
def test_listeners_and_routes_wait_no_longer_than_patience(variant):
    talk = connected(variant, a="1")
    talk.give({CDS: {"a": "2"}})
    talk.hear_all()
    talk.give({CDS: {"a": "3"}, RDS: {"a": "3"}})
    talk.now = PATIENCE - 1
    assert (None, PATIENCE) == (talk.hear(), talk.stream.retry_at)
    talk.now = PATIENCE
    assert [RDS] == [said.type for said in talk.hear_all()]


@both
def test_routes_go_on_while_clusters_are_unanswered_if_these_do_not_change(variant):
    talk = connected(variant, a="1")
    talk.give({CDS: {"a": "2"}})
    talk.hear_all()
    talk.give({RDS: {"a": "2"}})
    assert [RDS] == [said.type for said in talk.hear_all()]


def removals(variant, said):
    """(type, what is gone) of responses, in either variant."""
    if variant is DELTA:
        return [(s.type, s.removed) for s in said if s.removed]
    return [(s.type, s.names) for s in said if s.type in (CDS, LDS)]


@both
def test_a_cluster_goes_when_the_routes_that_used_it_are_acknowledged(variant):
    talk = connected(variant, a="1", b="1")
    talk.give({CDS: {"b": "1"}, EDS: {"b": "1"}, RDS: {"a": "2", "b": "2"}})
    (routes,) = talk.hear_all()
    assert RDS is routes.type
    assert talk.stream.retry_at == PATIENCE
    talk.answer(routes, "a", "b")
    assert (CDS, ("a",) if variant is DELTA else ("b",)) == removals(variant, talk.hear_all())[0]


@both
def test_a_cluster_goes_without_the_acknowledgement_when_patience_is_over(variant):
    talk = connected(variant, a="1", b="1")
    talk.give({CDS: {"b": "1"}, RDS: {"a": "2", "b": "2"}})
    talk.hear_all()
    talk.now = PATIENCE
    assert CDS in [said.type for said in talk.hear_all()]


@both
def test_what_is_replaced_is_there_until_its_replacement_is_used(variant):
    talk = connected(variant, old="1")
    talk.give({CDS: {"new": "1"}, EDS: {"new": "1"}, RDS: {"old": "to new"}})
    said = talk.hear_all()
    clusters = said[0]
    assert (("new",) if variant is DELTA else ("new", "old")) == clusters.names
    assert [] == removals(DELTA, said)
    talk.answer(clusters)
    talk.answer(said[1], "old")
    assert [] == talk.hear_all()
    talk.answer(said[2], "old")
    assert talk.hear().type is CDS


def test_a_client_that_came_back_with_a_version_still_gets_the_removal_behind_it():
    """The version of a response that still holds what is leaving must not pass for the last one."""
    talk = connected(SOTW, old="1")
    talk.give({CDS: {"new": "1"}, EDS: {"new": "1"}, RDS: {"old": "to new"}})
    clusters = talk.hear()
    assert ("new", "old") == clusters.names
    again = Talk(SOTW)
    again.give({CDS: {"new": "1"}})
    again.say(sotw(CDS, version_info=clusters.version))
    assert [("new",)] == [said.names for said in again.hear_all()]


@both
def test_listeners_that_are_held_back_are_not_lost_behind_a_removal(variant):
    talk = connected(variant, a="1", b="1", c="1")
    talk.give({CDS: {"a": "2", "b": "1", "c": "1"}, LDS: {"a": "1", "b": "2"}})
    clusters, _, listeners = talk.hear_all()
    talk.give({CDS: {"a": "3", "b": "1", "c": "1"}, LDS: {"a": "3", "b": "2"}})
    talk.answer(listeners)
    assert [] == talk.hear_all()
    talk.answer(clusters)
    said = talk.hear_all()
    assert [("a", "3")] == [c for s in said if s.type is LDS for c in s.contents if c[1] == "3"]


@both
def test_what_is_gone_and_there_again_was_never_gone(variant):
    talk = connected(variant, a="1", b="1")
    talk.give({CDS: {"b": "1"}, RDS: {"a": "2", "b": "1"}})
    (routes,) = talk.hear_all()
    talk.give({CDS: {"a": "1", "b": "1"}})
    talk.answer(routes, "a", "b")
    said = []
    while (one := talk.hear()) is not None:
        said.append(one)
        talk.answer(one, *(("a", "b") if one.type is EDS else ()))
    assert [] == removals(DELTA, said)
    assert "synced" == talk.stream.status(CDS, talk.now).state


@both
def test_everything_can_go(variant):
    talk = connected(variant, a="1")
    talk.give(everywhere())
    said = []
    while (one := talk.hear()) is not None:
        said.append(one)
        talk.answer(one, *(("a",) if one.type in (EDS, RDS) else ()))
    gone = [s.type for s in said if s.type in (CDS, LDS)]
    assert [LDS, CDS] == gone
    assert all(s.contents == () for s in said)
    assert talk.stream.has_everything()


@both
def test_endpoints_of_a_cluster_that_stays_are_emptied_not_removed(variant):
    """Envoy does not listen to the removal of endpoints."""
    talk = connected(variant, a="1")
    talk.give({EDS: {}})
    (said,) = talk.hear_all()
    assert (EDS, (("a", ""),), ()) == (said.type, said.contents, said.removed)


def test_endpoints_of_a_cluster_that_goes_are_removed_behind_it_in_delta():
    talk = connected(DELTA, a="1", b="1")
    talk.give({CDS: {"b": "1"}, EDS: {"b": "1"}})
    first = talk.hear()
    assert (CDS, ("a",)) == (first.type, first.removed)
    assert None is talk.hear()
    talk.answer(first)
    second = talk.hear()
    assert (EDS, ("a",)) == (second.type, second.removed)


def test_endpoints_that_the_client_no_longer_wants_are_not_removed():
    talk = connected(DELTA, a="1", b="1")
    talk.give({CDS: {"b": "1"}, EDS: {"b": "1"}})
    first = talk.hear()
    talk.answer(first)
    talk.say(delta(EDS, [], ["a"]))
    assert [] == talk.hear_all()
