"""Adapter classes for configurations in tests; nothing of them runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from pilot_core.adapter import Adapter, Config, Finding, Sink
from pilot_core.document import Duration
from pilot_core.errors import PluginError


class TreeConfig(Config, frozen=True):
    """Settings of a made-up registry."""

    url: str
    """Where it is."""
    wait: Duration = Duration(5)
    """How long."""
    folders: tuple[Path, ...] = ()


class Tree(Adapter):
    """A registry whose local files are checked by name: one that is called bad is bad."""

    Config = TreeConfig

    @classmethod
    def check(cls, config: TreeConfig) -> Iterator[Finding]:
        for folder in config.folders:
            if folder.name == "bad":
                yield Finding(str(folder), 3, 1, "is bad")
        if config.url == "bad":
            yield Finding("", 0, 0, "the URL is bad")

    async def run(self, sink: Sink) -> NoReturn:
        raise AssertionError("a check runs nothing")


class Bare(Adapter):
    """A registry without settings."""

    async def run(self, sink: Sink) -> NoReturn:
        raise AssertionError("a check runs nothing")


def adapter_types(kind: str) -> type[Adapter]:
    """What the loader of plugins is to the daemon."""
    found = {"tree": Tree, "bare": Bare}.get(kind)
    if found is None:
        raise PluginError(f'no adapter "{kind}" (installed: bare, tree)')
    return found
