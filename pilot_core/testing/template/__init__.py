"""A new plugin project: a small adapter that works, with its tests, for its author to change.

The files are in `project/`, each with `.in` behind its name and `$name`, `$module` and so on where
the platform's name goes; `package` stands for the import package.
"""

from __future__ import annotations

import importlib.resources
import re
import string
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from pilot_core import __version__
from pilot_core.errors import ConfigError
from pilot_core.registry import loader

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 40
_ENDING = ".in"


def create(name: str, directory: Path) -> tuple[Path, ...]:
    """Write the project of an adapter for the platform `name` into the folder, which may exist if
    it is empty; returns the files. Raises ConfigError, and then nothing has been written."""
    if problem := _name_problem(name) or _folder_problem(directory):
        raise ConfigError(problem)
    words = _words(name)
    files = {
        directory / path: string.Template(text).substitute(words)
        for path, text in _files(_project(), Path(), words)
    }
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{error.filename or directory} cannot be written: {error.strerror}"
        raise ConfigError(message) from None
    return tuple(sorted(files))


def _name_problem(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        return (
            f'"{name[:80]}" is no name for an adapter: it takes small letters and digits, words '
            f"joined by - or _, a letter first, {_LONGEST} characters at most, such as acme"
        )
    for plugin in loader.installed():
        if plugin.name == name and plugin.distribution != _words(name)["distribution"]:
            return (
                f'the adapter "{name}" is there already, from {plugin.distribution}: two plugins '
                "of one name cannot be used together, choose another one"
            )
    return ""


def _folder_problem(directory: Path) -> str:
    try:
        if not any(directory.iterdir()):
            return ""
    except FileNotFoundError:
        return ""
    except NotADirectoryError:
        return f"{directory} is not a folder: name another one with --output DIR"
    except OSError as error:
        return f"{directory} cannot be used: {error.strerror}"
    return f"{directory} is not empty, and nothing is overwritten: name another with --output DIR"


def _words(name: str) -> Mapping[str, str]:
    parts = re.split("[-_]", name)
    major, minor = __version__.split(".")[:2]
    return {
        "name": name,
        "distribution": "pilot-adapter-" + "-".join(parts),
        "module": "pilot_adapter_" + "_".join(parts),
        "cls": "".join(part.capitalize() for part in parts),
        "requires": f">={major}.{minor},<{major}.{int(minor) + 1}",
    }


def _project() -> Traversable:
    return importlib.resources.files(__name__) / "project"


def _files(
    folder: Traversable, below: Path, words: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    """Where each file of the project goes, and what it says before the words are filled in."""
    for child in folder.iterdir():
        if child.is_dir():
            name = words["module"] if child.name == "package" else child.name
            yield from _files(child, below / name, words)
        elif child.name.endswith(_ENDING):
            name = child.name.removesuffix(_ENDING)
            yield below / (".gitignore" if name == "gitignore" else name), child.read_text("utf-8")
