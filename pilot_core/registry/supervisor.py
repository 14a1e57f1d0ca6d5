"""The supervisor of one adapter: sessions one after the other, with the pauses in between.

Rule 1: whatever an adapter does, only its own state changes. It runs in a task of its own, so that
one that swallows its cancellation, cancels itself or exits takes nobody with it; the tasks that it
starts are confined as it is.
Rule 2: an outage is a warning without a traceback, a bug an error with one, once.
Rule 3: stopping takes at most the grace; who is not done by then is left behind, and that is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from pilot_core.adapter import Adapter
from pilot_core.aio import Backoff
from pilot_core.clock import Clock
from pilot_core.model import Problem, Severity
from pilot_core.registry import failure
from pilot_core.registry.confined import confined
from pilot_core.registry.failure import Cause
from pilot_core.registry.session import Session
from pilot_core.registry.state import Status
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

STALE = "registry-stale"
STUCK = "adapter-stuck"
GRACE = 5.0
"""Seconds that an adapter has for cleaning up before it is left behind."""
_LASTED = 60.0
"""Seconds of a session after which its end counts as a new trouble, though it never synced."""

_left_behind: set[asyncio.Task[None]] = set()
# asyncio keeps only weak references to tasks: one that is collected while it runs is worse than
# one that runs.


class Supervisor:
    """Runs one adapter until it is retired."""

    def __init__(
        self,
        status: Status,
        *,
        build: Callable[[], Adapter],
        open_session: Callable[[Callable[[], None]], Session],
        problems: Problems,
        clock: Clock,
        patience: float,
    ) -> None:
        self._status, self._build, self._open_session = status, build, open_session
        self._problems, self._clock, self._patience = problems, clock, patience
        self._adapter: Adapter | None = None
        self._session: Session | None = None
        self._backoff = Backoff()
        self._known_bugs: set[tuple[str, ...]] = set()
        self._last_outage = ""

    @property
    def adapter(self) -> Adapter | None:
        """What runs; None before its first session."""
        return self._adapter

    def close(self) -> None:
        """From now on, nothing that the adapter puts has an effect."""
        self._status.interrupted()
        if self._session is not None:
            self._session.close()

    async def run(self, after: asyncio.Task[NoReturn] | None = None) -> NoReturn:
        """Sessions for ever, once `after` (the adapter's predecessor) is over."""
        try:
            if self._status.has_data:
                self._raise_stale("not read yet")
            if after is not None:
                await asyncio.wait({after})
            while True:
                await self._clock.sleep(await self._one_session())
        finally:
            self._status.stopped()

    async def _one_session(self) -> float:
        """Returns how long to wait before the next one, in seconds."""
        self._status.began()
        session = self._session = self._open_session(self._synced)
        began = self._clock.monotonic()
        name = f"session of {self._status.name}"
        work = confined(self._status.name, self._run_adapter(session))
        task = asyncio.create_task(work, name=name)
        late = asyncio.create_task(self._notice_lateness(session))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            session.close()
            await self._see_off(task)
            raise
        finally:
            session.close()
            late.cancel()
        if session.is_synced or self._clock.monotonic() - began > _LASTED:
            self._backoff.reset()
        return self._ended(_error(task))

    async def _run_adapter(self, session: Session) -> None:
        if self._adapter is None:
            self._adapter = self._build()
        await self._adapter.run(session)
        raise failure.Returned("run() returned; it has to go on until it is cancelled")

    def _synced(self) -> None:
        self._status.synced()
        self._last_outage = ""
        self._problems.clear(STALE, registry=self._status.name)

    def _ended(self, error: BaseException) -> float:
        text = failure.describe(error)
        cause = failure.cause(error)
        self._log(error, text, cause)
        self._status.failed(text)
        self._raise_stale(text)
        return self._backoff.longest() if cause is Cause.DENIED else self._backoff.delay()

    async def _notice_lateness(self, session: Session) -> None:
        """A platform that never answers fails no call: somebody has to look at the clock."""
        await self._clock.sleep(self._patience)
        if not session.is_synced:
            self._raise_stale(f"no complete answer for {self._patience:g} s")

    def _raise_stale(self, text: str) -> None:
        served = "what it last said is served" if self._status.has_data else "never read so far"
        self._problems.raise_(
            Problem(
                code=STALE,
                severity=Severity.ERROR,
                registry=self._status.name,
                object=self._status.name,
                message=f"{text}; {served}",
                origin=self._status.name,
            )
        )

    def _log(self, error: BaseException, text: str, cause: Cause) -> None:
        extra = {"registry": self._status.name, "error": text, "sessions": self._status.sessions}
        if cause is not Cause.BUG:
            # One line per change of state; an outage of a day is not a thousand of them.
            level = logging.DEBUG if text == self._last_outage else logging.WARNING
            log.log(level, "session ended", extra=extra)
            self._last_outage = text
        elif failure.place(error) in self._known_bugs:
            log.warning("session ended by a known bug in the adapter", extra=extra)
        else:
            self._known_bugs.add(failure.place(error))
            log.error("session ended by a bug in the adapter", extra=extra, exc_info=error)

    async def _see_off(self, task: asyncio.Task[None]) -> None:
        """Cancel the session, and wait for it as long as the grace is."""
        task.cancel()
        grace = asyncio.create_task(self._clock.sleep(GRACE))
        try:
            await asyncio.wait({task, grace}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            grace.cancel()
            if not task.done():
                self._leave_behind(task)
        if task.done() and not task.cancelled() and task.exception() is not None:
            error = failure.describe(_error(task))
            extra = {"registry": self._status.name, "error": error}
            log.warning("adapter failed while it stopped", extra=extra)

    def _leave_behind(self, task: asyncio.Task[None]) -> None:
        name = self._status.name
        _left_behind.add(task)
        log.error("adapter does not stop: left behind", extra={"registry": name})
        message = f"the adapter did not stop within {GRACE:g} s and was left behind"
        self._problems.raise_(
            Problem(code=STUCK, registry=name, object=name, message=message, origin=name)
        )

        def gone(task: asyncio.Task[None]) -> None:
            _left_behind.discard(task)
            self._problems.clear(STUCK, registry=name)
            if not task.cancelled():
                task.exception()

        task.add_done_callback(gone)


def _error(task: asyncio.Task[None]) -> BaseException:
    if task.cancelled():
        return failure.Ended("the adapter cancelled itself")
    return task.exception() or failure.Returned("run() returned")


def left_behind() -> int:
    """How many adapters of this process do not stop; who ends the process need not wait."""
    return len(_left_behind)
