"""This repository as tests see it: which files there are, and what Python sources consist of."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".git", ".venv", "build", "dist", "__pycache__", "node_modules"}


def source_roots() -> tuple[Path, ...]:
    """The folders that hold import packages: the repository itself, `xds`, and so on."""
    others = (p for p in (ROOT / "xds", ROOT / "certs", ROOT / "mixer") if p.is_dir())
    return (ROOT, *others, *adapter_folders())


def adapter_folders() -> tuple[Path, ...]:
    """The adapters that are distributions of their own."""
    return tuple(sorted(path.parent for path in (ROOT / "adapters").glob("*/setup.cfg")))


def packages() -> tuple[Path, ...]:
    """The top-level import packages of the product."""
    found = [ROOT / "pilot_core"]
    for root in source_roots()[1:]:
        found += sorted(path.parent for path in root.glob("pilot_*/__init__.py"))
    return tuple(found)


@functools.cache
def sources() -> tuple[Path, ...]:
    """Every Python file of the product."""
    return tuple(path for package in packages() for path in sorted(package.rglob("*.py")))


@functools.cache
def tests() -> tuple[Path, ...]:
    """Every Python file of the tests."""
    return tuple(sorted((ROOT / "tests").rglob("*.py")))


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the repository, committed or about to be."""
    listed = _git_files()
    found = listed if listed is not None else _walk(ROOT)
    return tuple(sorted(path for path in found if path.is_file()))


def texts() -> Iterator[tuple[Path, str]]:
    """Those of `files` that are text, with what they say."""
    for path in files():
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue


@functools.cache
def tree(path: Path) -> ast.Module:
    """A Python file, parsed."""
    return ast.parse(path.read_text(), filename=str(path))


def shown(path: Path) -> str:
    """The path for a message."""
    return str(path.relative_to(ROOT))


def _git_files() -> list[Path] | None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        # An unpacked source distribution has no history, and all its files are its own.
        return None
    return [ROOT / name for name in said.stdout.split("\0") if name]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in _NOT_OURS and not path.name.startswith("."):
            yield from _walk(path)
        elif path.is_file():
            yield path
