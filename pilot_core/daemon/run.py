"""`pilot-core run`: start, serve, reload, drain.

Rule 1: signals only set events; one place decides what they mean.
Rule 2: every task is in one group: if a part fails, the daemon says so and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from pathlib import Path

from watchfiles import awatch

from pilot_core.config import load
from pilot_core.config.schema import Settings
from pilot_core.daemon import notify, state_dir
from pilot_core.daemon.parts import Parts, registrations
from pilot_core.daemon.reload import Reloader
from pilot_core.errors import ConfigError
from pilot_core.registry import loader

log = logging.getLogger(__name__)

DRAIN_SECONDS = 2.0
_GC_THRESHOLDS = (50_000, 50, 100)
"""The world is large and hardly ever garbage: looking through it less often is most of the
difference between a quiet push and one that waits for the collector."""


class Signals:
    """What has been asked of the daemon."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)


def main(path: Path) -> int:
    """Run until a signal ends it. Returns the exit code. Raises ConfigError, PluginError."""
    path = path.absolute()
    settings = load.load(path, adapter_types=loader.load)
    with contextlib.ExitStack() as stack:
        kept = (
            stack.enter_context(state_dir.locked(settings.state_dir))
            if settings.state_dir
            else None
        )
        gc.set_threshold(*_GC_THRESHOLDS)
        return asyncio.run(_run(path, settings, kept))


async def _run(path: Path, settings: Settings, state_file: Path | None) -> int:
    signals = Signals()
    signals.listen()
    parts = Parts(settings, state_file)
    try:
        await parts.listen()
    except OSError as error:
        raise ConfigError(str(error)) from None
    print(
        f"listening xds={parts.transport.address} admin={parts.admin.address}",
        file=sys.stderr,
        flush=True,
    )
    failed = False
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_serve(parts, settings)),
                group.create_task(_reload_on_signal(signals, Reloader(path, settings, parts))),
                group.create_task(_watch(path, signals)),
                group.create_task(notify.watchdog()),
            ]
            await signals.stop.wait()
            for task in tasks:
                task.cancel()
    except* Exception as errors:
        failed = True
        log.error("a part of the daemon failed", exc_info=errors)
    await _drain(parts)
    return 1 if failed else 0


async def _serve(parts: Parts, settings: Settings) -> None:
    await parts.hub.start(registrations(settings))
    await parts.hub.ready.wait()
    parts.fleet.open()
    parts.admin.is_ready = True
    await parts.health.serving(True)
    gc.collect()
    gc.freeze()
    notify.notify("READY=1", "STATUS=serving")
    log.info("serving", extra={"services": len(parts.hub.world.services)})


async def _reload_on_signal(signals: Signals, reloader: Reloader) -> None:
    while True:
        await signals.reload.wait()
        signals.reload.clear()
        await reloader.reload()


async def _watch(path: Path, signals: Signals) -> None:
    """A reload when the file changes; its folder is watched, for files that are replaced."""
    before = _content(path)
    async for _ in awatch(path.parent, step=50, debounce=200, recursive=False):
        now = _content(path)
        if now != before and now is not None:
            before = now
            signals.reload.set()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


async def _drain(parts: Parts) -> None:
    notify.notify("STOPPING=1")
    parts.admin.is_ready = False
    await parts.health.serving(False)
    log.info("draining", extra={"streams": len(parts.fleet.connections)})
    await parts.transport.drain(DRAIN_SECONDS)
    await parts.hub.stop()
    await parts.admin.stop()
    log.info("stopped")
