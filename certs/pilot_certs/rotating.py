"""The rotation goes on by itself: what is due is done where the fleet is ready, or waits visibly.

Rule 1: one step at a time, and only when the journal has it. What fails is tried again at the next
turn; what was done before stays.
Rule 2: an authority that an operator has made is rotated by new files of his, never by a root of
our own: nobody would trust it.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import NoReturn

from pilot_certs import plugged_in, rotation
from pilot_certs.authority import Authority, Plugged
from pilot_certs.durable import StateError
from pilot_certs.ledger import Ledger
from pilot_certs.refusal import NotReady
from pilot_certs.rotation import Due, Fleet, NotYet
from pilot_certs.signers import Signer, WrongStep
from pilot_core.model import Problem, Severity
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two turns."""
WAITS, FAILED, EXPIRES = "rotation-waits", "rotation-failed", "authority-expires"
NOT_READY, DAMAGED, LATE = "authority-not-ready", "authority-damaged", "certificate-expires"
_BY = {"who": "pilot-core", "why": "new files in authority_dir"}
_SHOWN = 20
"""Late certificates that get a problem each; more are counted in the last one's message."""


class Rotating:
    """Turns the wheel of one authority, and shows what is wrong with it as problems."""

    def __init__(
        self,
        authority: Authority,
        fleet: Fleet,
        ledger: Ledger,
        problems: Problems,
        *,
        folder: Path | None = None,
    ) -> None:
        self._authority, self._fleet, self._ledger = authority, fleet, ledger
        self._problems, self._folder = problems, folder
        self.waits_for = ""
        """What the step that is due waits for; empty where none is."""

    async def run(self) -> NoReturn:
        """Until cancelled."""
        while True:
            # Reading an operator's files may block, which proxies must not feel.
            plugged = await asyncio.to_thread(self._plugged)
            self.turn(plugged)
            await self._authority.clock.sleep(EVERY)

    def prepare(self, *, who: str, why: str) -> Signer:
        """Hand out the next root by hand: a new one of our own, or the operator's new files.

        Raises WrongStep, StateError.
        """
        plugged = plugged_in.read(self._folder) if self._folder else None
        return self._authority.prepare(plugged=plugged, who=who, why=why)

    def turn(self, plugged: Plugged | StateError | None = None) -> Due | None:
        """Do what is due, and look whether all is well."""
        step = self._step(plugged)
        self._look_at_authority()
        self._look_at_certificates()
        return step

    def _plugged(self) -> Plugged | StateError | None:
        if self._folder is None:
            return None
        try:
            return plugged_in.read(self._folder)
        except StateError as error:
            return error

    def _step(self, plugged: Plugged | StateError | None) -> Due | None:
        try:
            step = self._attempt(plugged)
        except NotYet as error:
            self._tell(WAITS, Severity.INFO, str(error))
            self._problems.clear(FAILED)
            return None
        except (StateError, WrongStep) as error:
            # Said once in the log, not at every turn.
            if not any(p.code == FAILED for p in self._problems):
                log.error("rotation failed", extra={"error": str(error)})
            self._tell(FAILED, Severity.ERROR, f"{error}; what is in use stays")
            return None
        self._problems.clear(FAILED)
        self._problems.clear(WAITS)
        self.waits_for = ""
        return step

    def _attempt(self, plugged: Plugged | StateError | None) -> Due | None:
        if isinstance(plugged, StateError):
            raise plugged
        if plugged is not None and self._authority.is_new(plugged):
            self._authority.prepare(plugged=plugged, **_BY)
            return Due.PREPARE
        if plugged is not None and self._authority.is_renewed(plugged):
            self._authority.renew(plugged, **_BY)
        return self._authority.advance(self._fleet, is_plugged=self._folder is not None)

    def _tell(self, code: str, severity: Severity, message: str) -> None:
        if code == WAITS:
            self.waits_for = message
        trust_domain = self._authority.trust_domain
        known = next((p for p in self._problems if p.code == code), None)
        if known is None or known.message != message:
            self._problems.raise_(
                Problem(code=code, severity=severity, object=trust_domain, message=message)
            )

    def _look_at_authority(self) -> None:
        self._say(DAMAGED, self._authority.journal.damage and _damage(self._authority))
        self._say(EXPIRES, self._ending())
        try:
            self._authority.check()
        except (NotReady, StateError) as error:
            self._say(NOT_READY, str(error))
        else:
            self._say(NOT_READY, "")

    def _ending(self) -> str:
        """Words about an authority that nears its end although it should have been replaced."""
        current = rotation.ending(
            self._authority.signers, self._authority.clock.now(), self._authority.thresholds
        )
        if current is None:
            return ""
        left = current.not_after - self._authority.clock.now()
        cure = (
            f"put a new authority into {self._folder}"
            if self._folder
            else "see rotation-waits and rotation-failed; `pilot-core ca activate --force` at worst"
        )
        return f"signer {current.id[:12]} ends in {left / 3600:.1f} h: {cure}"

    def _say(self, code: str, message: str) -> None:
        """A problem while there is something to say."""
        if message:
            self._tell(code, Severity.ERROR, message)
        else:
            self._problems.clear(code)

    def _look_at_certificates(self) -> None:
        late = {str(held.holder.name): held for held in self._ledger.late()}
        shown = dict(sorted(late.items())[:_SHOWN])
        for problem in tuple(self._problems):
            if problem.code == LATE and problem.object not in shown:
                self._problems.clear(LATE, source=problem.source, object=problem.object)
        now = self._authority.clock.now()
        known = {problem.object for problem in self._problems if problem.code == LATE}
        for name, held in shown.items():
            if name in known:
                continue
            left = max(0.0, held.window.not_after - now)
            self._problems.raise_(
                Problem(
                    code=LATE,
                    severity=Severity.WARNING,
                    object=name,
                    message=f"its certificate at {held.holder.peer or 'an unknown address'} ends "
                    f"in {left:.0f} s and was not renewed: does its agent run, and reach us?",
                )
            )


def _damage(authority: Authority) -> str:
    journal = authority.journal
    return (
        f"{journal.path} was damaged ({journal.damage}); its copy is in use, which may be one step "
        f"behind: see `pilot-core ca status`, then remove {journal.path.name}.damaged"
    )
