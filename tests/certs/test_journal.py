"""The journal: what is written survives, and damage is never taken for a new beginning."""

from __future__ import annotations

import random
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

import authorities
from pilot_certs.durable import StateError
from pilot_certs.journal import Content, Journal, Step
from pilot_certs.refusal import NotReady
from pilot_core.testing import FakeClock

STEP = Step(1.0, "init", "a", "somebody", "a reason")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an authority that has made two steps."""
    authority = authorities.started(tmp_path, FakeClock())
    authority.prepare(who="test", why="a test")
    authority.journal.close()
    return tmp_path / "ca"


def _content(folder: Path) -> Content:
    journal = Journal(folder)
    content = journal.open()
    journal.close()
    return content


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ca")
    content = Content(trust_domain="mesh", sequence=4)
    journal.create(content, STEP)
    journal.close()

    again = Journal(tmp_path / "ca")

    assert content == again.open()
    assert (STEP,) == again.steps()
    assert "" == again.damage


def test_nobody_else_can_read_it(folder: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("ca.sqlite*")}

    assert {"ca.sqlite": 0o600, "ca.sqlite.prev": 0o600} == modes


def test_a_journal_that_others_can_read_is_refused_and_stays_where_it_is(folder: Path) -> None:
    (folder / "ca.sqlite").chmod(0o644)

    with pytest.raises(StateError, match="chmod 600"):
        Journal(folder).open()

    assert (folder / "ca.sqlite").exists()


def test_a_journal_that_is_cut_off_anywhere_gives_way_to_its_copy(folder: Path) -> None:
    path, expected = folder / "ca.sqlite", _content(folder)
    whole = path.read_bytes()

    for length in (0, 1, 15, 16, 99, 100, *range(512, len(whole), 512), len(whole) - 1):
        path.write_bytes(whole[:length])
        assert expected == _content(folder), length


def test_flipped_bits_change_nothing_or_are_noticed(folder: Path) -> None:
    path, expected = folder / "ca.sqlite", _content(folder)
    whole, chosen = path.read_bytes(), random.Random(7)

    for _ in range(200):
        at = chosen.randrange(len(whole))
        flipped = whole[at] ^ 1 << chosen.randrange(8)
        path.write_bytes(whole[:at] + bytes([flipped]) + whole[at + 1 :])
        assert expected == _content(folder), at


@pytest.mark.parametrize("junk", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 4096])
def test_two_damaged_files_are_an_error_that_stays_one(folder: Path, junk: bytes) -> None:
    for path in folder.glob("ca.sqlite*"):
        path.write_bytes(junk)

    for _ in range(2):
        with pytest.raises(StateError, match="no new authority is made"):
            authorities.started(folder.parent, FakeClock())


def test_a_lost_journal_is_taken_from_its_copy(folder: Path) -> None:
    expected = _content(folder)
    (folder / "ca.sqlite").unlink()

    journal = Journal(folder)

    assert expected == journal.open()
    assert "No such file" in journal.damage


def test_an_empty_database_is_damage_and_not_a_beginning(folder: Path) -> None:
    expected = _content(folder)
    (folder / "ca.sqlite").unlink()
    sqlite3.connect(folder / "ca.sqlite").close()
    (folder / "ca.sqlite").touch(0o600)
    (folder / "ca.sqlite").chmod(0o600)

    assert expected == _content(folder)


def test_a_format_of_the_future_is_not_guessed_at(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ca")
    content = msgspec.structs.replace(Content(trust_domain="mesh"), format=2)

    with pytest.raises(StateError, match="format 2"):
        journal.create(content)

    assert not list((tmp_path / "ca").glob("ca.sqlite.prev"))


@contextmanager
def _no_room() -> Iterator[None]:
    """No file can grow: what a full disk does, for this process alone."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_stops_a_rotation_and_nothing_else(tmp_path: Path) -> None:
    clock = FakeClock()
    authority = authorities.started(tmp_path, clock)
    key = authorities.key().public_key()
    authority.sign(key, authorities.REVIEWS)
    before = authority.signers

    with _no_room():
        with pytest.raises(StateError, match="cannot be written"):
            authority.prepare(who="test", why="a test")
        assert before == authority.signers
        authority.sign(key, authorities.REVIEWS)

    assert before == authorities.started(tmp_path, clock).signers
    authority.prepare(who="test", why="there is room again")
    assert 2 == len(authorities.started(tmp_path, clock).signers)


def test_a_leaf_is_not_signed_that_the_journal_cannot_account_for(tmp_path: Path) -> None:
    authority = authorities.started(tmp_path, FakeClock())

    with _no_room(), pytest.raises(NotReady):
        authority.sign(authorities.key().public_key(), authorities.REVIEWS)


def test_a_token_is_taken_once_and_forgotten_when_it_expires(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ca")
    journal.create(Content(trust_domain="mesh"))
    journal.add_token(b"1", "/node/a", "", 100.0)
    journal.add_token(b"2", "/node/b", "host", 50.0)

    assert ("/node/a", "", 100.0) == journal.take_token(b"1", 60.0)
    assert None is journal.take_token(b"1", 60.0)
    assert None is journal.take_token(b"2", 60.0)
