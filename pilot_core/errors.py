"""Every error that pilot-core raises on purpose.

PilotError
├── ConfigError       what somebody wrote is wrong; carries all findings
├── Unavailable       a platform cannot be reached now; trying again makes sense
├── Denied            a platform refuses us; trying again soon does not
├── PluginError       an adapter plugin is missing, broken, doubled or of another contract
└── ServerError       the daemon that a command talks to
    ├── NotReachable
    └── NotPermitted
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class PilotError(Exception):
    """Base of all of them; its text is one sentence for people, lower case, no full stop."""


class Finding(NamedTuple):
    """One thing that is wrong in a document: where, what, and what to do."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{where}: {self.message}" if where else self.message


class ConfigError(PilotError):
    """A configuration or catalogue document is wrong. All findings, sorted by place."""

    def __init__(self, *findings: Finding | str) -> None:
        self.findings = tuple(
            f if isinstance(f, Finding) else Finding("", 0, 0, f) for f in _sorted(findings)
        )
        super().__init__("\n".join(str(f) for f in self.findings))


class Unavailable(PilotError):
    """The platform cannot be reached, or ended the conversation."""


class Denied(PilotError):
    """The platform refuses; the message names the right that is missing."""


class PluginError(PilotError):
    """An adapter plugin cannot be used; the message names its package and the cure."""


class ServerError(PilotError):
    """The daemon answered with an error."""


class NotReachable(ServerError):
    """Nobody answers at the daemon's address."""


class NotPermitted(ServerError):
    """The daemon does not let us."""


def _sorted(findings: Iterable[Finding | str]) -> list[Finding | str]:
    return sorted(
        findings, key=lambda f: (f.path, f.line, f.column) if isinstance(f, Finding) else ("", 0, 0)
    )
