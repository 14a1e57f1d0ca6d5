"""The adapter `http`: one catalogue document, polled from a URL.

Rule 1: the document is one source. What cannot be parsed leaves what it said last.
Rule 2: an answer that is not the document (refused, redirected too often, too large, late) ends
the session; the core keeps what was put, and begins again after a pause.
Rule 3: nothing from the environment: no proxies, no netrc, no cookies.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn
from urllib.parse import urlsplit

import aiohttp
import msgspec

from pilot_core.adapter import (
    Adapter,
    Config,
    ConfigError,
    Denied,
    Finding,
    Host,
    Sink,
    Unavailable,
)
from pilot_core.connector import Connector
from pilot_core.dialects import catalogue
from pilot_core.dialects.catalogue import Catalogue
from pilot_core.dialects.complaints import complain
from pilot_core.document import Duration
from pilot_core.document.reader import MAX_BYTES

_REDIRECTS = 3
_CHUNK = 256 * 1024


class HttpConfig(Config, frozen=True):
    """Where the document is."""

    url: Annotated[str, msgspec.Meta(examples=["https://registry.example/catalogue.yaml"])]
    """`http://` or `https://`, without a user name or password in it."""
    interval: Duration = Duration(5)
    """How long to wait between two polls. A server that sends an `ETag` is not asked for the same
    document twice."""
    token_file: Path | None = None
    """A file with a token to send as `Authorization: Bearer TOKEN`; read again at every poll."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""

    def __post_init__(self) -> None:
        if problem := _url_problem(self.url):
            raise ConfigError(Finding("url", 0, 0, problem))
        if self.interval <= 0:
            raise ConfigError(Finding("interval", 0, 0, "it has to be longer than nothing"))


class _Answer(msgspec.Struct, frozen=True):
    """What a poll brought."""

    etag: str
    content: bytes
    is_json: bool


class _Known(msgspec.Struct, frozen=True):
    """The newest document, and what the last sound one said."""

    etag: str
    digest: bytes
    said: Catalogue | None
    failure: tuple[Finding, ...] = ()


class Http(Adapter):
    """Polls a catalogue document."""

    api = 1
    Config = HttpConfig
    timeout: ClassVar[aiohttp.ClientTimeout] = aiohttp.ClientTimeout(
        total=60, sock_connect=5, sock_read=10
    )

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._settings: HttpConfig = config
        self._known = _Known("", b"", None)

    @classmethod
    def check(cls, config: HttpConfig) -> Iterator[Finding]:
        """Whether the files it names can be used."""
        try:
            _read_token(config.token_file)
            _trust(config.ca_file)
        except (Unavailable, Denied) as error:
            yield Finding("", 0, 0, str(error))

    async def run(self, sink: Sink) -> NoReturn:
        trust = await asyncio.to_thread(_trust, self._settings.ca_file)
        connector = Connector(ssl=trust, limit=1)
        async with aiohttp.ClientSession(
            connector=connector, timeout=self.timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as client:
            told: _Known | None = None
            while True:
                answer = await self._poll(client)
                if answer is not None:
                    self._known = await asyncio.to_thread(self._read, answer)
                if told is None or not _say_the_same(told, self._known):
                    self._tell(sink)
                told = self._known
                sink.synced()
                await self.host.clock.sleep(self._settings.interval)

    def _tell(self, sink: Sink) -> None:
        said = self._known.said
        if said is not None:
            sink.put(self._settings.url, said.records)
        complain(sink, self._settings.url, self._known.failure or (said.refused if said else ()))

    def _read(self, answer: _Answer) -> _Known:
        """What the newest document says. Runs in a thread."""
        before = self._known
        digest = hashlib.blake2b(answer.content, digest_size=16).digest()
        if digest == before.digest:
            return msgspec.structs.replace(before, etag=answer.etag)
        said = before.said or catalogue.NOTHING
        url = self._settings.url
        try:
            now = catalogue.read(answer.content, url, before=said, is_json=answer.is_json)
        except ConfigError as error:
            return _Known(answer.etag, digest, before.said, error.findings)
        return _Known(answer.etag, digest, now)

    async def _poll(self, client: aiohttp.ClientSession) -> _Answer | None:
        """The document, or None where it is the known one."""
        url = self._settings.url
        headers = await self._headers()
        try:
            async with client.get(url, headers=headers, max_redirects=_REDIRECTS) as response:
                return await self._answer(response)
        except aiohttp.TooManyRedirects:
            raise Unavailable(f"{url}: redirects more than {_REDIRECTS} times") from None
        except TimeoutError:
            raise Unavailable(f"{url}: no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{url}: {str(error) or type(error).__name__}") from error

    async def _answer(self, response: aiohttp.ClientResponse) -> _Answer | None:
        status = f"{response.status} {response.reason or ''}".rstrip()
        if response.status == 304 and self._known.etag:
            return None
        if response.status in (401, 403):
            raise Denied(f"{self._settings.url}: {status}{self._cure()}")
        if response.status != 200:
            raise Unavailable(f"{self._settings.url}: expected 200, got {status}")
        return _Answer(
            response.headers.get("etag", ""),
            await self._body(response),
            response.content_type.endswith(("/json", "+json")),
        )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        # Counted as it comes, unpacked: a small compressed answer can be a huge document.
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > MAX_BYTES:
                limit = MAX_BYTES // 1024 // 1024
                raise Unavailable(f"{self._settings.url}: the document is larger than {limit} MiB")
        return bytes(body)

    async def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/yaml, application/json;q=0.9, */*;q=0.1"}
        if self._known.etag:
            headers["if-none-match"] = self._known.etag
        token = await asyncio.to_thread(_read_token, self._settings.token_file)
        if token:
            headers["authorization"] = f"Bearer {token}"
        return headers

    def _cure(self) -> str:
        file = self._settings.token_file
        return f", with the token in {file}" if file else "; token_file names a file with a token"


def _say_the_same(one: _Known, other: _Known) -> bool:
    return one.said is other.said and one.failure == other.failure


def _read_token(file: Path | None) -> str:
    """The token, or an empty string where none is configured."""
    if file is None:
        return ""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"token_file {file} cannot be read: {_reason(error)}") from None
    if not token.isprintable() or not token or " " in token:
        raise Unavailable(f"token_file {file} holds no token: one word is expected")
    return token


def _trust(file: Path | None) -> ssl.SSLContext:
    try:
        return _context(file, file.stat().st_mtime_ns if file else 0)
    except (OSError, ValueError) as error:
        raise Unavailable(f"ca_file {file} cannot be used: {_reason(error)}") from None


@functools.lru_cache(maxsize=64)
def _context(file: Path | None, changed: int) -> ssl.SSLContext:
    """A context takes 20 ms and a megabyte to make: not for every session of an outage."""
    return ssl.create_default_context(cafile=str(file) if file else None)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _url_problem(url: str) -> str:
    """What is wrong with a URL; empty if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"no URL: {error}"
    if parts.scheme not in ("http", "https") or not host:
        return f'expected a URL such as https://registry.example/catalogue, found "{url[:120]}"'
    if parts.username is not None:
        return "no user name or password in a URL: put a token into a file, and name it token_file"
    return ""
