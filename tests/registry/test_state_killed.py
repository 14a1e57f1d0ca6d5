"""The writer of the state file is killed at random moments: a real process, a real SIGKILL."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

import first_sync
import state_writer
from pilot_core.registry import state_file
from state_writer import state

_KILLS = 25


def written(path, first: int, rounds: int, chance: random.Random) -> int:
    """Let a process write some rounds, kill it in the middle of one; the last it told of."""
    command = [sys.executable, state_writer.__file__, str(path), str(first)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    last = first
    for _ in range(rounds):
        last = int(child.stdout.readline())
    # Some moment of the next round, found by spinning: a write takes about this long.
    for _ in range(chance.randrange(200_000)):
        pass
    child.kill()
    last = int((child.stdout.read().split() or [last])[-1])
    child.stdout.close()
    child.wait()
    return last


def test_whenever_the_writer_is_killed_the_file_holds_a_state_that_had_been_put(tmp_path):
    path = tmp_path / "state"
    chance = random.Random(os.getpid())
    first = 1
    for _ in range(_KILLS):
        last = written(path, first, chance.randrange(1, 5), chance)
        read = state_file.read(path)
        # What was told is there; the round after it may have been finished before it was told.
        assert read in [(state(last), {}), (state(last + 1), {})]
        first = last + 2


def killed_after(path, word: str) -> None:
    """Let a registry be read for the first time, and kill the process when it has said this."""
    child = subprocess.Popen(
        [sys.executable, first_sync.__file__, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    while child.stdout.readline().strip() != word:
        assert child.poll() is None
    child.kill()
    child.stdout.close()
    child.wait()


@pytest.mark.parametrize("put", [1, first_sync.SOURCES // 2, first_sync.SOURCES - 1])
def test_a_first_view_that_was_killed_on_its_way_is_no_last_known_good(tmp_path, put):
    path = tmp_path / "state"
    killed_after(path, str(put))
    assert not path.exists() or {} == state_file.read(path).sources
    killed_after(path, "kept")
    whole = state_file.read(path).sources
    assert first_sync.SOURCES == len(whole)
    # The next run reads everything again: what it had before stays good, wherever it is killed.
    killed_after(path, str(put))
    assert whole == state_file.read(path).sources
