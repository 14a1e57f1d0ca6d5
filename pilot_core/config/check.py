"""Everything that is wrong with a configuration and the local files that it names.

Nothing is started and no platform is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from pilot_core.config.load import load
from pilot_core.config.schema import Settings
from pilot_core.document import Findings, Node, Sequence, document
from pilot_core.document import Mapping as Tree
from pilot_core.errors import ConfigError, Finding


class CheckedType(Protocol):
    """What is used of an adapter class here."""

    @property
    def Config(self) -> Any: ...  # noqa: N802  the contract's name

    def check(self, config: Any) -> Iterable[Finding]: ...


CheckedTypes: TypeAlias = Callable[[str], CheckedType]


def check(
    path: Path | str,
    *,
    adapter_types: CheckedTypes,
    environment: Mapping[str, str] = os.environ,
) -> list[Finding]:
    """All findings, sorted by place; empty where nothing is wrong."""
    try:
        settings = load(path, adapter_types=adapter_types, environment=environment)
    except ConfigError as error:
        return list(error.findings)
    written = _Written(Path(path))
    found = {
        *_token(settings, written),
        *_state_dir(settings, written),
        *_adapters(settings, written, adapter_types),
    }
    return sorted(found)


class _Written:
    """The file that was found sound, to say where in it something stands."""

    def __init__(self, path: Path) -> None:
        self._findings = Findings(str(path))
        self._tree = document(path.read_bytes(), self._findings)

    def wrong(self, message: str, *steps: str | int) -> Finding:
        """A finding at what these steps lead to, or as near to it as there is something."""
        node = self._tree
        for step in steps:
            inner = _inside(node, step)
            if inner is None:
                break
            node = inner
        return Finding(self._findings.path, node.line, node.column, message)


def _inside(node: Node, step: str | int) -> Node | None:
    if isinstance(step, str):
        return node.get(step) if isinstance(node, Tree) else None
    return node.items[step] if isinstance(node, Sequence) else None


def _token(settings: Settings, written: _Written) -> Iterable[Finding]:
    file = settings.admin.token_file
    if file is None:
        return
    try:
        has_token = bool(file.read_bytes().strip())
    except OSError as error:
        yield written.wrong(f"admin.token_file: {file}: {error.strerror}", "admin", "token_file")
        return
    if not has_token:
        yield written.wrong(f"admin.token_file: {file} is empty", "admin", "token_file")


def _state_dir(settings: Settings, written: _Written) -> Iterable[Finding]:
    """Whether it can be used, or made, by whoever runs the check."""
    directory = settings.state_dir
    if directory is None:
        return
    nearest = next(p for p in (directory.absolute(), *directory.absolute().parents) if p.exists())
    if not nearest.is_dir():
        yield written.wrong(f"state_dir: {nearest} is not a directory", "state_dir")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        message = f"state_dir: {directory} cannot be used: no right to write it"
        yield written.wrong(message, "state_dir")


def _adapters(
    settings: Settings, written: _Written, adapter_types: CheckedTypes
) -> Iterable[Finding]:
    for index, adapter in enumerate(settings.adapters):
        for finding in adapter_types(adapter.kind).check(adapter.config):
            if finding.path:
                yield finding
            else:
                message = f"adapter {adapter.name}: {finding.message}"
                yield written.wrong(message, "adapters", index, "config")
