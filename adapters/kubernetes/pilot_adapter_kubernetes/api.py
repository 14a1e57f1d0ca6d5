"""Requests to one API server, and what its refusals mean.

Rule 1: no retry here, save one: after a 401 the credentials are read anew, for tokens rotate.
Rule 2: whatever is no answer raises `Refused` with the status; what is no conversation at all
raises Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from pilot_adapter_kubernetes import wire
from pilot_adapter_kubernetes.credentials import Access
from pilot_core.adapter import Unavailable
from pilot_core.clock import Clock
from pilot_core.connector import Connector

_CONNECT = 10.0
_ANSWER = 30.0
"""Seconds until a server has begun to answer."""
_OLD = 600.0
"""Seconds after which credentials are read again before the next request."""
_READ_AT_ONCE = 2**18
_DONE = (200, 201)
_MESSAGE = 300


class Refused(Exception):
    """The API server answered, but not with what was asked for."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class Api:
    """An API server. `async with api:` holds its connections."""

    def __init__(
        self, load: Callable[[], Awaitable[Access]], clock: Clock, *, idle: float = 180.0
    ) -> None:
        self._load, self._clock, self._idle = load, clock, idle
        self._access: Access | None = None
        self._read_at = 0.0
        self._session: aiohttp.ClientSession | None = None
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Api:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=min(_CONNECT, self._idle), sock_read=self._idle
            ),
            connector=Connector(limit=0),
            read_bufsize=_READ_AT_ONCE,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def get(
        self, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET, to be read. Raises Refused, Unavailable."""
        async with await self._answered("GET", path, params, None) as answer:
            if answer.status != 200:
                raise await _refused(answer)
            yield answer

    async def call(self, method: str, path: str, body: object = None) -> bytes:
        """One request with a JSON body, and the answer to it. Raises Refused, Unavailable."""
        content = None if body is None else msgspec.json.encode(body)
        async with await self._answered(method, path, {}, content) as answer:
            if answer.status not in _DONE:
                raise await _refused(answer)
            try:
                return await answer.read()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise Unavailable(f"{path} broke off: {error}") from error

    async def _answered(
        self, method: str, path: str, params: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        answer = await self._send(method, path, params, body)
        if answer.status == 401:
            answer.release()
            await self._renew(self._access)
            answer = await self._send(method, path, params, body)
        return answer

    async def _send(
        self, method: str, path: str, params: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        access = await self._current()
        assert self._session is not None, "used outside its context"
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json", "Content-Type": kind}
        if access.authorization:
            headers["Authorization"] = access.authorization
        try:
            async with asyncio.timeout(min(_ANSWER, self._idle)):
                return await self._session.request(
                    method,
                    access.url + path,
                    params=params,
                    data=body,
                    headers=headers,
                    ssl=access.tls,
                    server_hostname=access.server_name,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            raise Unavailable(f"{access.url} cannot be reached: {why}") from error

    async def _current(self) -> Access:
        access = self._access
        if access is None or self._clock.monotonic() - self._read_at > _OLD:
            access = await self._renew(access)
        return access

    async def _renew(self, known: Access | None) -> Access:
        """Read the credentials, unless another request has done so meanwhile."""
        async with self._reading:
            if self._access is None or self._access is known:
                self._access = await self._load()
                self._read_at = self._clock.monotonic()
            return self._access


async def _refused(answer: aiohttp.ClientResponse) -> Refused:
    body = await answer.read()
    return refusal(answer.status, body, answer.headers.get("Retry-After", ""))


def refusal(status: int, body: bytes, retry_after: str = "") -> Refused:
    """What a server says with a status that is not 200."""
    try:
        said = msgspec.json.decode(body, type=wire.Status).message or ""
    except msgspec.MsgspecError:
        said = body.decode(errors="replace")
    wait = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 6 else None
    return Refused(status, f"{status} {' '.join(said.split())[:_MESSAGE]}".strip(), wait)
