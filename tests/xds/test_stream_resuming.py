"""A client that comes back and says what it has gets what differs, and nothing else."""

from __future__ import annotations

from pilot_xds.types import Variant
from xds_messages import CDS, EDS, LDS, RDS, delta, sotw
from xds_talk import Talk

DELTA, SOTW = Variant.DELTA, Variant.SOTW
TWO = {"a": "1", "b": "1"}


def versions(talk, kind, names=TWO):
    found = {n: talk.snapshot.get(kind, n) for n in names}
    return {name: made.version for name, made in found.items() if made is not None}


def resume(talk, kind, have, *names):
    talk.say(delta(kind, names, initial_resource_versions=have))
    return talk.hear_all()


def test_everything_known_is_answered_with_silence():
    talk = Talk(DELTA, {CDS: TWO, EDS: TWO, LDS: TWO, RDS: TWO})
    for kind in (CDS, EDS, LDS, RDS):
        names = TWO if kind in (EDS, RDS) else ()
        assert [] == resume(talk, kind, versions(talk, kind), *names)
    assert talk.stream.has_everything()
    assert "synced" == talk.stream.status(CDS, 0).state


def test_only_what_differs_is_sent():
    talk = Talk(DELTA, {CDS: TWO})
    have = versions(talk, CDS)
    talk.give({CDS: {"a": "1", "b": "2", "c": "1"}})
    (said,) = resume(talk, CDS, have)
    assert (("b", "c"), ()) == (said.names, said.removed)


def test_what_is_gone_meanwhile_is_removed():
    talk = Talk(DELTA, {CDS: TWO})
    have = versions(talk, CDS)
    talk.give({CDS: {"a": "1"}})
    (said,) = resume(talk, CDS, have)
    assert ((), ("b",)) == (said.names, said.removed)


def test_versions_are_equal_on_every_server():
    have = versions(Talk(DELTA, {CDS: TWO}), CDS)
    assert [] == resume(Talk(DELTA, {CDS: dict(reversed(TWO.items()))}), CDS, have)


def test_versions_said_before_there_is_content_are_looked_at_when_there_is():
    talk = Talk(DELTA)
    have = versions(Talk(DELTA, {CDS: TWO}), CDS)
    assert [] == resume(talk, CDS, have)
    talk.give({CDS: {"a": "2", "b": "1"}})
    assert [("a",)] == [said.names for said in talk.hear_all()]


def test_endpoints_that_are_named_and_known_are_not_sent():
    talk = Talk(DELTA, {CDS: TWO, EDS: TWO})
    have = versions(talk, EDS)
    assert [] == resume(talk, CDS, versions(talk, CDS))
    talk.give({EDS: {"a": "2", "b": "1"}})
    (said,) = resume(talk, EDS, have, "a", "b")
    assert ("a",) == said.names


def test_known_endpoints_are_sent_if_their_cluster_is():
    """Else the cluster would wait for them for 15 s, and answer 503 meanwhile."""
    talk = Talk(DELTA, {CDS: TWO, EDS: TWO})
    have = {kind: versions(talk, kind) for kind in (CDS, EDS)}
    talk.give({CDS: {"a": "1", "b": "2"}})
    assert [CDS] == [said.type for said in resume(talk, CDS, have[CDS])]
    (said,) = resume(talk, EDS, have[EDS], "a", "b")
    assert (EDS, ("b",)) == (said.type, said.names)


def test_known_endpoints_are_sent_if_their_clusters_are_asked_for_after_them():
    talk = Talk(DELTA, {CDS: TWO, EDS: TWO})
    have = {kind: versions(talk, kind) for kind in (CDS, EDS)}
    talk.give({CDS: {"a": "1", "b": "2"}})
    assert [] == resume(talk, EDS, have[EDS], "a", "b")
    clusters, endpoints = resume(talk, CDS, have[CDS])
    assert (("b",), ("b",)) == (clusters.names, endpoints.names)


def test_known_endpoints_are_sent_to_a_client_that_knows_no_clusters():
    talk = Talk(DELTA, {CDS: TWO, EDS: TWO})
    talk.ask(CDS)
    (said,) = resume(talk, EDS, versions(talk, EDS), "a", "b")
    assert ("a", "b") == said.names


def test_endpoints_that_are_gone_meanwhile_are_emptied():
    talk = Talk(DELTA, {CDS: TWO, EDS: TWO})
    have = versions(talk, EDS)
    talk.give({EDS: {"a": "1"}})
    resume(talk, CDS, versions(talk, CDS))
    (said,) = resume(talk, EDS, have, "a", "b")
    assert (("b", ""),) == said.contents


def test_empty_endpoints_that_are_known_are_not_sent_again():
    talk = Talk(DELTA, {CDS: TWO, EDS: {}})
    first = Talk(DELTA, {EDS: {}}).ask(EDS, "a")[0]
    resume(talk, CDS, versions(talk, CDS))
    assert [] == resume(talk, EDS, dict(first.versions), "a")


def test_wrong_versions_do_no_harm():
    talk = Talk(DELTA, {CDS: TWO})
    (said,) = resume(talk, CDS, {"a": "", "b": "nonsense", "phantom": "1"})
    assert ("a", "b") == said.names
    talk.answer(said)
    assert [("phantom",)] == [said.removed for said in talk.hear_all()]


def test_state_of_the_world_says_one_version_for_all():
    talk = Talk(SOTW, {CDS: TWO})
    version = Talk(SOTW, {CDS: TWO}).ask(CDS)[0].version
    talk.say(sotw(CDS, version_info=version))
    assert [] == talk.hear_all()
    assert "synced" == talk.stream.status(CDS, 0).state
    talk.give({CDS: {"a": "2", "b": "1"}})
    assert [("a", "b")] == [said.names for said in talk.hear_all()]


def test_state_of_the_world_gets_all_if_the_version_is_another_one():
    talk = Talk(SOTW, {CDS: TWO})
    talk.say(sotw(CDS, version_info="another"))
    assert [("a", "b")] == [said.names for said in talk.hear_all()]


def test_a_version_that_lacks_what_was_refused_does_not_pass_for_the_whole():
    talk = Talk(SOTW, {CDS: {"a": "bad", "b": "1"}})
    talk.answer(talk.ask(CDS)[0], error="a is bad")
    talk.give({CDS: {"a": "bad", "b": "2"}})
    without = talk.hear()
    again = Talk(SOTW, {CDS: {"a": "bad", "b": "2"}})
    again.say(sotw(CDS, version_info=without.version))
    assert [("a", "b")] == [said.names for said in again.hear_all()]


def test_named_resources_of_state_of_the_world_are_always_sent():
    talk = Talk(SOTW, {EDS: TWO, RDS: TWO})
    for kind in (EDS, RDS):
        version = talk.snapshot.version(kind)
        talk.say(sotw(kind, ["a"], version_info=version))
        assert [("a",)] == [said.names for said in talk.hear_all()]
