"""One catalogue file: what it says, what it said before, and whether somebody still writes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catalogues import catalogue
from pilot_core.builtin import reading
from pilot_core.builtin.reading import NotYet, Reading
from pilot_core.builtin.settled import is_settled


def known(path: Path, before: Reading | None = None) -> Reading:
    """The file, once nobody writes it any more."""
    now = reading.read(str(path), before)
    assert isinstance(now, Reading)
    return now


def hostnames(now: Reading) -> list[str]:
    return list(now.said.services) if now.said else []


def test_a_file_says_its_services(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(catalogue("a.mesh"))

    now = known(path)

    assert (["a.mesh"], ()) == (hostnames(now), now.findings)


def test_bytes_that_were_read_before_are_not_parsed_again(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(catalogue("a.mesh"))
    before = known(path)
    path.write_text(catalogue("a.mesh"))

    assert before.said is known(path, before).said


def test_a_broken_file_keeps_what_it_said_and_says_why(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(catalogue("a.mesh"))
    before = known(path)
    path.write_text("services: [")

    broken = known(path, before)

    assert before.said is broken.said
    assert "not YAML" in broken.findings[0].message
    assert broken.failure == known(path, broken).failure
    path.write_text(catalogue("a.mesh"))
    assert () == known(path, broken).findings


def test_a_file_that_vanished_keeps_what_it_said(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(catalogue("a.mesh"))
    before = known(path)
    path.unlink()

    now = known(path, before)

    assert before.said is now.said
    assert [f"{path}: cannot be read: No such file or directory"] == [str(f) for f in now.findings]


def test_a_folder_in_its_place_is_said(tmp_path):
    assert "cannot be read: Is a directory" in str(*known(tmp_path).findings)


def test_a_file_that_may_not_be_read_is_said(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(catalogue("a.mesh"))
    path.chmod(0)
    # The superuser reads everything: somebody else has to look.
    is_superuser = os.access(path, os.R_OK)

    said = _as_nobody(path) if is_superuser else str(*reading.findings(str(path)))

    assert "cannot be read: Permission denied" in said


def test_a_file_that_somebody_has_open_for_writing_is_not_read_yet(tmp_path):
    path = tmp_path / "a.yaml"
    with path.open("w") as writing:
        writing.write(catalogue("a.mesh"))
        writing.flush()
        assert isinstance(reading.read(str(path), None), NotYet)
    assert ["a.mesh"] == hostnames(known(path))


def test_a_file_that_was_left_open_long_ago_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    with path.open("w") as writing:
        writing.write(catalogue("a.mesh"))
        writing.flush()
        os.utime(path, (1.0, 1.0))
        assert ["a.mesh"] == hostnames(known(path))


@pytest.mark.parametrize(("ahead", "settled"), [(0.5, False), (3.0, True), (-3600.0, True)])
def test_an_open_file_settles_with_time_and_clocks_that_differ_hold_up_nothing(
    tmp_path, ahead, settled
):
    path = tmp_path / "a.yaml"
    with path.open("w"), path.open("rb") as file:
        now = os.fstat(file.fileno()).st_mtime + ahead
        assert settled == is_settled(file.fileno(), now=now, size_before=None)


def test_a_fresh_stamp_is_not_relied_on(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(catalogue("a.mesh"))

    # It could be written again within the grain of the file system's clock.
    assert known(path).stamp is None


def test_the_check_reads_a_file_that_is_being_written(tmp_path):
    path = tmp_path / "a.yaml"
    with path.open("w") as writing:
        writing.write("services: [")
        writing.flush()
        assert "not YAML" in str(*reading.findings(str(path)))


def _as_nobody(path: Path) -> str:
    """What the check says to a user without rights."""
    program = (
        "import os, sys\n"
        "from pilot_core.builtin import reading\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(*reading.findings(sys.argv[1]))\n"
    )
    # The folders above are open to their owner only.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        name = f"/proc/self/fd/{descriptor}"
        command = [sys.executable, "-c", program, name]
        said = subprocess.run(
            command, pass_fds=[descriptor], capture_output=True, text=True, check=True, timeout=60
        )
    finally:
        os.close(descriptor)
    return said.stdout
