"""Reloading the configuration: parse, check, compare, swap. A bad file changes nothing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from pilot_core.config import load, reload
from pilot_core.config.reload import Changes
from pilot_core.config.schema import Settings
from pilot_core.daemon import notify
from pilot_core.daemon.parts import Parts, registrations
from pilot_core.errors import ConfigError, PluginError
from pilot_core.model import Problem, Severity
from pilot_core.registry import loader
from pilot_core.registry.hub import Registration

log = logging.getLogger(__name__)

INVALID, NEEDS_RESTART = "config-invalid", "restart-needed"


class Reloader:
    """Knows the settings that run, and those it was started with."""

    def __init__(self, path: Path, settings: Settings, parts: Parts) -> None:
        self._path, self._parts = path, parts
        self._started_with = self._now = settings

    async def follow(self, asked: asyncio.Event) -> None:
        """Reload whenever it is asked for; once for several that come together."""
        while True:
            await asked.wait()
            asked.clear()
            await self.reload()

    async def reload(self) -> None:
        """Read the file again, and do what it says."""
        notify.reloading()
        try:
            # Plugins are looked for on disk: proxies must not wait for that.
            settings, wanted = await asyncio.to_thread(_read, self._path)
        except ConfigError as error:
            self._refuse(error)
        except PluginError as error:
            self._refuse(ConfigError(str(error)))
        else:
            await self._swap(settings, wanted)
        finally:
            if self._parts.admin.is_ready:
                notify.notify("READY=1")

    async def _swap(self, settings: Settings, wanted: list[Registration]) -> None:
        self._parts.problems.clear(INVALID)
        changes = reload.compare(self._now, settings)
        if changes.start or changes.stop or changes.restart or changes.reorder:
            await self._parts.hub.reconfigure(wanted)
        self._now = settings
        # Compared with the start: a setting that was changed back needs no restart any more.
        waiting = reload.compare(self._started_with, settings).needs_restart
        self._show_waiting(waiting)
        self._parts.metrics.reloads.labels("equal" if changes.is_empty else "changed").inc()
        _tell(changes, waiting)

    def _show_waiting(self, keys: tuple[str, ...]) -> None:
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
            place = f"{finding.path}:{finding.line}:{finding.column}"
            origin = place if finding.line else str(self._path)
            self._parts.problems.raise_(
                Problem(
                    code=INVALID,
                    source=origin,
                    object=str(self._path),
                    message=f"{finding.message}; the configuration in use stays",
                    origin=origin,
                )
            )
        log.error("configuration refused", extra={"findings": [str(f) for f in error.findings]})


def _read(path: Path) -> tuple[Settings, list[Registration]]:
    settings = load.load(path, adapter_types=loader.load)
    return settings, registrations(settings)


def _tell(changes: Changes, waiting: tuple[str, ...]) -> None:
    log.info(
        "configuration reloaded",
        extra={
            "started": list(changes.start),
            "stopped": list(changes.stop),
            "restarted": list(changes.restart),
            "kept": len(changes.keep),
            "needs_restart": list(waiting),
        },
    )
