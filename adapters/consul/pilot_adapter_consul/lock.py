"""The leader's lock in Consul: a key that a session holds, which lives as long as it is renewed.

developer.hashicorp.com/consul/docs/dynamic-app-config/sessions has the guarantees.

Rule 1: a term ends at four fifths of the TTL after its last renewal was sent. Consul frees the key
after the TTL at the earliest, and gives it to nobody else before the lock delay is over.
Rule 2: a session that Consul does not know, or a key that it does not hold, ends the term at once.
Rule 3: the fence is the key's ModifyIndex as of the term's beginning: an index of Consul's log, so
it grows also where somebody has deleted the key, which begins LockIndex anew.
Rule 4: who stops leading gives the key back, and spares the others the lock delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from consul import base

from pilot_adapter_consul.agent import Agent, Reply
from pilot_adapter_consul.client import Client
from pilot_adapter_consul.position import Pace, Position
from pilot_core.adapter import Denied, Host, LeaderLock, Term, Unavailable, reign
from pilot_core.aio import Backoff

T = TypeVar("T")

_SAFE = 4 / 5
_RENEWALS = 3
_RETRY = 1.0
_FAREWELL = 3.0
"""Seconds for giving the key back; where that fails, it is free after TTL and lock delay."""


class LockSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One lock. Its token needs `key "KEY" { policy = "write" }` and
    `session_prefix "" { policy = "write" }`."""

    key: str
    """Such as `pilot-core/leader`."""
    holder: str
    """Who holds it, for people: the value of the key, and the session's name."""
    ttl: int = 15
    """Seconds, 10 to 86400. Consul may take up to twice as long to notice that a holder is gone."""
    lock_delay: int = 15
    """Seconds, 0 to 60, for which nobody gets the key of a holder that is gone."""

    def __post_init__(self) -> None:
        if not self.key or self.key.startswith("/"):
            raise ValueError(f'a key that does not begin with "/" is needed, found "{self.key}"')
        if not 10 <= self.ttl <= 86_400:
            raise ValueError(f"Consul wants a ttl of 10 to 86400 seconds, found {self.ttl}")
        if not 0 <= self.lock_delay <= 60:
            raise ValueError(f"Consul wants a lock_delay of 0 to 60 s, found {self.lock_delay}")


class _Key(msgspec.Struct, rename="pascal"):
    session: str = ""


_keys = msgspec.json.Decoder(tuple[_Key, ...])


class ConsulLock(LeaderLock):
    """The lock that one key is. One `run` at a time."""

    def __init__(self, agent: Agent, settings: LockSettings, host: Host) -> None:
        self._agent, self._settings, self._host = agent, settings, host
        self._clock = host.clock
        self._client = Client(agent)
        self._path = f"/v1/kv/{quote(settings.key, safe='/')}"
        self._session = ""
        self._has_led = False
        """With this session, which has to end before another term begins: a new fence."""

    async def run(self, lead: Callable[[Term], Coroutine[Any, Any, T]]) -> T:
        """See `LeaderLock.run`."""
        try:
            while True:
                term = await self._win()
                self._has_led = True
                self._host.log.info("leading", extra={"fence": term.fence})
                work = await reign(term, self._clock, lead, self._renew, self._watch)
                if not work.cancelled():
                    return work.result()
                self._host.log.warning("stepped down", extra={"fence": term.fence})
                await self._give_back()
        finally:
            await self._give_back()

    async def _win(self) -> Term:
        """Wait until the key is ours."""
        backoff, is_reached = Backoff(), True
        while True:
            try:
                term = await self._attempt()
                if term is not None:
                    return term
                await self._follow(lambda session: not session)
                backoff.reset()
                is_reached = True
            except Unavailable as error:
                if is_reached:
                    self._host.log.warning("no lock to be had", extra={"error": str(error)})
                is_reached = False
            # A free key is not given to anybody before its lock delay is over.
            await self._clock.sleep(backoff.delay())

    async def _attempt(self) -> Term | None:
        settings, kv = self._settings, self._client.kv
        if self._has_led:
            await self._end_session()
        asked = self._clock.monotonic()
        await self._live_session()
        is_ours = await kv.put(settings.key, settings.holder, acquire=self._session)
        if not is_ours:
            return None
        _, key = await kv.get(settings.key, consistency="consistent")
        if key is None or key.get("Session") != self._session:
            return None
        term = Term(self._clock, key["ModifyIndex"], asked + settings.ttl * _SAFE)
        return term if term.holds() else None

    async def _live_session(self) -> None:
        """The one that we have, if Consul knows it still, else a new one."""
        session = self._client.session
        if self._session:
            with suppress(base.NotFound):
                await session.renew(self._session)
                return
        self._session = await session.create(
            name=self._settings.holder,
            ttl=self._settings.ttl,
            lock_delay=self._settings.lock_delay,
        )

    async def _renew(self, term: Term) -> None:
        """Prolong it, until Consul does not know the session any more."""
        pause = self._settings.ttl / _RENEWALS
        while True:
            await self._clock.sleep(pause)
            asked = self._clock.monotonic()
            try:
                await self._client.session.renew(self._session)
            except base.NotFound:
                return
            except Unavailable:
                pause = _RETRY
            else:
                pause = self._settings.ttl / _RENEWALS
                term.prolong(asked + self._settings.ttl * _SAFE)

    async def _watch(self, term: Term) -> None:
        """Until the key is held by another session, or none."""
        while term.holds():
            try:
                await self._follow(lambda session: session != self._session)
                return
            except Unavailable:
                await self._clock.sleep(_RETRY)

    async def _follow(self, is_over: Callable[[str], bool]) -> None:
        """Until that is true of the session that holds the key, as the leader of Consul's says."""
        position, pace = Position(), Pace()
        while True:
            pause = pace.delay(self._clock.monotonic())
            if pause:
                await self._clock.sleep(pause)
            reply = await self._agent.read(
                self._path, index=position.index, is_decisive=True, absent=b"[]"
            )
            if is_over(_holder(reply)):
                return
            position.advance(reply.index)

    async def _give_back(self) -> None:
        # Nothing is lost where this fails: the session ends by its TTL.
        with suppress(Unavailable, Denied, TimeoutError, base.ConsulException):
            async with asyncio.timeout(_FAREWELL):
                await self._end_session()

    async def _end_session(self) -> None:
        """Free the key, then end the session: to end it alone would begin the lock delay."""
        if self._session:
            key, holder = self._settings.key, self._settings.holder
            await self._client.kv.put(key, holder, release=self._session)
            await self._client.session.destroy(self._session)
        self._session, self._has_led = "", False


def _holder(reply: Reply) -> str:
    try:
        found = _keys.decode(reply.content)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"/v1/kv: this is no answer of Consul's: {error}") from None
    return found[0].session if found else ""
