"""The leader's lock in Kubernetes: a Lease, which its holder renews.

kubernetes.io/docs/concepts/architecture/leases, coordination.k8s.io/v1.

Rule 1: nobody compares clocks. A lease is free when its holder has given it back, or when it has
not changed for as long as it says while we were looking, by our own monotonic clock.
Rule 2: a term ends at four fifths of that time after its last renewal was sent: before anybody who
looks could find the lease free.
Rule 3: every write names the version that it replaces: of two who take it, one does.
Rule 4: the fence is the Lease's resource version as of the term's beginning. It grows with every
write to the server, also where somebody deletes the Lease, which begins leaseTransitions anew.
Rule 5: who stops leading gives it back.
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from pilot_adapter_kubernetes import wire
from pilot_adapter_kubernetes.api import Api, Refused
from pilot_core.adapter import Denied, Host, LeaderLock, Term, Unavailable, reign

T = TypeVar("T")

_SAFE = 4 / 5
_RENEWALS = 3
_RETRY = 1.0
_FAREWELL = 3.0
"""Seconds for giving it back; where that fails, it is free after its time."""
_ABSENT, _CONFLICT = 404, 409
_REFUSALS = (401, 403)


class LockSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One lock. It takes the rights to `get`, `create` and `update` `leases` of the group
    `coordination.k8s.io` in the namespace."""

    namespace: str
    name: str = "pilot-core"
    holder: str
    """Who holds it, for people; what makes two processes of one name differ is added."""
    seconds: int = 15
    """How long a holder that is gone keeps it."""

    def __post_init__(self) -> None:
        if self.seconds < 3:
            raise ValueError(f"a lease of less than 3 s is lost to every hiccup: {self.seconds}")


_lease = msgspec.json.Decoder(wire.Lease)


class LeaseLock(LeaderLock):
    """The lock that one Lease is. One `run` at a time; `api` is open meanwhile."""

    def __init__(self, api: Api, settings: LockSettings, host: Host) -> None:
        self._api, self._settings, self._host = api, settings, host
        self._clock = host.clock
        self._holder = f"{settings.holder}_{uuid.uuid4()}"
        space = f"/apis/coordination.k8s.io/v1/namespaces/{settings.namespace}/leases"
        self._all, self._path = space, f"{space}/{settings.name}"
        self._held: wire.Lease | None = None
        """As last written by us, while we hold it."""

    async def run(self, lead: Callable[[Term], Coroutine[Any, Any, T]]) -> T:
        """See `LeaderLock.run`."""
        try:
            while True:
                term = await self._win()
                self._host.log.info("leading", extra={"fence": term.fence})
                work = await reign(term, self._clock, lead, self._renew)
                if not work.cancelled():
                    return work.result()
                self._host.log.warning("stepped down", extra={"fence": term.fence})
                await self._give_back()
        finally:
            await self._give_back()

    async def _win(self) -> Term:
        """Wait until it is ours."""
        seen, since = "", 0.0
        while True:
            try:
                lease = await self._read()
                now = self._clock.monotonic()
                if lease is None or lease.metadata.resource_version != seen:
                    seen, since = lease.metadata.resource_version if lease else "", now
                if lease is None or _is_free(lease, now - since):
                    return await self._take(lease)
            except Unavailable as error:
                self._host.log.debug("no lease to be had", extra={"error": str(error)})
            await self._clock.sleep(min(_RETRY, self._settings.seconds / _RENEWALS))

    async def _take(self, lease: wire.Lease | None) -> Term:
        """Raises Unavailable where somebody was faster."""
        asked = self._clock.monotonic()
        before = lease.spec.lease_transitions or 0 if lease else -1
        stamp = self._stamp()
        spec = wire.LeaseSpec(
            holder_identity=self._holder,
            lease_duration_seconds=self._settings.seconds,
            acquire_time=stamp,
            renew_time=stamp,
            lease_transitions=before + 1,
        )
        held = await self._write(lease, spec)
        until = asked + self._settings.seconds * _SAFE
        return Term(self._clock, int(held.metadata.resource_version), until)

    async def _renew(self, term: Term) -> None:
        """Prolong it, until it is somebody else's."""
        pause = self._settings.seconds / _RENEWALS
        while True:
            await self._clock.sleep(pause)
            asked = self._clock.monotonic()
            try:
                if not await self._renewed():
                    return
            except Unavailable:
                pause = _RETRY
            else:
                pause = self._settings.seconds / _RENEWALS
                term.prolong(asked + self._settings.seconds * _SAFE)

    async def _renewed(self) -> bool:
        """False where we hold it no longer."""
        held = self._held
        if held is None:
            held = await self._read()
            if held is None or held.spec.holder_identity != self._holder:
                return False
        spec = msgspec.structs.replace(held.spec, renew_time=self._stamp())
        await self._write(held, spec)
        return True

    async def _give_back(self) -> None:
        # Nothing is lost where this fails: the lease runs out.
        with suppress(Unavailable, Denied, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                if self._held is not None:
                    spec = msgspec.structs.replace(self._held.spec, holder_identity="")
                    await self._write(self._held, spec)
        self._held = None

    # Talking to the server

    async def _read(self) -> wire.Lease | None:
        try:
            return _decoded(await self._api.call("GET", self._path))
        except Refused as refused:
            if refused.status == _ABSENT:
                return None
            raise self._failure(refused) from refused

    async def _write(self, replaced: wire.Lease | None, spec: wire.LeaseSpec) -> wire.Lease:
        """Make it, or replace that version of it. Raises Unavailable where that is not there."""
        meta = {"name": self._settings.name, "namespace": self._settings.namespace}
        if replaced is not None:
            meta["resourceVersion"] = replaced.metadata.resource_version
        method, path = ("PUT", self._path) if replaced else ("POST", self._all)
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        self._held = None
        try:
            answer = await self._api.call(method, path, {**body, "metadata": meta, "spec": spec})
        except Refused as refused:
            raise self._failure(refused) from refused
        self._held = _decoded(answer)
        return self._held

    def _failure(self, refused: Refused) -> Exception:
        if refused.status in _REFUSALS:
            return Denied(f"cannot keep the lease {self._path}: {refused}")
        return Unavailable(f"lease {self._path}: {refused}")

    def _stamp(self) -> str:
        """For people: nobody decides by it."""
        now = datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC)
        return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _is_free(lease: wire.Lease, unchanged: float) -> bool:
    spec = lease.spec
    return not spec.holder_identity or unchanged >= (spec.lease_duration_seconds or 0)


def _decoded(answer: bytes) -> wire.Lease:
    try:
        return _lease.decode(answer)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"this is no Lease: {error}") from None
