"""The conformance suite itself: a sound adapter passes it, and every check catches its breach."""

from __future__ import annotations

import inspect

import pytest

import breaches
import memory
from memory import MemoryPlatform, Sound
from pilot_core.adapter import Adapter
from pilot_core.testing import AdapterConformance, Platform

_IN_A_HURRY = {"patience": 0.6, "grace": 0.4}
"""What never comes is not waited for as long as a real platform deserves."""

CAUGHT = [
    (memory.OfNoContract, "it_is_written_for_this_contract", r"write the contract down"),
    (memory.TakesAnySetting, "unknown_settings_are_refused", r"forbid_unknown_fields"),
    (memory.OpensAFileAtOnce, "making_one_does_nothing_yet", r"no I/O in __init__.*open"),
    (memory.StartsATaskAtOnce, "making_one_does_nothing_yet", r"started a task"),
    (memory.StartsAThreadAtOnce, "making_one_does_nothing_yet", r"no I/O in __init__.*thread"),
    (breaches.AsksThePlatformInCheck, "the_check_talks_to_no_platform", r"local files only"),
    (breaches.SyncsOnlyWithServices, "an_empty_registry_is_synced_too", r"does not say synced"),
    (
        breaches.SyncsTooEarly,
        "the_first_view_is_complete_when_it_says_synced",
        r"synced\(\) with {}",
    ),
    (breaches.SyncsHalfway, "the_first_view_is_complete_when_it_says_synced", r"synced\(\) with"),
    (breaches.Merges, "a_change_replaces_what_was_there", r"has to replace"),
    (breaches.NeverLooksAgain, "a_new_service_is_followed", r"not followed"),
    (breaches.ForgetsToDrop, "a_service_that_is_removed_goes", r"has to go"),
    (breaches.DistrustsEmptiness, "the_last_service_goes_too", r"empty registry"),
    (breaches.NeverSaysTheSame, "an_equal_registry_changes_nothing", r"the records differ"),
    (breaches.EndsWithABadObject, "an_unusable_object_is_told_and_the_rest_stands", r"ValueError"),
    (
        breaches.SkipsABadObjectInSilence,
        "an_unusable_object_is_told_and_the_rest_stands",
        r"nobody was told",
    ),
    (
        breaches.DropsABadObject,
        "an_unusable_object_is_told_and_the_rest_stands",
        r"stale beats partial",
    ),
    (
        breaches.EndsWithABadObject,
        "an_unusable_object_does_not_hold_up_the_first_view",
        r"ValueError",
    ),
    (
        breaches.SkipsABadObjectInSilence,
        "an_unusable_object_does_not_hold_up_the_first_view",
        r"nobody was told",
    ),
    (
        breaches.SweepsALostPart,
        "a_part_that_is_lost_keeps_what_was_put_of_it",
        r"has not gone: sink.keep",
    ),
    (
        breaches.NeverFindsAPart,
        "a_part_that_is_lost_keeps_what_was_put_of_it",
        r"nobody was told: sink.keep",
    ),
    (breaches.Returns, "a_platform_that_goes_away_ends_the_session", r"run\(\) returned"),
    (
        breaches.CallsAnOutageABug,
        "a_platform_that_goes_away_ends_the_session",
        r"a bug in the adapter",
    ),
    (
        breaches.ReconnectsByItself,
        "a_platform_that_goes_away_ends_the_session",
        r"no reconnect loop",
    ),
    (
        breaches.TakesAllAwayInAnOutage,
        "a_platform_that_goes_away_ends_the_session",
        r"an outage takes nothing away",
    ),
    (
        breaches.SyncsWithoutLooking,
        "a_platform_that_is_not_there_ends_the_session",
        r"without having seen",
    ),
    (breaches.PutsGhosts, "the_next_session_leaves_no_ghosts", r"after the next synced"),
    (
        breaches.NeverSaysTheSame,
        "the_next_session_changes_nothing_where_nothing_changed",
        r"read again",
    ),
    (breaches.SwallowsCancellation, "it_stops_when_it_is_told_to", r"goes on"),
    (breaches.ReturnsWhenCancelled, "it_stops_when_it_is_told_to", r"ended otherwise"),
    (breaches.HangsWhileItConnects, "it_stops_on_the_way_to_its_first_view_too", r"goes on"),
    (breaches.LeavesATask, "it_leaves_nothing_behind", r"tasks forgotten"),
    (breaches.LeavesAThread, "it_leaves_nothing_behind", r"threads forgotten"),
    (breaches.LeavesASocket, "it_leaves_nothing_behind", r"descriptors socket"),
    (breaches.SharesItsState, "two_of_its_kind_live_side_by_side", r"it is not there"),
]


class TestSound(AdapterConformance):
    adapter = Sound

    @pytest.fixture
    def platform(self) -> Platform:
        return MemoryPlatform()


@pytest.mark.parametrize(("adapter", "check", "words"), CAUGHT)
def test_an_adapter_that_breaks_a_rule_is_caught(
    adapter: type[Adapter], check: str, words: str
) -> None:
    with pytest.raises(AssertionError, match=words):
        _check(adapter, check, MemoryPlatform(adapter.Config))


def test_settings_that_equal_nothing_are_caught() -> None:
    class Incomparable(Sound):
        Config = memory.IncomparableConfig  # type: ignore[assignment]  # it has the same field

    with pytest.raises(AssertionError, match="equal settings differ"):
        _check(
            Incomparable,
            "the_settings_are_frozen_and_comparable",
            MemoryPlatform(memory.IncomparableConfig),
        )


def test_every_check_has_a_breach_that_it_catches() -> None:
    checks = {n for n in vars(AdapterConformance) if n.startswith("test_")}
    caught = {f"test_{check}" for _, check, _ in CAUGHT}

    assert {"test_the_settings_are_frozen_and_comparable"} == checks - caught


@pytest.mark.parametrize("ability", ["can_disconnect", "can_spoil", "can_lose_part"])
def test_what_a_platform_cannot_do_is_skipped_by_name(ability: str) -> None:
    class Unable(MemoryPlatform):
        pass

    setattr(Unable, ability, False)
    check = {
        "can_disconnect": "a_platform_that_goes_away_ends_the_session",
        "can_spoil": "an_unusable_object_is_told_and_the_rest_stands",
        "can_lose_part": "a_part_that_is_lost_keeps_what_was_put_of_it",
    }[ability]

    with pytest.raises(pytest.skip.Exception):
        _check(Sound, check, Unable())


def test_a_failure_says_what_it_waited_for_and_what_it_saw() -> None:
    with pytest.raises(AssertionError) as caught:
        _check(breaches.ForgetsToDrop, "a_service_that_is_removed_goes", MemoryPlatform())

    assert "what is removed has to go: expected {'api': ['10.1.0.3']}" in str(caught.value)
    assert "'web.memory': ['10.1.0.1', '10.1.0.2']" in str(caught.value)


def _check(adapter: type[Adapter], check: str, platform: Platform) -> None:
    suite = type("Suite", (AdapterConformance,), {"adapter": adapter, **_IN_A_HURRY})()
    method = getattr(suite, f"test_{check}")
    breaches.SharesItsState.is_closed.clear()
    if inspect.signature(method).parameters:
        method(platform)
    else:
        method()
