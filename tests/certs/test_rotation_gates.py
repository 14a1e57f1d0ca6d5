"""Rotation as values: which step follows which, when its time comes, and what it waits for."""

from __future__ import annotations

import pytest

import authorities
from pilot_certs import rotation, signers
from pilot_certs.rotation import Due, NotYet, Thresholds
from pilot_certs.signers import Signer, State, WrongStep

DAY = 86400.0
T = Thresholds()


def _signer(name: str, state: State, **fields: object) -> Signer:
    return Signer(
        id=name * 8,
        state=state,
        chain=(),
        roots=(f"root of {name}",),
        not_before=0.0,
        not_after=365 * DAY,
    ).replace(**fields)


ACTIVE = _signer("a", State.ACTIVE)
NEXT = _signer("b", State.PREPARED)
OLD = _signer("c", State.OLD, leaves_until=10 * DAY)


def test_a_prepared_signer_is_trusted_before_it_signs() -> None:
    both = signers.prepare((ACTIVE,), NEXT, now=5.0)

    assert ("root of a", "root of b") == signers.bundle(both)
    assert "a" * 8 == (signers.active(both) or NEXT).id
    assert 5.0 == both[1].prepared_at


def test_there_is_one_prepared_signer_at_most() -> None:
    with pytest.raises(WrongStep, match="activate it, or drop it"):
        signers.prepare((ACTIVE, NEXT), _signer("d", State.PREPARED), now=0.0)


def test_a_signer_is_prepared_once() -> None:
    with pytest.raises(WrongStep, match="known already"):
        signers.prepare((ACTIVE,), ACTIVE, now=0.0)


def test_activating_makes_the_active_one_old_and_keeps_its_root() -> None:
    after = signers.activate((ACTIVE, NEXT), now=7.0)

    assert [State.OLD, State.ACTIVE] == [s.state for s in after]
    assert (7.0, 7.0) == (after[0].retired_at, after[1].activated_at)
    assert 2 == len(signers.bundle(after))


def test_nothing_is_activated_that_was_not_prepared() -> None:
    with pytest.raises(WrongStep, match="prepare one first"):
        signers.activate((ACTIVE, OLD), now=0.0)


def test_the_active_signer_is_neither_dropped_nor_tainted() -> None:
    for step in (signers.drop, signers.taint):
        with pytest.raises(WrongStep, match="activate another one first"):
            step((ACTIVE, NEXT), ACTIVE)


def test_a_signer_is_found_by_the_beginning_of_its_id_if_it_is_the_only_one() -> None:
    assert ACTIVE == signers.find((ACTIVE, OLD), "aa")
    for prefix in ("", "x"):
        with pytest.raises(WrongStep, match="there are"):
            signers.find((ACTIVE, OLD), prefix)


@pytest.mark.parametrize(
    ("left", "known", "step"),
    [
        (200 * DAY, (ACTIVE,), None),
        (31 * DAY, (ACTIVE,), None),
        (30 * DAY, (ACTIVE,), Due.PREPARE),
        (30 * DAY, (ACTIVE, NEXT), None),
        (8 * DAY, (ACTIVE, NEXT), None),
        (7 * DAY, (ACTIVE, NEXT), Due.ACTIVATE),
        (1 * DAY, (ACTIVE,), Due.PREPARE),
        (-1 * DAY, (ACTIVE, NEXT), Due.ACTIVATE),
        (200 * DAY, (ACTIVE, OLD), Due.DROP),
    ],
)
def test_a_step_comes_when_little_of_the_life_is_left(
    left: float, known: tuple[Signer, ...], step: Due | None
) -> None:
    found = rotation.due(known, 365 * DAY - left, T)

    assert step == (found[0] if found else None)


def test_a_short_life_is_shared_out_in_proportion() -> None:
    short = ACTIVE.replace(not_after=6 * 3600.0)

    assert None is rotation.due((short,), 2.9 * 3600, T)
    assert (Due.PREPARE, short) == rotation.due((short,), 3 * 3600, T)
    assert None is rotation.due((short, NEXT), 4.9 * 3600, T)
    assert (Due.ACTIVATE, NEXT) == rotation.due((short, NEXT), 5 * 3600, T)


def test_an_old_signer_stays_while_its_certificates_are_valid() -> None:
    assert None is rotation.due((ACTIVE, OLD), 10 * DAY, T)

    with pytest.raises(NotYet, match="valid for another 10 s"):
        rotation.check_drop(OLD, authorities.Fleet(), 10 * DAY - 10)


def test_an_old_signer_stays_while_somebody_shows_its_certificate() -> None:
    fleet = authorities.Fleet()
    fleet.users = ["node-1", "node-2", "node-3", "node-4"]

    with pytest.raises(NotYet, match="node-1, node-2, node-3 and 1 more"):
        rotation.check_drop(OLD, fleet, 11 * DAY)

    fleet.users = []
    assert None is rotation.check_drop(OLD, fleet, 11 * DAY)


def test_a_new_root_is_not_used_while_somebody_connected_lacks_it() -> None:
    fleet = authorities.Fleet()
    fleet.missing = ["node-7"]

    with pytest.raises(NotYet, match="node-7 without the new root"):
        rotation.check_activation((ACTIVE, NEXT), fleet, T.settle, T)

    fleet.missing = []
    assert None is rotation.check_activation((ACTIVE, NEXT), fleet, T.settle, T)


def test_a_new_root_is_not_used_before_those_who_are_away_had_time_to_fetch_it() -> None:
    with pytest.raises(NotYet, match="60 s to wait"):
        rotation.check_activation((ACTIVE, NEXT), authorities.Fleet(), T.settle - 60, T)
