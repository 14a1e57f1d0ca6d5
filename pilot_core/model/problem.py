"""A problem: something refused, held, stale or in conflict, with its cause and where to look."""

from __future__ import annotations

import enum

import msgspec


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Problem(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of `pilot-core problems`. The same problem again raises `count`, not the list.

    `code` is stable and short (`file-unreadable`, `nack`, `registry-stale`); `object` names what is
    concerned (a hostname, a proxy); `origin` is `file:line:column` or `registry/source`; `since`
    is seconds since the epoch.
    """

    code: str
    severity: Severity = Severity.ERROR
    registry: str = ""
    source: str = ""
    object: str = ""
    message: str
    origin: str = ""
    since: float = 0.0
    count: int = 1
