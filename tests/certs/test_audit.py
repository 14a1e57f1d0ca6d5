"""The audit log: every decision once, and no way to change one without being seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilot_certs import audit
from pilot_certs.audit import AuditLog, Decision
from pilot_certs.durable import StateError
from pilot_core.testing import FakeClock


def _log(path: Path, *events: str) -> str:
    log = AuditLog(path, FakeClock())
    for event in events:
        log.write(Decision(event=event))
    log.close()
    return log.head


def test_records_hang_together_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _log(path, "issued", "denied")
    head = _log(path, "issued")

    assert 3 == audit.verify(path, head)
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert ["issued", "denied", "issued"] == events
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_changed_record_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    head = _log(path, "issued", "denied", "issued")
    whole = path.read_text()

    path.write_text(whole.replace("denied", "issued"))
    with pytest.raises(StateError, match=r"audit\.jsonl:3: something before"):
        audit.verify(path)

    lines = whole.splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(StateError, match=":2: something before"):
        audit.verify(path)

    path.write_text("".join(lines[:2]))
    with pytest.raises(StateError, match="were removed"):
        audit.verify(path, head)


def test_what_a_peer_says_cannot_make_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path, FakeClock())
    log.write(Decision(event="denied", requested='x\n{"event": "issued"}\r\n'))

    assert 1 == audit.verify(path, log.head)
    assert 1 == len(path.read_text().splitlines())


def test_what_a_crash_left_of_a_record_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _log(path, "issued")
    with path.open("ab") as file:
        file.write(b'{"at": 17, "prev')

    head = _log(path, "denied")

    assert 2 == audit.verify(path, head)


def test_junk_in_the_log_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _log(path, "issued")
    with path.open("ab") as file:
        file.write(b"junk\n")

    with pytest.raises(StateError, match=":2: not a record"):
        audit.verify(path)


def test_a_place_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be written"):
        AuditLog(tmp_path / "missing" / "audit.jsonl", FakeClock())
