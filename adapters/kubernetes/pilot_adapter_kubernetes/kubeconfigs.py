"""Kubeconfigs of further clusters, from files and from Secrets.

Rule 1: a file that cannot be read says what it last said; one that is gone from its folder is a
cluster that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pilot_adapter_kubernetes import credentials, facts
from pilot_adapter_kubernetes.remotes import Kubeconfig

_SUFFIXES = ("", ".yaml", ".yml", ".json", ".conf", ".kubeconfig")


def of_secret(fact: facts.Kubeconfigs) -> dict[str, Kubeconfig]:
    """By cluster."""
    return {
        name: Kubeconfig(
            content=text,
            origin=f"secret/{fact.key}/{name}",
            load=partial(credentials.load_text, text, f"Secret {fact.key}, key {name}"),
        )
        for name, text in fact.clusters
    }


class Files:
    """Files and folders, read again and again; `complain(path, text)` about those that cannot be
    read (an empty text: they can be read again)."""

    def __init__(self, paths: tuple[Path, ...], complain: Callable[[Path, str], None]) -> None:
        self._paths, self._complain = paths, complain
        self._known: dict[Path, dict[str, Kubeconfig]] = {}

    async def read(self) -> Mapping[str, Kubeconfig]:
        """What they say now, by cluster."""
        found: dict[str, Kubeconfig] = {}
        for path in self._paths:
            try:
                self._known[path] = await asyncio.to_thread(_read, path)
            except (OSError, UnicodeDecodeError) as error:
                self._complain(path, f"kubeconfigs of {path} cannot be read: {error}")
            else:
                self._complain(path, "")
            found |= self._known.get(path, {})
        return found


def _read(path: Path) -> dict[str, Kubeconfig]:
    files = sorted(filter(_is_one, path.iterdir())) if path.is_dir() else [path]
    return {
        file.stem: Kubeconfig(
            content=file.read_text(),
            origin=str(file),
            load=partial(credentials.load, file, ""),
        )
        for file in files
    }


def _is_one(path: Path) -> bool:
    """Neither hidden, as the folders behind mounted Secrets are, nor what editors leave behind."""
    return path.is_file() and not path.name.startswith(".") and path.suffix in _SUFFIXES
