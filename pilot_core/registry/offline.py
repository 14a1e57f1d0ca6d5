"""The world of some catalogue files, without a daemon: for `translate` and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pilot_core.dialects import catalogue
from pilot_core.errors import ConfigError, Finding
from pilot_core.model import Claim, Endpoints, RecordKey, Shard, World
from pilot_core.model.merge import services

_ENDINGS = {".yaml", ".yml", ".json"}


def world_of(paths: Iterable[str], refused: list[Finding]) -> World:
    """The world that these files and folders describe, in this precedence.

    What is wrong in them is added to `refused`, and harms nothing else, as in a daemon. Raises
    ConfigError for a path that is not there.
    """
    claims: dict[RecordKey, list[Claim]] = {}
    for path in paths:
        for file in _files(Path(path)):
            for claim in _claims(str(path), file, refused):
                claims.setdefault(claim.record.key, []).append(claim)
    merged = {name: services(c) for (kind, name), c in claims.items() if kind == "service"}
    shards = {name: _shards(c) for (kind, name), c in claims.items() if kind == "endpoints"}
    world, _ = World().apply(merged, shards)
    return world


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix in _ENDINGS and p.is_file())
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    return [path]


def _claims(registry: str, file: Path, refused: list[Finding]) -> Iterator[Claim]:
    try:
        read = catalogue.read(_content(file), str(file))
    except ConfigError as error:
        refused.extend(f for f in error.findings if isinstance(f, Finding))
        return
    refused.extend(read.refused)
    for record in read.records:
        yield Claim(registry, str(file), record)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError(Finding(str(file), 0, 0, message)) from None


def _shards(claims: list[Claim]) -> tuple[Shard, ...]:
    return tuple(
        Shard(c.registry, c.source, c.record.endpoints, c.record.origin)
        for c in claims
        if isinstance(c.record, Endpoints)
    )
