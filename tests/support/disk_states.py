"""What the state file goes through on a bad disk: `SCENE FOLDER`, in a mount namespace of its own.

Each scene prints what a test has to compare, word by word.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

from mesh import until
from pilot_core.clock import SystemClock
from pilot_core.model import Service
from pilot_core.registry import state_file
from pilot_core.registry.lastgood import Change, LastGood
from pilot_core.telemetry.problems import Problems

SCENES = {
    "full": ["kept-small", "state-unwritable", "still-small", "kept-large", "over"],
    "read-only": ["loaded-small", "state-unwritable", "kept-large", "over"],
    "read-only-in-a-write": ["loaded-small"],
}
_SMALL: list[Change] = [("dc1", "a", (Service(hostname="a.mesh"),))]
_LARGE: list[Change] = [
    *_SMALL,
    ("dc1", "b", (Service(hostname="b.mesh", labels=(("x", "y" * 300_000),)),)),
]


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


class _Scene:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "state"
        self.problems = Problems(SystemClock())
        self.file = LastGood(self.path, problems=self.problems, clock=SystemClock())
        self.file.complete("dc1")
        self.known = _SMALL

    def sources(self) -> list[Change]:
        return [(*key, records) for key, records in state_file.read(self.path).sources.items()]

    async def kept(self, changes: list[Change]) -> None:
        async def is_so() -> bool:
            return self.path.exists() and self.sources() == changes

        await until(is_so, "the state to be kept")

    async def told(self) -> str:
        async def is_so() -> str:
            return " ".join(problem.code for problem in self.problems)

        said: str = await until(is_so, "a problem")
        return said

    async def over(self) -> None:
        async def is_so() -> bool:
            return not len(self.problems)

        await until(is_so, "the problem to be over")


async def _full(folder: Path) -> None:
    """A disk of 256 kB that has to take more, until somebody makes it larger."""
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder))
    scene = _Scene(folder)
    task = asyncio.create_task(scene.file.run(lambda: scene.known))
    await scene.kept(_SMALL)
    print("kept-small")
    scene.known = _LARGE
    scene.file.keep(_LARGE)
    print(await scene.told())
    assert scene.sources() == _SMALL
    print("still-small")
    mount("-o", "remount,size=16m", str(folder))
    await scene.kept(_LARGE)
    print("kept-large")
    await scene.over()
    print("over")
    task.cancel()


async def _read_only(folder: Path) -> None:
    """A disk that the kernel has made read-only, until somebody has mended it."""
    mount("-t", "tmpfs", "tmpfs", str(folder))
    state_file.replace(folder / "state", {("dc1", "a"): _SMALL[0][2]})
    mount("-o", "remount,ro", str(folder))
    scene = _Scene(folder)
    assert scene.file.load({"dc1"}) == _SMALL
    print("loaded-small")
    scene.known = _LARGE
    scene.file.keep(_LARGE)
    task = asyncio.create_task(scene.file.run(lambda: scene.known))
    print(await scene.told())
    mount("-o", "remount,rw", str(folder))
    await scene.kept(_LARGE)
    print("kept-large")
    await scene.over()
    print("over")
    task.cancel()


async def _read_only_in_a_write(folder: Path) -> None:
    """The writer died in the middle of a transaction, and the disk is read-only since."""
    mount("-t", "tmpfs", "tmpfs", str(folder))
    path = folder / "state"
    state_file.replace(path, {("dc1", "a"): _SMALL[0][2]})
    # A transaction larger than the cache goes to the file before it is committed.
    script = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('DELETE FROM sources')\n"
        "for n in range(200):\n"
        "    database.execute('INSERT INTO sources VALUES (?, ?, ?, 0)',"
        " ('dc1', str(n), b'x' * 5000))\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.with_name("state-journal").stat().st_size
    mount("-o", "remount,ro", str(folder))
    assert _Scene(folder).file.load({"dc1"}) == _SMALL
    print("loaded-small")


def main() -> None:
    scenes: dict[str, Callable[[Path], Coroutine[None, None, None]]] = {
        "full": _full,
        "read-only": _read_only,
        "read-only-in-a-write": _read_only_in_a_write,
    }
    asyncio.run(scenes[sys.argv[1]](Path(sys.argv[2])))


if __name__ == "__main__":
    main()
