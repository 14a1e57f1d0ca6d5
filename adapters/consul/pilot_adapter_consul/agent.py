"""Reading from a Consul agent: one HTTP client per session, with its token and its TLS.

Rule 1: every answer that is not 200 is an error of the contract: Denied or Unavailable.
Rule 2: a blocking query is given longer than the agent may take (`wait` and a sixteenth of it).
Rule 3: nothing from the environment: no proxies, no netrc, no cookies.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import NoReturn, Self

import aiohttp
import msgspec
from yarl import URL

from pilot_adapter_consul import tokens
from pilot_adapter_consul.scope import Scope
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Denied, Unavailable
from pilot_core.clock import Clock
from pilot_core.connector import Connector

SHORT, LONG = 30, 300
"""Seconds that the agent holds a blocking query; it adds up to a sixteenth. The few that are held
shortly tell that the agent is there at all; the many are held long, and cost next to nothing."""
_CONNECT, _ANSWER, _MARGIN = 10, 30, 10
_GOODBYE = 2
_NO_BEARER = (b"error validating", b"error parsing")
"""How Consul begins what it says, with status 500, of a bearer token that is none."""
_TOO_MANY = 429
_TEXT = 300
_OWN = Scope()


class Reply(msgspec.Struct, frozen=True):
    """What an agent answered with 200."""

    content: bytes
    index: str | None
    is_filtered: bool
    """The token may not see all of it."""
    has_leader: bool
    last_contact: float = 0.0
    """Seconds since the server that answered heard of the leader."""


class Answer(msgspec.Struct, frozen=True):
    """What an agent answered, whatever it was."""

    status: int
    headers: Mapping[str, str]
    """Found in upper and lower case."""
    content: bytes

    @property
    def is_filtered(self) -> bool:
        return self.headers.get("X-Consul-Results-Filtered-By-ACLs") == "true"

    def said(self) -> str:
        """Status and words, for people."""
        text = " ".join(self.content.decode(errors="replace").split())[:_TEXT]
        return f"{self.status} {text}"


class Crowded(Unavailable):
    """The agent takes connections, and closes them: there are too many, or it is about to end."""


class Agent:
    """The HTTP API of one agent. An async context; made on the event loop."""

    def __init__(self, config: ConsulConfig, *, margin: float = _MARGIN) -> None:
        """`margin`: seconds that an agent may be late with an answer."""
        self._config, self._margin = config, margin
        self.url = config.url
        self._token = tokens.source(config.token_file, config.login)
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # `limit`: how many are open at a time is the watches' business.
        connector = Connector(ssl=trust(self._config), limit=0)
        jar = aiohttp.DummyCookieJar()
        self._client = aiohttp.ClientSession(connector=connector, cookie_jar=jar)
        try:
            if isinstance(self._token, tokens.Login):
                await self._log_in(self._token)
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is None:
            return
        try:
            if isinstance(self._token, tokens.Login):
                await self._log_out(self._token.headers())
        finally:
            await self._client.close()

    async def keep_logged_in(self, clock: Clock) -> NoReturn:
        """Another token before the one from the auth method expires, for ever. Raises Unavailable
        and Denied."""
        login = self._token
        while isinstance(login, tokens.Login) and login.given and login.given.renewal is not None:
            await clock.sleep(login.given.renewal)
            before = login.headers()
            await self._log_in(login)
            await self._log_out(before)
        await asyncio.Event().wait()
        raise AssertionError("not reached: nobody sets it")

    async def read(
        self,
        path: str,
        *,
        scope: Scope = _OWN,
        index: int = 0,
        wait: int = SHORT,
        is_decisive: bool = False,
        absent: bytes | None = None,
    ) -> Reply:
        """One read; it blocks for up to `wait` seconds where there is an index. Any server may
        answer, unless it decides whether something is gone: then the leader has to. `absent` is
        the content that a 404 stands for. Raises Unavailable and Denied."""
        query = scope.query | ({} if is_decisive else {"stale": ""})
        if index:
            query |= {"index": str(index), "wait": f"{wait}s"}
        target = str(URL(path, encoded=True).update_query(query))
        held, shown = wait if index else 0, self._token.headers()
        answer = await self.exchange("GET", target, wait=held, headers=shown)
        if answer.status in (401, 403) and shown != self._token.headers():
            # The token was replaced while the question was held.
            answer = await self.exchange("GET", target, wait=held)
        return self._taken(path, answer, absent)

    async def exchange(
        self,
        method: str,
        target: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        wait: int = 0,
    ) -> Answer:
        """One request for a target that is encoded already, with the token in the file unless
        `headers` have one. Raises Unavailable where there is no answer."""
        assert self._client is not None
        try:
            async with self._client.request(
                method,
                URL(self.url + target, encoded=True),
                data=data,
                headers={**self._token.headers(), **(headers or {})},
                timeout=self._patience(wait),
                allow_redirects=False,
            ) as answer:
                return Answer(answer.status, answer.headers, await answer.read())
        except aiohttp.ServerDisconnectedError:
            raise Crowded(
                f"{self.url} closed a connection; if it keeps doing so, its "
                f"limits.http_max_conns_per_client is below {self._config.connections}"
            ) from None
        except TimeoutError:
            path = target.partition("?")[0]
            raise Unavailable(f"{self.url}{path}: no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self.url}: {str(error) or type(error).__name__}") from error

    def _patience(self, wait: int) -> aiohttp.ClientTimeout:
        read = wait * 17 / 16 + self._margin if wait else _ANSWER
        return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=read)

    async def _log_in(self, login: tokens.Login) -> None:
        answer = await self.exchange("POST", "/v1/acl/login", data=login.request(), headers={})
        if answer.status in (400, 401, 403) or answer.content.startswith(_NO_BEARER):
            raise tokens.refused(login.settings, answer.said())
        if answer.status != 200:
            raise Unavailable(f"{self.url}/v1/acl/login: {answer.said()}")
        login.given = tokens.given.decode(answer.content)

    async def _log_out(self, headers: Mapping[str, str]) -> None:
        """A token that cannot be given back expires by itself, or stays: nobody is held up."""
        try:
            async with asyncio.timeout(_GOODBYE):
                await self.exchange("POST", "/v1/acl/logout", headers=headers)
        except (Unavailable, TimeoutError):
            return

    def _taken(self, path: str, answer: Answer, absent: bytes | None) -> Reply:
        content = answer.content if answer.status == 200 else None
        if answer.status == 404:
            content = absent
        if content is not None:
            headers = answer.headers
            return Reply(
                content,
                headers.get("X-Consul-Index"),
                answer.is_filtered,
                headers.get("X-Consul-KnownLeader") == "true",
                _milliseconds(headers.get("X-Consul-LastContact")),
            )
        said = f"{self.url}{path}: {answer.said()}"
        if answer.status in (401, 403):
            raise Denied(f"{said}; {self._token.cure(_needed(path))}")
        if answer.status == _TOO_MANY and b"concurrent connections" in answer.content:
            raise Crowded(f"{said} ({self._config.connections} are configured)")
        raise Unavailable(said)


def _milliseconds(said: str | None) -> float:
    return int(said) / 1000 if said and said.isdecimal() else 0.0


def _needed(path: str) -> str:
    """The rules that a token needs for it, as they are written in a policy."""
    if path.startswith("/v1/peering/"):
        return 'peering = "read"'
    return 'service_prefix "" and node_prefix "" read'


def trust(config: ConsulConfig) -> ssl.SSLContext:
    """Whom to trust, and who we are. Raises Unavailable where a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
        if config.cert_file is not None:
            context.load_cert_chain(str(config.cert_file), str(config.key_file))
        return context
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        names = [f"{f}" for f in (config.ca_file, config.cert_file, config.key_file) if f]
        raise Unavailable(f"{', '.join(names)} cannot be used: {reason}") from None
