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
    found = {
        *_token(settings, str(path)),
        *_state_dir(settings, str(path)),
        *_adapters(settings, str(path), adapter_types),
    }
    return sorted(found)


def _token(settings: Settings, path: str) -> Iterable[Finding]:
    file = settings.admin.token_file
    if file is None:
        return
    try:
        has_token = bool(file.read_bytes().strip())
    except OSError as error:
        yield Finding(path, 0, 0, f"admin.token_file: {file}: {error.strerror}")
        return
    if not has_token:
        yield Finding(path, 0, 0, f"admin.token_file: {file} is empty")


def _state_dir(settings: Settings, path: str) -> Iterable[Finding]:
    """Whether it can be used, or made, by whoever runs the check."""
    directory = settings.state_dir
    if directory is None:
        return
    nearest = next(p for p in (directory.absolute(), *directory.absolute().parents) if p.exists())
    if not nearest.is_dir():
        yield Finding(path, 0, 0, f"state_dir: {nearest} is not a directory")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield Finding(path, 0, 0, f"state_dir: {directory} cannot be used: no right to write it")


def _adapters(settings: Settings, path: str, adapter_types: CheckedTypes) -> Iterable[Finding]:
    for adapter in settings.adapters:
        for finding in adapter_types(adapter.kind).check(adapter.config):
            if finding.path:
                yield finding
            else:
                yield Finding(path, 0, 0, f"adapter {adapter.name}: {finding.message}")
