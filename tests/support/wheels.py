"""Wheels of this repository, and a fresh environment to install them into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import repository
from repository import ROOT


def copy_of(folder: Path, to: Path) -> Path:
    """The folder's files that belong to the repository: building leaves things behind."""
    for path in repository.files():
        if path.is_relative_to(folder):
            there = to / path.relative_to(folder)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)
    return to


def build(folder: Path, dist: Path, *, sdist: bool = False) -> Path:
    """The folder's wheel; with `sdist`, by way of a source distribution, as `make dist` does."""
    kinds = () if sdist else ("--wheel",)
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", dist, folder)
    return max(dist.glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)


def names(wheel: Path) -> set[str]:
    """The files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        self._bin = folder / "bin"

    def install(self, *what: str | Path, cwd: Path | None = None) -> None:
        options = ("--disable-pip-version-check", "-q")
        run(self._bin / "python", "-m", "pip", "install", *options, *what, cwd=cwd)

    def run(self, program: str, *arguments: str | Path, cwd: Path | None = None) -> str:
        """What the program says on standard output; fails with all it said if it fails."""
        return run(self._bin / program, *arguments, cwd=cwd)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    outside = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {key: value for key, value in os.environ.items() if key not in outside}
    # Outside of the repository: nothing may be found only because one stands in it.
    where = cwd or Path(command[0]).parent
    said = subprocess.run(
        [str(part) for part in command],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if said.returncode:
        raise AssertionError(
            f"{_shown(command)} failed:\n{said.stdout[-4000:]}{said.stderr[-4000:]}"
        )
    return said.stdout


def _shown(command: Iterable[str | Path]) -> str:
    return " ".join(str(part) for part in command).replace(f"{ROOT}/", "")
