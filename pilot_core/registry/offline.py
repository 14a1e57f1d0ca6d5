"""The world of some catalogue files, without a daemon: for `translate` and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pilot_core.dialects import catalogue
from pilot_core.errors import ConfigError, Finding
from pilot_core.model import Claim, Endpoints, RecordKey, Shard, World
from pilot_core.model.merge import services

_ENDINGS = {".yaml", ".yml", ".json"}


def world_of(paths: Iterable[str]) -> World:
    """The world that these files and folders describe, in this precedence.

    Raises ConfigError with everything that is wrong with any of them.
    """
    claims: dict[RecordKey, list[Claim]] = {}
    wrong: list[Finding] = []
    for path in paths:
        for file in _files(Path(path)):
            for claim in _claims(str(path), file, wrong):
                claims.setdefault(claim.record.key, []).append(claim)
    if wrong:
        raise ConfigError(*wrong)
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


def _claims(registry: str, file: Path, wrong: list[Finding]) -> Iterator[Claim]:
    try:
        read = catalogue.read(file.read_bytes(), str(file))
    except ConfigError as error:
        wrong.extend(f for f in error.findings if isinstance(f, Finding))
        return
    wrong.extend(read.refused)
    for record in read.records:
        yield Claim(registry, str(file), record)


def _shards(claims: list[Claim]) -> tuple[Shard, ...]:
    return tuple(
        Shard(c.registry, c.source, c.record.endpoints, c.record.origin)
        for c in claims
        if isinstance(c.record, Endpoints)
    )
