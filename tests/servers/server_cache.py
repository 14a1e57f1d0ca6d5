"""Where the built servers are kept, and how a build fails."""

from __future__ import annotations

import os
from pathlib import Path


class BuildError(Exception):
    """A server could not be built; the text says why and what to do."""


def cache() -> Path:
    """The user's cache folder for the built servers."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pilot-core" / "servers"
