"""The supervisor of one adapter: sessions one after the other, with the pauses in between.

Rule 1: whatever an adapter does, only its own state changes.
Rule 2: an outage is a warning without a traceback, a bug an error with one, once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from pilot_core.adapter import Adapter, Denied, Unavailable
from pilot_core.aio import Backoff
from pilot_core.clock import Clock
from pilot_core.model import Problem, Severity
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.session import Session
from pilot_core.registry.state import RegistryStatus, State
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

STALE = "registry-stale"
_OUTAGES = (Unavailable, Denied, OSError, TimeoutError, asyncio.IncompleteReadError)
_LASTED = 60.0
"""Seconds of a session after which its end counts as a new trouble, though it never synced."""


class Supervisor:
    """Runs one adapter until it is cancelled."""

    def __init__(
        self,
        adapter: Adapter,
        status: RegistryStatus,
        mirror: Mirror,
        problems: Problems,
        clock: Clock,
    ) -> None:
        self.status = status
        self._adapter, self._mirror = adapter, mirror
        self._problems, self._clock = problems, clock
        self._backoff = Backoff()
        self._last_bug = ""

    async def run(self) -> NoReturn:
        """Sessions for ever. Only cancellation leaves it."""
        try:
            while True:
                await self._clock.sleep(await self._session())
        finally:
            self.status.turn(State.STOPPED)

    async def _session(self) -> float:
        """One session; returns how long to wait before the next, in seconds."""
        self.status.begin()
        session = Session(self.status, self._mirror, self._problems)
        started = self._clock.monotonic()
        watcher = asyncio.create_task(self._clear_when_synced())
        try:
            await self._adapter.run(session)
            raise TypeError("run() returned; it has to go on until it is cancelled")
        except Exception as error:  # noqa: BLE001  the one place where an adapter may fail
            self._ended(error)
            return self._delay(error, self._clock.monotonic() - started)
        finally:
            session.close()
            watcher.cancel()

    async def _clear_when_synced(self) -> None:
        """The registry is no longer stale once this session has shown a complete view."""
        self.status.has_synced.clear()
        await self.status.has_synced.wait()
        self._problems.clear(STALE, registry=self.status.name)

    def _delay(self, error: Exception, lasted: float) -> float:
        if self.status.was_session_synced or lasted > _LASTED:
            self._backoff.reset()
        return self._backoff.longest() if _is_denied(error) else self._backoff.delay()

    def _ended(self, error: Exception) -> None:
        text = describe(error)
        self.status.error = text
        self.status.turn(State.STALE if self.status.has_data else State.STARTING)
        self._problems.raise_(
            Problem(
                code=STALE,
                severity=Severity.ERROR,
                registry=self.status.name,
                object=self.status.name,
                message=text if self.status.has_data else f"not read yet: {text}",
                origin=self.status.name,
            )
        )
        self._log(error, text)

    def _log(self, error: Exception, text: str) -> None:
        extra = {"registry": self.status.name, "error": text, "sessions": self.status.sessions}
        if _is_outage(error) or text == self._last_bug:
            log.warning("session ended", extra=extra)
            return
        self._last_bug = text
        log.error("session ended by a bug in the adapter", extra=extra, exc_info=error)


def describe(error: BaseException) -> str:
    """One line for people; the members of a group, each once."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(describe(e) for e in error.exceptions))
    text = " ".join(str(error).split()) or "without a word"
    return text if isinstance(error, Unavailable | Denied) else f"{type(error).__name__}: {text}"


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _is_outage(error: BaseException) -> bool:
    return all(isinstance(leaf, _OUTAGES) for leaf in _leaves(error))


def _is_denied(error: BaseException) -> bool:
    return any(isinstance(leaf, Denied) for leaf in _leaves(error))
