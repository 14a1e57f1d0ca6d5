"""The agent of a node: joins, keeps everybody's certificate fresh, follows what is trusted.

Rule 1: what is held is served until it ends, whoever is away: a control plane that is gone for
half of a certificate's life costs nobody a request.
Rule 2: new roots are handed on before anything that they have signed, and what has been taken is
reported, for rotations wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import chain, jwt_svids
from pilot_certs.agent.cache import Cache
from pilot_certs.agent.held import Held, Svid
from pilot_certs.agent.peers import Entry
from pilot_certs.agent.remote import Proof, Remote, Report, Told
from pilot_certs.agent.renewal import Answer, Renewal
from pilot_certs.agent.server import AgentServer
from pilot_certs.chain import Untrusted
from pilot_certs.durable import StateError
from pilot_certs.jwt_svids import Minted
from pilot_certs.spiffe import SpiffeId
from pilot_core.aio import Backoff
from pilot_core.clock import Clock
from pilot_core.errors import Denied, PilotError, Unavailable

log = logging.getLogger(__name__)

_FIRST, _LONGEST = 0.5, 30.0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is started with."""

    trust_domain: str
    socket: Path
    ca_file: Path
    """The roots that an operator vouches for, read whenever the server is called."""
    proof: Proof | None = None
    cache: Path | None = None
    users: Mapping[SpiffeId, int] = {}
    """Which user a workload runs as. Empty: all that the proof is worth, for our own user."""


class Agent:
    """Runs until it is cancelled. `on_ready` is called once everything is served."""

    def __init__(
        self, node: Node, remote: Remote, clock: Clock, *, on_ready: Callable[[], None]
    ) -> None:
        """Raises StateError where the cache is open to others."""
        self._node, self._remote, self._clock = node, remote, clock
        self._on_ready = on_ready
        self._cache = Cache(node.cache) if node.cache else None
        self._joining = asyncio.Lock()
        self._renewals: dict[SpiffeId, Renewal] = {}
        self._reported = Report((), (), ())
        self.is_ready = False
        self.held = Held(node.trust_domain)
        self._minted: dict[tuple[SpiffeId, tuple[str, ...]], Minted] = {}
        self.server = AgentServer(node.socket, self.held, (), mint=self.mint)

    async def run(self) -> NoReturn:
        """Raises Denied where the server does not know us, OSError where the socket cannot be."""
        if self._cache is not None and not self.is_ready:
            self._cache.load(self.held, self._clock.now())
        if not self._names() or not self._has(self._names()):
            await self.join()
        names = self._names()
        users = self._node.users or dict.fromkeys(names, os.geteuid())
        self.server.entries = tuple(Entry(name, uid) for name, uid in users.items())
        await self.server.start()
        try:
            self.is_ready = True
            self._on_ready()
            await self._work(names)
        finally:
            await self.server.stop()

    async def _work(self, names: tuple[SpiffeId, ...]) -> NoReturn:
        async with asyncio.TaskGroup() as group:
            for name in names:
                renewal = self._renewals[name] = Renewal(name, self, self.held, self._clock)
                group.create_task(renewal.run())
            group.create_task(self._follow(names[0]))
            group.create_task(self._keep())
        raise AssertionError("none of them ends")

    def _names(self) -> tuple[SpiffeId, ...]:
        return tuple(self._node.users) or tuple(self.held.svids)

    def _has(self, names: tuple[SpiffeId, ...]) -> bool:
        return all(name in self.held.svids for name in names)

    async def join(self) -> None:
        """Patiently: the control plane may start after us. Raises Denied."""
        backoff = Backoff(_FIRST, _LONGEST)
        while True:
            try:
                await self._join()
            except Unavailable as error:
                delay = backoff.delay()
                log.warning("not joined", extra={"error": str(error), "retry_in": delay})
                await self._clock.sleep(delay)
            else:
                break
        if missing := [str(name) for name in self._names() if name not in self.held.svids]:
            raise Denied(f"the proof is not worth {', '.join(missing)}")

    async def _join(self) -> None:
        if self._node.proof is None:
            raise Denied(
                "there is no certificate that is still valid, and nothing that proves who this is: "
                "a join token is needed"
            )
        answered = await self._remote.join(self._node.proof, self._trusted())
        self.held.trust(answered.roots)
        wanted = self._node.users
        for svid in answered.svids:
            if not wanted or svid.name in wanted:
                self.held.take(svid)

    def _trusted(self) -> tuple[str, ...]:
        """What the server may be known by: what we were told, and the operator's word, which helps
        whoever was away while everything changed. Raises Unavailable."""
        try:
            stated = chain.split(self._node.ca_file.read_bytes())
        except OSError as error:
            if self.held.roots:
                return self.held.roots
            raise Unavailable(f"{self._node.ca_file}: {error.strerror}") from None
        except Untrusted as error:
            raise Unavailable(f"{self._node.ca_file}: {error}") from None
        return tuple(dict.fromkeys((*self.held.roots, *stated)))

    async def fetch(self, csr_pem: bytes, name: SpiffeId, current: Svid | None) -> Answer:
        """`renewal.Source`: by the certificate that is held, or by joining anew."""
        if current is None or current.not_after <= self._clock.now():
            current = await self._rejoined(name)
        der = x509.load_pem_x509_csr(csr_pem).public_bytes(Encoding.DER)
        return await self._remote.renew(der, current, self._trusted())

    async def mint(self, name: SpiffeId, audiences: tuple[str, ...]) -> str:
        """A token for a workload of this node: one that is good for a while still, or a new one.
        Raises InvalidRequest, Denied, Unavailable."""
        wanted = (name, jwt_svids.check_audiences(audiences))
        now = self._clock.now()
        self._minted = {k: m for k, m in self._minted.items() if m.not_after > now}
        known = self._minted.get(wanted)
        if known is not None and known.not_after - now > jwt_svids.LIFETIME / 2:
            return known.token
        try:
            current = await self._rejoined(name)
            minted = await self._remote.mint(wanted[1], current, self._trusted())
        except Unavailable:
            if known is not None:
                return known.token
            raise
        self._minted[wanted] = minted
        return minted.token

    async def _rejoined(self, name: SpiffeId) -> Svid:
        # Several workloads whose certificates have ended join once.
        async with self._joining:
            current = self.held.svids.get(name)
            if current is None or current.not_after <= self._clock.now():
                await self._join()
                current = self.held.svids.get(name)
        if current is None:
            raise Denied(f"the proof is not worth {name} any more")
        return current

    async def _follow(self, name: SpiffeId) -> NoReturn:
        backoff = Backoff(_FIRST, _LONGEST)

        def told(said: Told) -> None:
            # It is there: should it go, it is looked for at once.
            backoff.reset()
            self._told(said)

        while True:
            try:
                current = await self._rejoined(name)
                self._reported = Report((), (), ())
                await self._remote.follow(current, self._trusted(), told=told, report=self._report)
            except PilotError as error:
                log.warning("not following what is trusted", extra={"error": str(error)})
            await self._clock.sleep(backoff.delay())

    def _told(self, told: Told) -> None:
        try:
            self.held.trust(told.roots)
            self.held.verify_with(told.jwt_keys)
        except Untrusted as error:
            log.error("roots that are none", extra={"error": str(error)})
        for name, renewal in self._renewals.items():
            svid = self.held.svids.get(name)
            if svid is not None and svid.signer in told.tainted:
                renewal.ask()

    async def _report(self) -> Report:
        """The next thing to say: what is different from what was said last."""
        while True:
            changed = asyncio.ensure_future(self.held.change())
            heard = asyncio.ensure_future(self.server.heard())
            try:
                now = self._state()
                if now != self._reported:
                    self._reported = now
                    return now
                await asyncio.wait([changed, heard], return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
                heard.cancel()

    def _state(self) -> Report:
        svids = self.held.svids
        before = self._reported
        roots = self.held.roots
        if self.server.lacking(roots):
            roots = tuple(root for root in roots if root in before.roots)
        signers = {svid.signer for svid in svids.values()}
        if self.server.outdated():
            signers |= set(before.signers)
        return Report(roots, tuple(sorted(signers)), tuple(sorted(svids)))

    async def _keep(self) -> None:
        """Write down what is held, whenever it changes."""
        while self._cache is not None:
            change = asyncio.ensure_future(self.held.change())
            try:
                self.save()
            except StateError as error:
                log.error("what is held is not kept on disk", extra={"error": str(error)})
            await change

    def save(self) -> None:
        """Raises StateError."""
        if self._cache is not None:
            self._cache.save(self.held)
