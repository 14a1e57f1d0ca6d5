"""A rotation by itself: from the first root to the next, and what is said while it waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

import authorities
from authorities import DOMAIN, REVIEWS, Fleet
from pilot_certs import plugged_in, rotating
from pilot_certs.authority import Authority
from pilot_certs.durable import StateError
from pilot_certs.ledger import Held, Holder, Ledger
from pilot_certs.profile import Issuer
from pilot_certs.rotating import Rotating
from pilot_certs.rotation import Due
from pilot_certs.signers import State
from pilot_certs.validity import Window
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock

DAY = 86400.0


class Wheel:
    """A rotation with all its parts, on a clock that the test moves."""

    def __init__(self, folder: Path, *, plugged: Path | None = None) -> None:
        self.clock = FakeClock()
        self.fleet = Fleet()
        self.ledger = Ledger(self.clock)
        self.problems = Problems(self.clock)
        self.authority: Authority = authorities.unopened(folder, self.clock)
        first = plugged_in.read(plugged) if plugged else None
        self.authority.start(DOMAIN, who="test", plugged=first)
        self.folder = plugged
        self.rotating = Rotating(
            self.authority, self.fleet, self.ledger, self.problems, folder=plugged
        )

    def turn(self) -> Due | None:
        if self.folder is None:
            return self.rotating.turn()
        try:
            return self.rotating.turn(plugged_in.read(self.folder))
        except StateError as error:
            return self.rotating.turn(error)

    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems]

    def states(self) -> list[State]:
        return [signer.state for signer in self.authority.signers]


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return Wheel(tmp_path)


async def test_a_root_is_replaced_in_time_and_forgotten_when_nothing_of_its_is_left(
    wheel: Wheel,
) -> None:
    assert None is wheel.turn()
    await wheel.clock.advance(336 * DAY)
    assert Due.PREPARE is wheel.turn()
    assert None is wheel.turn()
    await wheel.clock.advance(23 * DAY)
    assert Due.ACTIVATE is wheel.turn()
    assert [State.OLD, State.ACTIVE] == wheel.states()
    await wheel.clock.advance(2 * DAY)
    assert Due.DROP is wheel.turn()

    assert [State.ACTIVE] == wheel.states()
    assert [] == wheel.codes()
    assert ["init", "prepare", "activate", "drop"] == [
        step.step for step in wheel.authority.journal.steps()
    ]


async def test_a_step_that_waits_is_shown_with_whom_it_waits_for(wheel: Wheel) -> None:
    await wheel.clock.advance(336 * DAY)
    wheel.turn()
    await wheel.clock.advance(23 * DAY)
    wheel.fleet.missing = ["vm-1"]

    assert None is wheel.turn()
    assert [rotating.WAITS] == wheel.codes()
    assert "vm-1 without the new root" == wheel.rotating.waits_for

    wheel.fleet.missing = []
    assert Due.ACTIVATE is wheel.turn()
    assert ([], "") == (wheel.codes(), wheel.rotating.waits_for)


async def test_an_authority_that_should_have_been_replaced_is_an_error(wheel: Wheel) -> None:
    await wheel.clock.advance(336 * DAY)
    wheel.turn()
    wheel.fleet.missing = ["vm-1"]
    await wheel.clock.advance(26 * DAY)
    wheel.turn()

    assert [rotating.EXPIRES, rotating.WAITS] == wheel.codes()


async def test_in_its_last_minutes_an_authority_waits_for_nobody(wheel: Wheel) -> None:
    await wheel.clock.advance(336 * DAY)
    wheel.turn()
    wheel.fleet.missing = ["vm-1"]
    await wheel.clock.advance(29 * DAY - 300)

    assert Due.ACTIVATE is wheel.turn()


async def test_a_certificate_that_nobody_renews_is_a_warning_until_it_is_renewed(
    wheel: Wheel,
) -> None:
    def note(begins: float) -> None:
        held = Held(
            holder=Holder(REVIEWS, "10.0.0.1"),
            attestor="test",
            serial="1",
            signer="aa",
            window=Window(begins, begins + 3600),
            roots=frozenset(),
        )
        wheel.ledger.note(held)

    note(wheel.clock.now())
    await wheel.clock.advance(3000)
    wheel.turn()
    [problem] = list(wheel.problems)
    assert (rotating.LATE, str(REVIEWS)) == (problem.code, problem.object)

    note(wheel.clock.now())
    wheel.turn()
    assert [] == wheel.codes()


class Kept(NamedTuple):
    """What an operator keeps of an authority: the keys, and the root."""

    above: Any
    own: Any
    root: x509.Certificate


def _write(folder: Path, life: float = 30 * DAY, *, kept: Kept | None = None) -> Kept:
    """An authority of the operator's own: an intermediate below a root that stays elsewhere."""
    folder.mkdir(exist_ok=True)
    if kept is None:
        above, own = authorities.key(), authorities.key()
        kept = Kept(above, own, authorities.root(above, life=3650 * DAY))
    above, own, root = kept
    between = authorities.intermediate(own, Issuer(root, above), life=life)
    (folder / "ca-cert.pem").write_text(authorities.pem(between))
    (folder / "root-cert.pem").write_text(authorities.pem(root))
    key = folder / "ca-key.pem"
    key.touch(0o600)
    key.write_bytes(authorities.private_pem(own))
    return kept


async def test_new_files_of_the_operator_s_start_a_rotation_which_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    files = tmp_path / "files"
    _write(files)
    wheel = Wheel(tmp_path, plugged=files)
    assert None is wheel.turn()
    _write(files)
    assert Due.PREPARE is wheel.turn()
    assert None is wheel.turn()
    await wheel.clock.advance(3601)
    assert Due.ACTIVATE is wheel.turn()

    assert [State.OLD, State.ACTIVE] == wheel.states()


async def test_a_new_certificate_for_the_same_key_is_used_at_once_and_rotates_nothing(
    tmp_path: Path,
) -> None:
    files = tmp_path / "files"
    kept = _write(files)
    wheel = Wheel(tmp_path, plugged=files)
    before = wheel.authority.signers[0].not_after
    _write(files, 60 * DAY, kept=kept)
    wheel.turn()

    assert [State.ACTIVE] == wheel.states()
    assert before + 30 * DAY == wheel.authority.signers[0].not_after
    wheel.authority.check()
    assert [] == wheel.codes()
    assert ["init", "renew"] == [step.step for step in wheel.authority.journal.steps()]


async def test_the_same_key_below_another_root_is_refused_with_what_to_do(tmp_path: Path) -> None:
    files = tmp_path / "files"
    kept = _write(files)
    wheel = Wheel(tmp_path, plugged=files)
    above = authorities.key()
    _write(files, kept=Kept(above, kept.own, authorities.root(above)))
    wheel.turn()

    [problem] = list(wheel.problems)
    assert rotating.FAILED == problem.code
    assert "make a new key" in problem.message
    wheel.authority.check()


async def test_an_operator_s_authority_is_never_replaced_by_one_of_our_own(tmp_path: Path) -> None:
    files = tmp_path / "files"
    _write(files)
    wheel = Wheel(tmp_path, plugged=files)
    await wheel.clock.advance(28 * DAY)

    assert None is wheel.turn()
    assert [State.ACTIVE] == wheel.states()
    [problem] = list(wheel.problems)
    assert rotating.EXPIRES == problem.code
    assert f"put a new authority into {files}" in problem.message


async def test_files_that_are_wrong_change_nothing_and_are_shown(tmp_path: Path) -> None:
    files = tmp_path / "files"
    _write(files)
    wheel = Wheel(tmp_path, plugged=files)
    (files / "ca-cert.pem").write_text("nothing\n")

    assert None is wheel.turn()
    assert [rotating.FAILED] == wheel.codes()
    wheel.authority.check()

    _write(files)
    wheel.turn()
    assert [] == wheel.codes()


async def test_a_journal_that_was_damaged_is_shown(tmp_path: Path) -> None:
    first = Wheel(tmp_path)
    first.authority.prepare(who="test", why="a second step")
    first.authority.journal.close()
    first.authority.journal.path.write_bytes(b"nothing")
    wheel = Wheel(tmp_path)
    wheel.turn()

    assert [rotating.DAMAGED] == wheel.codes()
