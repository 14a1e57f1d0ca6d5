"""A thread that sees the event loop stand still, and who holds it up.

Rule 1: what holds it up is logged while it does, for it may never end; whoever asks the daemon
itself is told afterwards, for a while.
Rule 2: a loop that turns slowly, as on a busy machine, is not held up: it has to be in the same
callback all the time.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple, NoReturn

from pilot_core.model import Problem, Severity
from pilot_core.registry import confined
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

BLOCKED = "loop-blocked"
AFTER = 2.0
"""Seconds in one callback that count as standing still."""
SHOWN = 300.0
"""Seconds for which it stays among the problems."""
_CORE = "pilot_core.registry"
_LIBRARY = sysconfig.get_path("stdlib")
_LOOKS = 8
"""Looks at the loop in that time."""


class Blocked(NamedTuple):
    """Who holds the loop up: a registry, or nobody's adapter, and at which line."""

    registry: str
    place: str


class LoopWatch:
    """Watches the loop that `run` runs on."""

    def __init__(self, problems: Problems, *, after: float = AFTER, shown: float = SHOWN) -> None:
        self._problems, self._after, self._shown = problems, after, shown
        self._beat = 0
        self._since = time.monotonic()
        self._raised: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = 0

    async def run(self) -> NoReturn:
        """Show the thread that the loop turns, until cancelled."""
        self._thread = threading.get_ident()
        loop = asyncio.get_running_loop()
        self._turn()
        threading.Thread(target=self._look, args=(loop,), name="loop watch", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(self._after / _LOOKS)
                self._turn()
        finally:
            self._stopped.set()

    def _turn(self) -> None:
        self._since = time.monotonic()
        self._beat += 1

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        seen, count = (0, 0), 0
        while not self._stopped.wait(self._after / _LOOKS):
            frame = sys._current_frames().get(self._thread)
            now = self._beat, _callback(frame)
            count = count + 1 if now == seen and now[1] else 0
            seen = now
            if count == _LOOKS:
                self._tell(loop, frame)
            # Whoever keeps a frame keeps alive what its variables hold.
            del frame

    def _tell(self, loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> None:
        found = blocked(frame)
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        extra = {"registry": found.registry, "place": found.place, "stack": stack}
        log.error("the event loop stands still", extra=extra)
        if found.registry and not loop.is_closed():
            loop.call_soon_threadsafe(self._raise, found, self._since)

    def _raise(self, found: Blocked, since: float) -> None:
        """On the loop again."""
        now = self._raised[found.registry] = time.monotonic()
        self._problems.raise_(
            Problem(
                code=BLOCKED,
                severity=Severity.WARNING,
                registry=found.registry,
                object=found.registry,
                message=(
                    f"the adapter held everything up for {now - since:.1f} s, at {found.place}: "
                    "blocking calls belong into a thread"
                ),
                origin=found.place.partition(" ")[0],
            )
        )
        loop = asyncio.get_running_loop()
        loop.call_later(self._shown, self._over, found.registry, now)

    def _over(self, registry: str, raised: float) -> None:
        if self._raised.get(registry) == raised:
            self._problems.clear(BLOCKED, registry=registry)


def _callback(frame: FrameType | None) -> int:
    """What tells one callback of the loop from the next: the frame above the loop's own."""
    while frame is not None and frame.f_back is not None:
        if frame.f_back.f_code is asyncio.Handle._run.__code__:
            return id(frame)
        frame = frame.f_back
    return 0


def blocked(frame: FrameType | None) -> Blocked:
    """Whose work the frame is, and at which line: the innermost one of the adapter's own package,
    for that of a library says little."""
    registry, outermost = confined.owner_of(frame)
    frames = list(_outwards(frame, outermost))
    if not frames:
        return Blocked(registry, "")
    package = next((p for p in map(_package, reversed(frames)) if p != _CORE), "")
    is_ours = [_package(at) == package if registry else not _is_standard(at) for at in frames]
    at = next((at for at, ours in zip(frames, is_ours, strict=True) if ours), frames[0])
    where = f"{at.f_code.co_filename}:{at.f_lineno}"
    return Blocked(registry, f"{where} in {at.f_code.co_qualname}")


def _outwards(frame: FrameType | None, outermost: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back if frame is not outermost else None


def _package(frame: FrameType) -> str:
    """The first part of the module's name; the supervisor, which calls the adapter, apart."""
    name = str(frame.f_globals.get("__name__", ""))
    return _CORE if name.startswith(f"{_CORE}.") else name.partition(".")[0]


def _is_standard(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith((_LIBRARY, "<frozen")) and "site-packages" not in file
