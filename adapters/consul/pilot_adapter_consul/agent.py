"""Reading from a Consul agent: one HTTP client per session, with its token and its TLS.

Rule 1: every answer that is not 200 is an error of the contract: Denied or Unavailable.
Rule 2: a blocking query is given longer than the agent may take (`wait` and a sixteenth of it).
Rule 3: nothing from the environment: no proxies, no netrc, no cookies.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Denied, Unavailable
from pilot_core.connector import Connector

SHORT, LONG = 30, 300
"""Seconds that the agent holds a blocking query; it adds up to a sixteenth. The few that are held
shortly tell that the agent is there at all; the many are held long, and cost next to nothing."""
_CONNECT, _ANSWER, _MARGIN = 10, 30, 10
_TEXT = 300


class Reply(msgspec.Struct, frozen=True):
    """What an agent answered with 200."""

    content: bytes
    index: str | None
    is_filtered: bool
    """The token may not see all of it."""
    has_leader: bool


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


class Agent:
    """The HTTP API of one agent. An async context; made on the event loop."""

    def __init__(self, config: ConsulConfig) -> None:
        self._config = config
        self.url = config.url
        self._token = Token(config.token_file)
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # `limit`: how many are open at a time is the watches' business.
        connector = Connector(ssl=trust(self._config), limit=0)
        jar = aiohttp.DummyCookieJar()
        self._client = aiohttp.ClientSession(connector=connector, cookie_jar=jar)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def read(
        self,
        path: str,
        *,
        datacenter: str = "",
        index: int = 0,
        wait: int = SHORT,
        is_decisive: bool = False,
        absent: bytes | None = None,
    ) -> Reply:
        """One read; it blocks for up to `wait` seconds where there is an index. Any server may
        answer, unless it decides whether something is gone: then the leader has to. `absent` is
        the content that a 404 stands for. Raises Unavailable and Denied."""
        query: dict[str, str] = {} if is_decisive else {"stale": ""}
        if datacenter:
            query["dc"] = datacenter
        if index:
            query |= {"index": str(index), "wait": f"{wait}s"}
        target = str(URL(path, encoded=True).with_query(query))
        answer = await self.exchange("GET", target, wait=wait if index else 0)
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
                timeout=_patience(wait),
                allow_redirects=False,
            ) as answer:
                return Answer(answer.status, answer.headers, await answer.read())
        except aiohttp.ServerDisconnectedError:
            raise Unavailable(
                f"{self.url} closed a connection; if it keeps doing so, its "
                f"limits.http_max_conns_per_client is below {self._config.connections}"
            ) from None
        except TimeoutError:
            path = target.partition("?")[0]
            raise Unavailable(f"{self.url}{path}: no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self.url}: {str(error) or type(error).__name__}") from error

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
            )
        said = f"{self.url}{path}: {answer.said()}"
        if answer.status in (401, 403):
            raise Denied(f"{said}; {self._token.cure()}")
        raise Unavailable(said)


def _patience(wait: int) -> aiohttp.ClientTimeout:
    read = wait * 17 / 16 + _MARGIN if wait else _ANSWER
    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=read)


class Token:
    """The ACL token in a file, which may be replaced at any time."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._headers: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        """What to send. Raises Unavailable where the file holds no token."""
        if self._file is None:
            return {}
        try:
            status = self._file.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                self._headers = {"X-Consul-Token": self._read(self._file)}
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise Unavailable(f"token_file {self._file} cannot be read: {reason}") from None
        return self._headers

    def cure(self) -> str:
        if self._file is None:
            return "token_file names a file with an ACL token"
        return f'the token in {self._file} needs service_prefix "" and node_prefix "" read'

    def _read(self, file: Path) -> str:
        token = file.read_text(encoding="ascii").strip()
        if not token or not token.isprintable() or " " in token:
            raise Unavailable(f"token_file {file} holds no token: one word is expected")
        return token


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
