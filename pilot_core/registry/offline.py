"""The world of some catalogue files, without a daemon: for `translate` and for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pilot_core.dialects import catalogue
from pilot_core.errors import ConfigError, Finding
from pilot_core.model import World
from pilot_core.registry import merging
from pilot_core.registry.mirror import Mirror

_ENDINGS = {".yaml", ".yml", ".json"}


def world_of(paths: Iterable[str], refused: list[Finding]) -> World:
    """The world that these files and folders describe, each a registry, in this precedence.

    What is wrong in them is added to `refused`, and harms nothing else, as in a daemon. Raises
    ConfigError for a path that is not there.
    """
    mirror = Mirror(lambda registry: None)
    order: dict[str, int] = {}
    for path in paths:
        order.setdefault(path, len(order))
        for file in _files(Path(path)):
            refused.extend(_read(mirror, path, file))
    merged = merging.merged(mirror, mirror.take(), order)
    world, _ = World().apply(merged.services, merged.endpoints, merged.policies)
    return world


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix in _ENDINGS and p.is_file())
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    return [path]


def _read(mirror: Mirror, registry: str, file: Path) -> tuple[Finding, ...]:
    """Put what the file says; returns what is wrong with it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        return (Finding(str(file), 0, 0, f"cannot be read: {error.strerror}"),)
    try:
        read = catalogue.read(content, str(file))
    except ConfigError as error:
        return error.findings
    mirror.put(registry, str(file), read.records)
    return read.refused
