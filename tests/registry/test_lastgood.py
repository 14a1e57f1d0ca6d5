from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3

import pytest

from mesh import until
from pilot_core.clock import SystemClock
from pilot_core.registry import state_file
from pilot_core.registry.lastgood import CORRUPT, UNWRITABLE, LastGood
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock
from pilot_core.testing.clock import settle
from worlds import service

A, B = (service("a.mesh"),), (service("b.mesh"),)
BOTH = [("dc1", "a", A), ("dc1", "b", B)]
ON_DISK = {("dc1", "a"): A, ("dc1", "b"): B}


class Kept:
    """A state file that is written behind, and what it is told to hold."""

    def __init__(self, path, clock=None):
        self.path, self.clock = path, clock or SystemClock()
        self.problems = Problems(self.clock)
        self.file = LastGood(path, problems=self.problems, clock=self.clock)
        self.file.complete("dc1")
        self.everything = list(BOTH)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.file.run(lambda: self.everything))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.file.close()

    @property
    def codes(self):
        return [problem.code for problem in self.problems]

    def on_disk(self):
        try:
            return state_file.read(self.path).sources
        except (sqlite3.Error, OSError) as error:
            return error

    async def holds(self, sources, what):
        async def is_so():
            return self.on_disk() == sources

        await until(is_so, what)

    async def told(self, *codes):
        async def is_so():
            return self.codes == list(codes)

        await until(is_so, f"the problems {codes}")


async def test_what_was_kept_is_loaded_by_the_next_run(tmp_path):
    first = Kept(tmp_path / "state")
    assert [] == first.file.load({"dc1"})
    first.file.keep(BOTH)
    await first.file.close()
    second = Kept(tmp_path / "state")
    assert BOTH == second.file.load({"dc1"})
    assert [] == first.codes + second.codes


async def test_registries_that_are_not_configured_any_more_are_forgotten(tmp_path):
    state_file.replace(tmp_path / "state", {**ON_DISK, ("dc2", "c"): B})
    kept = Kept(tmp_path / "state")
    assert BOTH == kept.file.load({"dc1"})
    await kept.file.close()
    assert ON_DISK == kept.on_disk()


async def test_half_a_registry_is_not_written_and_the_whole_is_written_as_one(tmp_path):
    kept = Kept(tmp_path / "state")
    kept.file.keep([*BOTH, ("dc2", "c", A)])
    await kept.file.flush()
    kept.file.keep([("dc2", "d", B), ("dc2", "c", B)])
    await kept.file.flush()
    assert ON_DISK == kept.on_disk()
    kept.file.complete("dc2")
    await kept.file.close()
    assert {**ON_DISK, ("dc2", "c"): B, ("dc2", "d"): B} == kept.on_disk()


async def test_what_was_complete_in_the_last_run_is_followed_before_it_has_been_read_again(
    tmp_path,
):
    state_file.replace(tmp_path / "state", {("dc2", "c"): A})
    kept = Kept(tmp_path / "state")
    kept.file.load({"dc1", "dc2"})
    kept.file.keep([("dc2", "c", B)])
    await kept.file.close()
    assert {("dc2", "c"): B} == kept.on_disk()


async def test_half_a_registry_is_not_in_a_file_that_is_made_anew_either(tmp_path):
    kept = Kept(tmp_path / "state")
    kept.everything = [*BOTH, ("dc2", "c", A)]
    async with kept.running():
        await kept.holds(ON_DISK, "the state without dc2")
        kept.file.complete("dc2")
        await kept.holds({**ON_DISK, ("dc2", "c"): A}, "the state with dc2")


async def test_a_registry_that_was_taken_away_begins_anew(tmp_path):
    kept = Kept(tmp_path / "state")
    kept.file.keep(BOTH)
    kept.file.keep([("dc1", name, ()) for name in "ab"])
    kept.file.forget("dc1")
    kept.file.keep([("dc1", "c", A)])
    await kept.file.close()
    assert {} == kept.on_disk()


async def test_it_is_written_within_a_second_and_not_at_every_put(tmp_path):
    clock = FakeClock()
    kept = Kept(tmp_path / "state", clock)
    async with kept.running():
        kept.file.keep(BOTH)
        await clock.until_sleepers()
        assert [] == list(tmp_path.iterdir())
        await clock.advance(0.99)
        await kept.holds(ON_DISK, "the state to be written")


@pytest.mark.parametrize("harm", ["removed", "foreign", "empty", "rubbish"])
async def test_a_file_that_others_touch_is_made_anew_though_nothing_changes(tmp_path, harm):
    path = tmp_path / "state"
    kept = Kept(path)
    async with kept.running():
        kept.file.keep(BOTH)
        await kept.holds(ON_DISK, "the state to be written")
        if harm == "removed":
            path.unlink()
        elif harm == "foreign":
            state_file.replace(tmp_path / "other", {("dc9", "z"): B})
            (tmp_path / "other").rename(path)
        else:
            path.write_bytes(b"" if harm == "empty" else b"rubbish" * 3000)
        assert ON_DISK != kept.on_disk()
        await kept.holds(ON_DISK, "the state to be written again")
    assert [] == kept.codes


async def test_a_folder_that_vanishes_is_made_again_with_everything_in_it(tmp_path):
    folder = tmp_path / "state"
    kept = Kept(folder / "file")
    async with kept.running():
        await kept.holds(ON_DISK, "the state to be written")
        shutil.rmtree(folder)
        await kept.holds(ON_DISK, "the state to be written again")
    assert 0o700 == folder.stat().st_mode & 0o777


async def test_a_folder_that_cannot_be_is_a_problem_until_it_can(tmp_path):
    (tmp_path / "gone").write_text("in the way")
    kept = Kept(tmp_path / "gone" / "file")
    assert [] == kept.file.load({"dc1"})
    async with kept.running():
        await kept.told(UNWRITABLE)
        (tmp_path / "gone").unlink()
        await kept.holds(ON_DISK, "the state to be written")
        await kept.told()


async def test_an_unreadable_file_is_shown_until_somebody_has_taken_it_away(tmp_path):
    path, aside = tmp_path / "state", tmp_path / "state.unreadable"
    path.write_bytes(b"no database")
    kept = Kept(path)
    assert [] == kept.file.load({"dc1"})
    [problem] = kept.problems
    assert (CORRUPT, str(path)) == (problem.code, problem.object)
    assert f"moved to {aside}: look at it, then remove it" in problem.message
    async with kept.running():
        await kept.holds(ON_DISK, "a fresh state")
        assert [CORRUPT] == kept.codes
        aside.unlink()
        await kept.told()


def with_a_spoilt(path) -> None:
    """A state in which one byte of what `a` said is another."""
    state_file.replace(path, ON_DISK)
    content = path.read_bytes()
    assert 1 == content.count(b"a.mesh")
    path.write_bytes(content.replace(b"a.mesh", b"x.mesh"))


async def test_a_spoilt_source_harms_only_itself_and_is_over_once_it_is_put(tmp_path):
    path = tmp_path / "state"
    with_a_spoilt(path)
    kept = Kept(path)
    assert [("dc1", "b", B)] == kept.file.load({"dc1"})
    [problem] = kept.problems
    shown = (problem.code, problem.registry, problem.source, problem.origin)
    assert (CORRUPT, "dc1", "a", "dc1/a") == shown
    kept.file.keep([("dc1", "a", A)])
    await kept.file.close()
    assert [] == kept.codes
    assert ON_DISK == kept.on_disk()


async def test_a_spoilt_source_is_over_once_its_registry_was_read_without_it(tmp_path):
    path = tmp_path / "state"
    with_a_spoilt(path)
    kept = Kept(path)
    kept.file.load({"dc1"})
    kept.file.complete("dc2")
    await kept.file.flush()
    assert [CORRUPT] == kept.codes
    kept.file.complete("dc1")
    await kept.file.close()
    assert [] == kept.codes
    assert {("dc1", "b"): B} == kept.on_disk()


async def test_a_write_that_nobody_waits_for_does_not_overtake_the_last_one(tmp_path):
    for _ in range(20):
        kept = Kept(tmp_path / "state", FakeClock())
        kept.everything = [("dc1", str(n), A) for n in range(50)]
        async with kept.running():
            await kept.clock.until_sleepers()
            moving = asyncio.create_task(kept.clock.advance(0.5))
            await settle()
            # Cancelled in the middle of a write, or before it: the last word is written last.
            kept.file.keep([("dc1", str(n), B) for n in range(50)])
        await moving
        assert {("dc1", str(n)): B for n in range(50)} == kept.on_disk()
