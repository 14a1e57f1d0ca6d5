"""Marathons beside the master: what they know of tasks is added, and none of them is needed.

Rule 1: events say that something has changed, not what: each listing is of everything.
Rule 2: a Marathon that cannot be read keeps what it last said, and that is shown.
Rule 3: two URLs of one framework are one Marathon: what one says that is away gives way.

Source: mesosphere.github.io/marathon, REST API and "Event bus".
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urljoin

import aiohttp
import msgspec

from pilot_adapter_mesos import credentials
from pilot_adapter_mesos.cluster import TaskKey
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.enrichment import Extra
from pilot_adapter_mesos.marathon_messages import App, Apps, Info, Pod
from pilot_adapter_mesos.marathon_view import MarathonView
from pilot_adapter_mesos.wire import Unread
from pilot_core.adapter import Denied, Host, Unavailable
from pilot_core.connector import Connector

T = TypeVar("T")
_APPS = "/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness&embed=apps.counts"
_PODS = "/v2/pods/::status"
_EVENTS = "/v2/events?plan-format=light"
_HOPS = 3
_PAUSE = 0.2
"""Seconds after an event, for the others that come with it."""
_RETRY = 5.0
_ANSWER = aiohttp.ClientTimeout(total=60, sock_connect=5, sock_read=30)
_STREAM = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=90)


class Marathons:
    """All that are configured; what they say stays over sessions. A mapping of what to add."""

    def __init__(self, config: MesosConfig, host: Host, unread: Unread) -> None:
        self.config = config
        self._each = [_Marathon(url, config, host, unread) for url in config.marathon]

    async def run(
        self, changed: Callable[[set[TaskKey]], None], say: Callable[[str, str], None]
    ) -> NoReturn:
        """Follow all of them. `changed` hears of tasks that look different, `say` of what is wrong
        with a Marathon: its URL, and words, which are empty where nothing is wrong any more."""
        tls = (
            ssl.create_default_context(cafile=self.config.ca_file) if self.config.ca_file else True
        )
        async with (
            aiohttp.ClientSession(
                connector=Connector(ssl=tls), cookie_jar=aiohttp.DummyCookieJar()
            ) as http,
            asyncio.TaskGroup() as group,
        ):
            for each in self._each:
                group.create_task(each.run(http, changed, say))
        raise Unavailable("nothing follows Marathon any more")

    async def have_been_asked(self) -> None:
        """Wait until each has answered once, or failed to."""
        for each in self._each:
            await each.has_been_asked.wait()

    def extra(self, key: TaskKey) -> Extra | None:
        """What is known of a task; from one that can be read, if there is one."""
        mine = [each for each in self._each if each.framework_id == key[0]]
        for each in sorted(mine, key=lambda each: not each.is_there):
            return each.extras.get(key[1])
        return None


class _Marathon:
    """One of them."""

    def __init__(self, url: str, config: MesosConfig, host: Host, unread: Unread) -> None:
        self.framework_id = ""
        self.extras: Mapping[str, Extra] = {}
        self.is_there = False
        self.has_been_asked = asyncio.Event()
        self._url, self._config, self._host, self._unread = url, config, host, unread
        self._view = MarathonView(use_service_ports=config.marathon_service_ports)
        self._http: aiohttp.ClientSession

    async def run(
        self,
        http: aiohttp.ClientSession,
        changed: Callable[[set[TaskKey]], None],
        say: Callable[[str, str], None],
    ) -> NoReturn:
        self._http = http
        while True:
            try:
                await self._follow(changed, say)
            except* (Unavailable, Denied, aiohttp.ClientError, TimeoutError, OSError) as errors:
                self.is_there = False
                say(self._url, f"{self._url}: {_words(errors)}; what it last said stays")
            self.has_been_asked.set()
            await self._host.clock.sleep(_RETRY)

    async def _follow(
        self, changed: Callable[[set[TaskKey]], None], say: Callable[[str, str], None]
    ) -> None:
        news = asyncio.Event()
        async with await self._stream() as stream, asyncio.TaskGroup() as group:
            group.create_task(self._listen(stream, news))
            group.create_task(self._remind(news))
            while True:
                # The stream is there first: what changes from now on is told of.
                news.clear()
                changed(await self._list())
                say(self._url, "")
                self.has_been_asked.set()
                await news.wait()
                await self._host.clock.sleep(_PAUSE)

    async def _listen(self, stream: aiohttp.ClientResponse, news: asyncio.Event) -> NoReturn:
        """Any event will do, and so will one that is only half there."""
        async for line in stream.content:
            if line.startswith(b"data:"):
                news.set()
        raise Unavailable("it has ended the stream of events")

    async def _remind(self, news: asyncio.Event) -> NoReturn:
        while True:
            await self._host.clock.sleep(self._config.resync)
            news.set()

    async def _list(self) -> set[TaskKey]:
        """Ask for everything; the tasks that look different now."""
        info = _decoded(await self._get("/v2/info"), Info)
        said = _decoded(await self._get(_APPS), Apps)
        apps = self._read(said.apps, App)
        listed = await self._get(_PODS, or_nothing=True)
        pods = self._read(_decoded(listed or b"[]", tuple[msgspec.Raw, ...]), Pod)
        before = {(self.framework_id, id): extra for id, extra in self.extras.items()}
        self.framework_id = info.framework_id or ""
        self.extras = self._view.read(apps, pods)
        self.is_there = True
        after = {(self.framework_id, id): extra for id, extra in self.extras.items()}
        return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}

    def _read(self, raws: tuple[msgspec.Raw, ...], kind: type[T]) -> list[T]:
        """Those that make sense; the others are told of."""
        found = []
        for raw in raws:
            try:
                found.append(msgspec.json.decode(raw, type=kind))
            except msgspec.MsgspecError as error:
                self._unread(f"marathon {kind.__name__.lower()}", str(error))
        return found

    async def _get(self, path: str, *, or_nothing: bool = False) -> bytes:
        async with await self._ask(self._url + path, "application/json", _ANSWER) as answer:
            if answer.status == 404 and or_nothing:
                return b""
            if answer.status != 200:
                raise Unavailable(f"{path} answers {answer.status}")
            return await answer.read()

    async def _stream(self) -> aiohttp.ClientResponse:
        """The leader's events: the others say who leads, and want credentials themselves."""
        url = self._url + _EVENTS
        for _ in range(_HOPS):
            answer = await self._ask(url, "text/event-stream", _STREAM)
            if answer.status == 200:
                return answer
            location = answer.headers.get("Location", "")
            answer.close()
            if answer.status not in (302, 303, 307) or not location:
                raise Unavailable(f"/v2/events answers {answer.status}")
            url = urljoin(url, location)
        raise Unavailable(f"/v2/events redirects more than {_HOPS} times, last to {url}")

    async def _ask(
        self, url: str, accept: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, **_authorization(self._config.marathon_credentials_file)}
        answer = await self._http.get(url, headers=headers, allow_redirects=False, timeout=timeout)
        if answer.status in (401, 403):
            answer.close()
            raise Denied(f"refuses with {answer.status}")
        return answer


def _authorization(file: Path | None) -> dict[str, str]:
    return credentials.authorization(file, "marathon_credentials_file")


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"an answer makes no sense: {error}") from None


def _words(errors: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
