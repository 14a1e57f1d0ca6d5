"""Renewal: a certificate is replaced at half of its life, and kept while that fails.

Rule 1: when to renew is decided by the time of day, looked at anew at every turn: clocks jump.
Rule 2: failures are spaced by a growing delay, but never so far apart that what is held would end
without another attempt.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import csr
from pilot_certs.agent import held
from pilot_certs.agent.held import Held, Svid
from pilot_certs.spiffe import SpiffeId
from pilot_core.aio import Backoff
from pilot_core.clock import Clock
from pilot_core.errors import PilotError

log = logging.getLogger(__name__)

_JITTER = 0.1
_LOOK_EVERY = 60.0
_FIRST, _LONGEST = 1.0, 150.0


class Answer(NamedTuple):
    """What an authority answers: PEM, leaf first; and the roots."""

    chain: tuple[str, ...]
    roots: tuple[str, ...]
    signer: str = ""


class Source(Protocol):
    """Where certificates come from."""

    async def fetch(self, csr_pem: bytes, name: SpiffeId, current: Svid | None) -> Answer:
        """A certificate for this request; `current` proves who asks. Raises PilotError, OSError."""


class Renewal:
    """Keeps one workload's certificate fresh."""

    def __init__(
        self,
        name: SpiffeId,
        source: Source,
        into: Held,
        clock: Clock,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.name, self._source, self._held, self._clock = name, source, into, clock
        self._uniform = uniform
        self._backoff = Backoff(_FIRST, _LONGEST, uniform=uniform)
        current = into.svids.get(name)
        # What is there already, from a cache or from joining, is not asked for again.
        self._due = self._middle(current) if current else 0.0
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Renew now, whenever it would be due: what is held is not to be used any longer."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Until cancelled."""
        while True:
            if self._is_due():
                delay = await self._attempt()
            else:
                delay = min(_LOOK_EVERY, self._due - self._clock.now())
            await self._rest(delay)

    def _is_due(self) -> bool:
        current = self._held.svids.get(self.name)
        now = self._clock.now()
        return self._asked.is_set() or current is None or now >= min(self._due, current.not_after)

    async def _attempt(self) -> float:
        """Renew once; how long to wait then."""
        try:
            await self._renew()
        except (PilotError, OSError, TimeoutError) as error:
            delay = self._retry_in()
            said = {"workload": str(self.name), "error": str(error), "retry_in": delay}
            log.warning("certificate not renewed", extra=said)
            return delay
        self._asked.clear()
        self._backoff.reset()
        return 0.0

    async def _renew(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.load_der_x509_csr(csr.make(key)).public_bytes(Encoding.PEM)
        current = self._held.svids.get(self.name)
        answer = await self._source.fetch(request, self.name, current)
        # Roots first: nobody may see a certificate before he trusts who has signed it.
        self._held.trust(answer.roots)
        new = held.svid(self.name, answer.chain, key, signer=answer.signer)
        self._held.take(new)
        self._due = self._middle(new)
        due_in = self._due - self._clock.now()
        log.info("certificate renewed", extra={"workload": str(self.name), "due_in": due_in})

    def _middle(self, svid: Svid) -> float:
        """When half of its life from now on is over, more or less; never before that for who was
        away for longer."""
        now = self._clock.now()
        half = (svid.not_after - max(now, svid.not_before)) / 2
        return now + half * self._uniform(1 - _JITTER, 1 + _JITTER)

    def _retry_in(self) -> float:
        delay = self._backoff.delay()
        current = self._held.svids.get(self.name)
        left = current.not_after - self._clock.now() if current else 0.0
        return min(delay, max(_FIRST, left / 2)) if left > 0 else min(delay, 5.0)

    async def _rest(self, seconds: float) -> None:
        """Wait, or until somebody asks."""
        if self._asked.is_set():
            await self._clock.sleep(max(seconds, 0))
            return
        waits = [
            asyncio.ensure_future(self._clock.sleep(max(seconds, 0))),
            asyncio.ensure_future(self._asked.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
