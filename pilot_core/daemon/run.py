"""`pilot-core run`: start, serve, reload, drain.

Rule 1: signals only set events; one place decides what they mean.
Rule 2: every task is in one group: if a part fails, the daemon says so, drains and ends with 1.
Rule 3: it ends within a bound, whatever some adapter's thread is doing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from pilot_core import __version__
from pilot_core.config import load
from pilot_core.config.schema import Settings
from pilot_core.daemon import (
    descriptors,
    loop_watch,
    memory,
    notify,
    state_dir,
    token,
    watch,
)
from pilot_core.daemon.parts import Parts, registrations
from pilot_core.daemon.reload import Reloader
from pilot_core.errors import ConfigError
from pilot_core.registry import loader

log = logging.getLogger(__name__)

DRAIN_SECONDS = 2.0
"""Over so long the streams are ended, so that their clients do not all come back at once."""
_DRAIN_AT_MOST = 15.0
_LEAVE_AT_MOST = 3.0
GC_THRESHOLDS = (50_000, 50, 100)
"""The world is large and hardly ever garbage: looking through it less often is most of the
difference between a quiet push and one that waits for the collector."""


_TIDY_EVERY = 60.0
"""Seconds. What is young garbage is looked for by the clock too: a daemon that has little to do
makes too few objects for the thresholds, and a broken session's TLS context is a megabyte."""


class Signals:
    """What has been asked of the daemon."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _stop(self) -> None:
        self.stop.set()
        # Who asks twice does not want to wait.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)


def main(path: Path) -> int:
    """Run until a signal ends it. Returns the exit code. Raises ConfigError, PluginError."""
    os.umask(0o077)
    path = path.absolute()
    before = watch.content(path)
    settings = load.load(path, adapter_types=loader.load)
    token.check(settings.admin.token_file)
    with _state_file(settings) as state_file:
        gc.set_threshold(*GC_THRESHOLDS)
        descriptors.raise_limit()
        return asyncio.run(_run(path, before, settings, state_file))


@contextlib.contextmanager
def _state_file(settings: Settings) -> Iterator[Path | None]:
    if settings.state_dir is None:
        yield None
        return
    with state_dir.locked(settings.state_dir) as state_file:
        yield state_file


async def _run(path: Path, before: bytes | None, settings: Settings, state: Path | None) -> int:
    signals = Signals()
    signals.listen()
    parts = Parts(settings, state)
    wanted = registrations(settings)
    try:
        await parts.listen()
    except OSError as error:
        raise ConfigError(str(error)) from None
    # Whoever asks as soon as we listen is told of every registry, and how it is.
    await parts.hub.start(wanted)
    log.info("started", extra={"version": __version__, "config": str(path), "pid": os.getpid()})
    _say_addresses(parts)
    works = [
        _serve(parts),
        Reloader(path, settings, parts).follow(signals.reload),
        watch.follow(path, before, signals.reload),
        notify.watchdog(),
        memory.keep_small(parts.clock),
        loop_watch.LoopWatch(parts.problems).run(),
        _tidy(),
    ]
    if parts.identity is not None:
        works.append(parts.identity.rotating.run())
    is_sound = await _until(signals.stop, works)
    is_sound &= await _drain(parts)
    code = 0 if is_sound else 1
    _leave_soon(code)
    return code


def _say_addresses(parts: Parts) -> None:
    where = f"listening xds={parts.transport.address} admin={parts.admin.address}"
    if parts.secure is not None:
        where += f" secure={parts.secure.address}"
    print(where, file=sys.stderr, flush=True)


async def _until(stop: asyncio.Event, works: list[Coroutine[Any, Any, None]]) -> bool:
    """Do all of it until it is to stop. False where a part failed."""
    is_sound = True
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            await stop.wait()
            for task in tasks:
                task.cancel()
    except* Exception as errors:
        log.critical("a part of the daemon failed", exc_info=errors)
        is_sound = False
    return is_sound


async def _serve(parts: Parts) -> None:
    await parts.hub.ready.wait()
    parts.fleet.open()
    parts.admin.is_ready = True
    parts.health.serving(True)
    gc.collect()
    gc.freeze()
    notify.notify("READY=1", "STATUS=serving")
    log.info("serving", extra={"services": len(parts.hub.world.services)})


async def _tidy() -> None:
    while True:
        await asyncio.sleep(_TIDY_EVERY)
        gc.collect(1)


async def _drain(parts: Parts) -> bool:
    """End everything in order. False where a part of that failed."""
    notify.notify("STOPPING=1")
    parts.admin.is_ready = False
    parts.health.serving(False)
    log.info("draining", extra={"streams": len(parts.fleet.connections)})
    steps = {
        "xds": parts.drain(DRAIN_SECONDS),
        "registries": parts.hub.stop(),
        "admin": parts.admin.stop(),
    }
    is_sound = True
    for name, step in steps.items():
        try:
            async with asyncio.timeout(_DRAIN_AT_MOST):
                await step
        except Exception:
            log.exception("draining failed", extra={"part": name})
            is_sound = False
    if parts.identity is not None:
        parts.identity.close()
    log.info("stopped")
    return is_sound


def _leave_soon(code: int) -> None:
    """Everything is written down: a thread or a task that does not end is not waited for."""

    def leave() -> None:
        log.warning("left behind what did not end", extra={"threads": threading.active_count()})
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(_LEAVE_AT_MOST, leave)
    timer.daemon = True
    timer.start()
