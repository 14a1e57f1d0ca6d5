"""Reloading the configuration: parse, check, compare, swap. A bad file changes nothing."""

from __future__ import annotations

import logging
from pathlib import Path

from pilot_core.config import load, reload
from pilot_core.config.schema import Settings
from pilot_core.daemon import notify
from pilot_core.daemon.parts import Parts, registrations
from pilot_core.errors import ConfigError
from pilot_core.model import Problem, Severity
from pilot_core.registry import loader

log = logging.getLogger(__name__)

INVALID, NEEDS_RESTART = "config-invalid", "restart-needed"


class Reloader:
    """Knows the settings that run, and those it was started with."""

    def __init__(self, path: Path, settings: Settings, parts: Parts) -> None:
        self._path, self._parts = path, parts
        self._started_with = self._now = settings

    async def reload(self) -> None:
        """Read the file again, and do what it says."""
        notify.reloading()
        try:
            settings = load.load(self._path, adapter_types=loader.load)
        except ConfigError as error:
            self._refuse(error)
        else:
            await self._swap(settings)
        finally:
            notify.notify("READY=1")

    async def _swap(self, settings: Settings) -> None:
        self._parts.problems.clear(INVALID)
        changes = reload.compare(self._now, settings)
        if changes.start or changes.stop or changes.restart or changes.reorder:
            await self._parts.hub.reconfigure(registrations(settings))
        self._now = settings
        self._show_restart(reload.compare(self._started_with, settings).needs_restart)
        self._parts.metrics.reloads.labels("changed" if not changes.is_empty else "equal").inc()
        log.info(
            "configuration reloaded",
            extra={
                "started": list(changes.start),
                "stopped": list(changes.stop),
                "restarted": list(changes.restart),
                "kept": len(changes.keep),
                "needs_restart": list(changes.needs_restart),
            },
        )

    def _show_restart(self, keys: tuple[str, ...]) -> None:
        self._parts.problems.clear(NEEDS_RESTART)
        for key in keys:
            self._parts.problems.raise_(
                Problem(
                    code=NEEDS_RESTART,
                    severity=Severity.WARNING,
                    object=key,
                    message=f"{key} has changed, which takes effect at the next start",
                    origin=str(self._path),
                )
            )

    def _refuse(self, error: ConfigError) -> None:
        self._parts.metrics.reloads.labels("refused").inc()
        self._parts.problems.clear(INVALID)
        for finding in error.findings:
            self._parts.problems.raise_(
                Problem(
                    code=INVALID,
                    object=f"{finding.path}:{finding.line}:{finding.column}",
                    message=f"{finding.message}; the configuration in use stays",
                    origin=f"{finding.path}:{finding.line}:{finding.column}",
                )
            )
        log.error("configuration refused", extra={"findings": [str(f) for f in error.findings]})
