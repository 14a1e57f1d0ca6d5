"""Which files the configured paths stand for now, and which folders to watch for a change of that.

Rule 1: a folder stands for the catalogue files in it and below; hidden names are left out, as
mounted configuration volumes and editors keep their own things under them.
Rule 2: a file that several paths or links lead to is one file, by its first name.
Rule 3: what does not exist is no error, it may come; what cannot be looked at is named.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

SUFFIXES = (".yaml", ".yml", ".json")
_DEEPEST = 16
_GONE = (FileNotFoundError, NotADirectoryError)

Folder: TypeAlias = tuple[str, int, int]
"""Path, device and inode: a folder that was replaced is another one."""


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What changes when a file does: nanoseconds, bytes, and which file it is."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


class Survey(msgspec.Struct, frozen=True):
    """What there is, and what there is not."""

    files: dict[str, Stamp]
    """By name, sorted."""
    folders: frozenset[Folder]
    """The folders to watch."""
    troubles: dict[str, str]
    """What cannot be looked at, and why."""
    missing: frozenset[str] = frozenset()
    """Configured files and folders that do not exist (yet)."""
    doubles: frozenset[str] = frozenset()
    """Further names of files that are listed under their first."""


def take(paths: Iterable[Path]) -> Survey:
    """Look at the file system. Blocks; raises nothing."""
    surveyor = _Surveyor()
    for path in paths:
        surveyor.path(str(path))
    names: dict[tuple[int, int], str] = {}
    for name, stamp in sorted(surveyor.files.items()):
        names.setdefault((stamp.device, stamp.inode), name)
    files = {name: surveyor.files[name] for name in sorted(names.values())}
    doubles = frozenset(surveyor.files.keys() - files.keys())
    missing = frozenset(surveyor.missing)
    return Survey(files, frozenset(surveyor.folders), surveyor.troubles, missing, doubles)


def is_gone(name: str) -> bool:
    """There is no such file any more, as opposed to: it cannot be looked at now."""
    try:
        return not stat.S_ISREG(os.stat(name).st_mode)
    except _GONE:
        return True
    except OSError:
        return False


class _Surveyor:
    def __init__(self) -> None:
        self.files: dict[str, Stamp] = {}
        self.folders: set[Folder] = set()
        self.troubles: dict[str, str] = {}
        self.missing: set[str] = set()
        self._real: dict[str, str] = {}

    def path(self, path: str) -> None:
        if glob.has_magic(path):
            self._pattern(path)
            return
        status = self._status(path)
        if status is None:
            self._watch(_nearest(os.path.dirname(path)))
            if path not in self.troubles:
                self.missing.add(path)
        elif stat.S_ISDIR(status.st_mode):
            self._watch(os.path.dirname(path))
            self._folder(path, 0, set())
        else:
            self._file(path, status)

    def _pattern(self, pattern: str) -> None:
        for prefix in _prefixes(pattern):
            for folder in glob.iglob(prefix, recursive=True):
                self._watch(folder)
        self._watch(_nearest(_base(pattern)))
        for match in glob.iglob(pattern, recursive=True):
            status = self._status(match)
            if status is not None and stat.S_ISDIR(status.st_mode):
                self._folder(match, 0, set())
            elif status is not None:
                self._file(match, status)

    def _folder(self, path: str, depth: int, above: set[tuple[int, int]]) -> None:
        here = self._watch(path)
        # A link to a folder above would otherwise be walked for ever.
        if here is None or here[1:] in above or depth > _DEEPEST:
            return
        try:
            names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        except _GONE:
            return
        except OSError as error:
            self.troubles[path] = f"cannot be listed: {error.strerror}"
            return
        for name in names:
            child = os.path.join(path, name)
            status = self._status(child)
            if status is not None and stat.S_ISDIR(status.st_mode):
                self._folder(child, depth + 1, above | {here[1:]})
            elif status is not None and name.endswith(SUFFIXES):
                self._file(child, status)

    def _file(self, path: str, status: os.stat_result) -> None:
        self._watch(os.path.dirname(path))
        if not stat.S_ISREG(status.st_mode):
            self.troubles[path] = "is no file"
            return
        real = self._real_folder(path)
        if real != os.path.dirname(path):
            self._watch(real)
        self.files[path] = Stamp.of(status)

    def _real_folder(self, path: str) -> str:
        """Where the file really lies. Links of folders are resolved once for all files in them:
        resolving each file is most of what looking at thousands costs."""
        if os.path.islink(path):
            return os.path.dirname(os.path.realpath(path))
        folder = os.path.dirname(path)
        real = self._real.get(folder)
        if real is None:
            real = self._real[folder] = os.path.realpath(folder)
        return real

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(path)
        except _GONE:
            return None
        except OSError as error:
            self.troubles[path] = f"cannot be looked at: {error.strerror}"
            return None

    def _watch(self, path: str) -> Folder | None:
        try:
            status = os.stat(path or ".")
        except OSError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return None
        folder = path or ".", status.st_dev, status.st_ino
        self.folders.add(folder)
        return folder


def _nearest(path: str) -> str:
    """The folder itself, or the nearest one above it that exists."""
    while path and not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _base(pattern: str) -> str:
    """The part of a pattern before its first wildcard."""
    while glob.has_magic(pattern):
        pattern = os.path.dirname(pattern)
    return pattern


def _prefixes(pattern: str) -> Iterator[str]:
    """The patterns of the folders that a file of this pattern may lie in."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        yield os.path.join(folder, "")
        folder = os.path.dirname(folder)
    if folder:
        yield folder
