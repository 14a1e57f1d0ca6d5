"""What the demo saw: printed step by step to people, or at the end as one JSON object."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec


class Step(msgspec.Struct):
    """One step of the tour; `saw` says in words what was observed."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    saw: list[str] = []


class Report(msgspec.Struct, rename={"api_version": "apiVersion"}):
    """The whole tour. `ok` only if every step is, and the load lost no request."""

    api_version: str = "pilot-core/v1"
    kind: str = "DemoReport"
    ok: bool = False
    seconds: float = 0.0
    steps: list[Step] = []
    requests: dict[str, Any] = {}
    proxies: list[dict[str, Any]] = []


class NotSeen(Exception):
    """Something that the tour was to show did not happen."""


class Teller:
    """Tells the tour as it goes on, unless it is to be quiet. `is_complete` once it has been shown
    to its end."""

    def __init__(self, *, quiet: bool) -> None:
        self.report = Report(steps=[], requests={}, proxies=[])
        self.is_complete = False
        self._quiet = quiet
        self._live = not quiet and sys.stderr.isatty()
        self._started = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One step: failed if an exception leaves the block, which it then does."""
        step = Step(name, saw=[])
        self.report.steps.append(step)
        started = time.monotonic()
        if self._live:
            print(f"  … {name}", end="\r", file=sys.stderr, flush=True)
        try:
            yield step
            step.ok = True
        finally:
            step.seconds = round(time.monotonic() - started, 3)
            self._tell(step)

    def finish(self) -> Report:
        self.report.seconds = round(time.monotonic() - self._started, 3)
        lost = self.report.requests.get("failed", 1)
        self.report.ok = self.is_complete and lost == 0 and all(s.ok for s in self.report.steps)
        return self.report

    def say(self, text: str = "") -> None:
        if not self._quiet:
            print(text, flush=True)

    def _tell(self, step: Step) -> None:
        if self._quiet:
            return
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self.say(f"  {'✓' if step.ok else '✗'} {step.name:<44} {step.seconds:6.2f} s")
        for line in step.saw:
            self.say(f"      {line}")
