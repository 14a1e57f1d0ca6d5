"""The findings of one reading of one file, collected so that people see all of them at once."""

from __future__ import annotations

from pilot_core.document.tree import Placed
from pilot_core.errors import ConfigError, Finding


class Findings:
    """What is wrong in the file `path`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: list[Finding] = []

    def __len__(self) -> int:
        return len(self._found)

    @property
    def all(self) -> tuple[Finding, ...]:
        """Each once, sorted by place."""
        return tuple(sorted(set(self._found)))

    def add(self, node: Placed, message: str) -> None:
        """Something is wrong with this node."""
        self.add_at(node.line, node.column, message)

    def add_at(self, line: int, column: int, message: str) -> None:
        self._found.append(Finding(self.path, line, column, message))

    def place(self, node: Placed) -> str:
        """`file:line:column`."""
        return f"{self.path}:{node.line}:{node.column}"

    def raise_any(self) -> None:
        """Raise ConfigError with all of them, if there is one."""
        if self._found:
            raise ConfigError(*self.all)
