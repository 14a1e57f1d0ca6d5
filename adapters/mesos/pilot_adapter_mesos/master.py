"""The leading master: found from any, and asked on one session.

Rule 1: a redirect is followed by hand: the body and the credentials go along, and `Location` is
relative to the protocol.
Rule 2: a master that is not there yet (refused, 404, 503) is passed over; who refuses us is not.

Source: mesos.apache.org, "Operator HTTP API".
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import urljoin

import aiohttp

from pilot_adapter_mesos import credentials
from pilot_adapter_mesos.wire import Wire
from pilot_core.adapter import Denied, Unavailable
from pilot_core.connector import Connector

_PATH = "/api/v1"
_HOPS = 3
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5)
_ANSWER = aiohttp.ClientTimeout(total=60, sock_connect=5, sock_read=30)


class Master:
    """A conversation with whoever leads; `async with`."""

    def __init__(
        self,
        urls: Sequence[str],
        wire: Wire,
        *,
        credentials_file: Path | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._urls, self._wire = urls, wire
        self._credentials, self._ca_file = credentials_file, ca_file
        self._leader = ""
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Master:
        tls = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        self._http = aiohttp.ClientSession(
            connector=Connector(ssl=tls),
            headers={"Content-Type": self._wire.content_type, "Accept": self._wire.content_type},
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=1 << 20,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def subscribe(self) -> aiohttp.ClientResponse:
        """The stream of events of the leading master. Raises Unavailable, Denied."""
        reasons = []
        for url in self._urls:
            try:
                return await self._subscribe(urljoin(url, _PATH))
            except (Unavailable, aiohttp.ClientError, TimeoutError) as error:
                reasons.append(f"{url}: {error or type(error).__name__}")
        raise Unavailable("no leading master: " + "; ".join(reasons))

    async def _subscribe(self, url: str) -> aiohttp.ClientResponse:
        for _ in range(_HOPS):
            answer = await self._post(url, "SUBSCRIBE", _TIMEOUT)
            if answer.status == 200:
                self._leader = url
                return answer
            location = answer.headers.get("Location", "")
            status = answer.status
            answer.close()
            if status != 307 or not location:
                raise Unavailable(f"answers {status}")
            url = urljoin(url, location)
        raise Unavailable(f"redirects more than {_HOPS} times, last to {url}")

    async def ask(self, call: str) -> bytes:
        """The leader's answer to a call without arguments. Raises Unavailable, Denied."""
        answer = await self._post(self._leader, call, _ANSWER)
        async with answer:
            if answer.status != 200:
                raise Unavailable(f"{call}: the master answers {answer.status}")
            return await answer.read()

    async def _post(
        self, url: str, call: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        answer = await self._http.post(
            url,
            data=self._wire.call(call),
            headers=credentials.authorization(self._credentials, "credentials_file"),
            allow_redirects=False,
            timeout=timeout,
        )
        if answer.status in (401, 403):
            answer.close()
            raise Denied(
                f"{call}: the master refuses with {answer.status}; the principal needs the realm "
                "mesos-master-readwrite, and to view frameworks, tasks and agents"
            )
        return answer
