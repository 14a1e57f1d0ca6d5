"""The token file of the admin API, looked at before anything starts."""

from __future__ import annotations

from pathlib import Path

from pilot_core.errors import ConfigError


def check(path: Path | None) -> None:
    """Raises ConfigError where the file would let nobody in."""
    if path is None:
        return
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"admin.token_file: {path}: {error.strerror}") from None
    if not token:
        raise ConfigError(f"admin.token_file: {path} is empty: put a token into it")
