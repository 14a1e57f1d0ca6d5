"""Plugin distributions for tests: real ones, as an installer leaves them, on sys.path."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

ADAPTER = """
from pilot_core.adapter import Adapter

class Registry(Adapter):
    api = 1
    async def run(self, sink): ...
"""


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: list[str] = []

    def install(self, name: str, source: str = ADAPTER, *, kind: str, of: str = "Registry") -> None:
        """A distribution with one module, which offers `of` as the adapter `kind`."""
        module = name.replace("-", "_")
        self._modules.append(module)
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{module}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[pilot_core.adapters]\n{kind} = {module}:{of}\n")
        importlib.invalidate_caches()

    def forget(self) -> None:
        for module in self._modules:
            sys.modules.pop(module, None)


@contextlib.contextmanager
def site(folder: Path) -> Iterator[Site]:
    """What is installed there is seen inside the block, beside everything else."""
    made = Site(folder)
    sys.path.append(str(folder))
    try:
        yield made
    finally:
        sys.path.remove(str(folder))
        made.forget()
        importlib.invalidate_caches()
