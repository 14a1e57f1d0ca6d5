"""The accept rules: whatever the order and however often, what was said ends in one state."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from pilot_adapter_cloudfoundry.lrp import Gone, Seen, Tag
from pilot_adapter_cloudfoundry.versions import Versions


def seen(index: int, value: str, *, epoch: str = "e1", rank: int = 0, **more: object) -> Seen:
    return Seen("i0", Tag(epoch, index), value, rank, **more)  # type: ignore[arg-type]
    # mypy: what `more` may be is said where it is used.


def gone(index: int, epoch: str = "e1") -> Gone:
    return Gone("i0", Tag(epoch, index))


def after(*said: Seen | Gone) -> str | None:
    versions: Versions[str] = Versions()
    for event in said:
        versions.take(event)
    return versions.get("i0")


@st.composite
def histories(draw: st.DrawFn) -> list[Seen | Gone]:
    """A life as it really goes: changes, a cell that is emptied (a new epoch), one that is lost
    (the same tag), the end, and the name's return in another epoch."""
    events: list[Seen | Gone] = []
    for life in range(draw(st.integers(1, 3))):
        epoch, index = f"e{life}", 0
        for step in range(draw(st.integers(1, 4))):
            events.append(seen(index, f"{epoch}/{step}", epoch=epoch))
            index += 1
        last = Tag(epoch, index - 1)
        if draw(st.booleans()):
            suspect = seen(index - 1, f"{epoch}/lost", epoch=epoch, rank=1, replaces=last)
            events.append(suspect)
        if draw(st.booleans()):
            moved = f"{epoch}-moved"
            events.append(seen(0, moved, epoch=moved, replaces=last))
            last = Tag(moved, 0)
        if life or draw(st.booleans()):
            events.append(Gone("i0", last))
    return events


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_and_any_number_of_times_ends_in_the_same_state(
    history: list[Seen | Gone], chance: random.Random
) -> None:
    # A life ends before the next begins, so that one at most is left in the end.
    lives = {event.tag.epoch[:2] for event in history}
    ended = {e.tag.epoch[:2] for e in history if isinstance(e, Gone)}
    if len(lives - ended) > 1:
        history = [e for e in history if e.tag.epoch[:2] in ended | {max(lives)}]
    heard = history + chance.choices(history, k=len(history))
    chance.shuffle(heard)
    assert after(*history) == after(*heard)


def test_what_is_older_changes_nothing() -> None:
    assert "ready" == after(seen(3, "ready"), seen(2, "unready"))


def test_a_lost_cell_changes_no_tag_and_is_believed() -> None:
    lost = seen(2, "suspect", rank=1, replaces=Tag("e1", 2))
    back = seen(2, "running", replaces=Tag("e1", 2), replaced_rank=1)
    assert "suspect" == after(seen(2, "running"), lost)
    assert "suspect" == after(lost, seen(2, "running"))
    assert "running" == after(seen(2, "running"), lost, back)


def test_a_late_event_of_an_epoch_that_was_replaced_is_ignored() -> None:
    moved = seen(0, "evacuating", epoch="e2", replaces=Tag("e1", 5))
    assert "evacuating" == after(seen(5, "running"), moved, seen(6, "running"))
    assert "evacuating" == after(moved, seen(9, "running"))


def test_what_is_gone_stays_gone_in_its_epoch_and_may_come_back_in_another() -> None:
    assert None is after(seen(1, "a"), gone(1), seen(1, "a"))
    assert "b" == after(seen(1, "a"), gone(1), seen(0, "b", epoch="e2"))
    assert "b" == after(seen(0, "b", epoch="e2"), seen(1, "a"), gone(1))


def test_the_end_of_an_older_version_ends_nothing() -> None:
    assert "newer" == after(seen(3, "newer"), gone(2))
    assert "newer" == after(gone(2), seen(3, "newer"))


def test_a_list_holds_against_what_was_known_and_not_against_what_came_since() -> None:
    versions: Versions[str] = Versions()
    versions.take(seen(1, "claimed"))
    decided = versions.epochs()
    listed = versions.listed([seen(1, "claimed")], decided)
    listed.take(seen(2, "running"))
    assert "running" == listed.get("i0")

    emptied = versions.listed([], decided)
    emptied.take(seen(2, "running"))
    assert None is emptied.get("i0")
    emptied.take(seen(0, "again", epoch="e2"))
    assert "again" == emptied.get("i0")


def test_what_has_gone_is_forgotten_with_the_second_list() -> None:
    versions: Versions[str] = Versions()
    versions.take(seen(1, "a"))
    first = versions.listed([], versions.epochs())
    assert first.has_heard("i0")
    assert not first.listed([], first.epochs()).has_heard("i0")


def test_what_had_gone_before_a_list_is_not_revived_behind_it() -> None:
    versions: Versions[str] = Versions()
    versions.take(seen(1, "a"))
    versions.take(gone(1))
    listed = versions.listed([], versions.epochs())
    listed.take(seen(1, "a"))
    assert None is listed.get("i0")


def test_the_list_tells_which_of_two_epochs_is_the_one() -> None:
    versions: Versions[str] = Versions()
    versions.take(seen(5, "running"))
    listed = versions.listed([seen(0, "evacuating", epoch="e2")], versions.epochs())
    listed.take(seen(6, "late"))
    assert "evacuating" == listed.get("i0")
