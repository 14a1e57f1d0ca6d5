"""Documents in tests: reading them, and the findings as people see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilot_core.document import Findings, documents
from pilot_core.errors import ConfigError


def findings_of(action: Callable[[], Any]) -> list[str]:
    """What the action is refused for, one line each; empty where it is not."""
    try:
        action()
    except ConfigError as error:
        return str(error).splitlines()
    return []


def read(text: str | bytes, path: str = "x.yaml") -> list[Any]:
    """The documents as trees."""
    return list(documents(text, Findings(path)))


def refused(text: str | bytes, path: str = "x.yaml") -> list[str]:
    """Everything that is wrong with the text, as one reading finds it."""
    findings = Findings(path)

    def reading() -> None:
        list(documents(text, findings))
        findings.raise_any()

    return findings_of(reading)
