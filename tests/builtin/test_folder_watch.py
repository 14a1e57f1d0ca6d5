"""Waking up when something happens in a folder."""

from __future__ import annotations

import asyncio
import threading

from pilot_core.builtin import survey
from pilot_core.builtin.watch import Watch

PATIENCE = 10.0


def folders(*paths):
    return survey.take(paths).folders


def watchers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "folder-watch"]


async def woken(watch: Watch) -> bool:
    """Whether it wakes by what happened, rather than because time has passed."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await watch.changed(within=PATIENCE)
    return loop.time() - began < PATIENCE


async def test_a_change_wakes(tmp_path):
    async with Watch() as watch:
        assert await watch.follow(folders(tmp_path))
        (tmp_path / "a.yaml").write_text("a")
        assert await woken(watch)


async def test_a_change_before_anybody_waits_is_not_lost(tmp_path):
    async with Watch() as watch:
        await watch.follow(folders(tmp_path))
        (tmp_path / "a.yaml").write_text("a")
        (tmp_path / "a.yaml").unlink()
        assert await woken(watch)


async def test_the_same_folders_are_not_followed_anew(tmp_path):
    async with Watch() as watch:
        assert await watch.follow(folders(tmp_path))
        assert not await watch.follow(folders(tmp_path))
        (tmp_path / "below").mkdir()
        assert await watch.follow(folders(tmp_path))


async def test_a_folder_that_was_replaced_is_another_one(tmp_path):
    live, spare = tmp_path / "live", tmp_path / "spare"
    live.mkdir()
    async with Watch() as watch:
        await watch.follow(folders(live))
        live.rename(spare)
        live.mkdir()
        assert await watch.follow(folders(live))
        await watch.changed(within=0.0)
        (live / "a.yaml").write_text("a")
        assert await woken(watch)


async def test_a_folder_that_vanished_meanwhile_harms_nothing(tmp_path):
    (tmp_path / "gone").mkdir()
    seen = folders(tmp_path)
    (tmp_path / "gone").rmdir()
    async with Watch() as watch:
        await watch.follow(seen)
        (tmp_path / "a.yaml").write_text("a")
        assert await woken(watch)


async def test_it_does_not_wait_for_ever(tmp_path):
    async with Watch() as watch:
        await watch.follow(folders(tmp_path))
        assert await watch.changed(within=0.0) is None


async def test_no_thread_is_left_behind(tmp_path):
    before = watchers()
    async with Watch() as watch:
        await watch.follow(folders(tmp_path))
        assert len(before) + 1 == len(watchers())
    assert before == watchers()
