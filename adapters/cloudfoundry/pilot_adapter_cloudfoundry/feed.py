"""One connection to NATS: it listens, and ends with the first message that may have been lost.

Rule 1: it never answers a greeting and never introduces itself: every emitter would repeat itself
as often as it asks. It may greet.
Rule 2: no password and no message gets into a log or an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, SlowConsumerError

from pilot_adapter_cloudfoundry import messages
from pilot_adapter_cloudfoundry.config import NatsConfig
from pilot_adapter_cloudfoundry.messages import Start
from pilot_core.adapter import Denied, Unavailable

T = TypeVar("T")
Take = Callable[[str, bytes], None]
_CONNECT_TIMEOUT = 5
_CLOSE_TIMEOUT = 1.0
_PING_INTERVAL = 20
_GREETING_TIMEOUT = 2.0
_PENDING = 131072
"""Messages that may wait for us, as many as the foundation's own routers let wait."""
_UNAUTHORIZED = "authorization violation"
_REFUSED = "permissions violation for subscription"


class Feed:
    """A connection that hears `router.*` and `service-discovery.*`."""

    def __init__(self, client: Client, ended: asyncio.Future[None]) -> None:
        self._client, self._ended = client, ended

    async def lost(self) -> NoReturn:
        """Wait until the connection is of no use any more. Raises Unavailable or Denied."""
        await asyncio.shield(self._ended)
        raise Unavailable("the connection to NATS has ended")

    async def listen(self, take: Take) -> None:
        """Give every message, as subject and data, to `take`, from now on."""

        async def heard(message: Msg) -> None:
            take(message.subject, message.data)

        for subject in ("router.*", "service-discovery.*"):
            await self._client.subscribe(subject, cb=heard, pending_msgs_limit=_PENDING)
        await _aside(self._client.flush(timeout=_CONNECT_TIMEOUT))

    async def greet(self, subject: str) -> Start | None:
        """What a router says of itself; None where nobody answers, or we may not ask."""
        try:
            asked = self._client.request(subject, b"", timeout=_GREETING_TIMEOUT)
            answer = await _aside(asked)
            return messages.start(answer.data)
        except (Error, msgspec.MsgspecError):
            # Only what a router asks for is missing then; a broken connection is told by `lost`.
            return None


@contextlib.asynccontextmanager
async def connected(config: NatsConfig) -> AsyncIterator[Feed]:
    """A connection to the first server that answers. Raises Unavailable or Denied."""
    client, ended = await _connect(config)
    try:
        yield Feed(client, ended)
    except (Error, ConnectionError, TimeoutError) as error:
        raise Unavailable(f"NATS: {error or type(error).__name__}") from error
    finally:
        ended.cancel()
        await _close(client)


async def _connect(config: NatsConfig) -> tuple[Client, asyncio.Future[None]]:
    """A client, and what becomes an error when it is of no use any more."""
    user, password = _credentials(config)
    tls = _tls(config)
    problem: Exception | None = None
    for url in config.servers:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client, errors = Client(), _Errors(ended)
        connecting = client.connect(
            url,
            name="pilot-core",
            user=user,
            password=password,
            tls=tls,
            # The core begins the next session; the library would try for ever, and quietly.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=_CONNECT_TIMEOUT,
            ping_interval=_PING_INTERVAL,
            # We hear router.* ourselves: nobody else there has to be told at once.
            no_echo=True,
            error_cb=errors.told,
            closed_cb=_on_closed(ended),
        )
        try:
            await _aside(connecting)
        except (Error, OSError, TimeoutError) as error:
            await _close(client)
            if _UNAUTHORIZED in str(error).lower():
                raise Denied(f"{_place(url)} refuses these credentials") from None
            problem = Unavailable(f"{_place(url)} does not answer: {errors.last or error!r}")
        except asyncio.CancelledError:
            await _close(client)
            raise
        else:
            return client, ended
    raise problem or Unavailable("there is no NATS server")


async def _close(client: Client) -> None:
    """The library waits for a connection to close that has never opened, where it was its TLS that
    failed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await client.close()


async def _aside(work: Coroutine[Any, Any, T]) -> T:
    """Its result, from a task of its own: the library waits with `asyncio.wait_for`, which may
    lose a cancellation before Python 3.12 (python/cpython#86296)."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise


class _Errors:
    """What the library tells besides what it raises."""

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self._ended = ended
        self.last: Exception | None = None

    async def told(self, error: Exception) -> None:
        self.last = error
        if isinstance(error, SlowConsumerError):
            _end(
                self._ended,
                Unavailable("messages of NATS were lost: they come faster than we read"),
            )
        elif _REFUSED in str(error).lower():
            _end(
                self._ended,
                Denied("NATS lets us not subscribe to router.* and service-discovery.*"),
            )


def _on_closed(ended: asyncio.Future[None]) -> Callable[[], Awaitable[None]]:
    async def told() -> None:
        _end(ended, Unavailable("the connection to NATS has ended"))

    return told


def _end(ended: asyncio.Future[None], why: Exception) -> None:
    if not ended.done():
        ended.set_exception(why)
        ended.exception()  # somebody who has gone already need not be told


def _place(url: str) -> str:
    return urlsplit(url).netloc


def _credentials(config: NatsConfig) -> tuple[str | None, str | None]:
    """Raises Unavailable: the file may be there in a moment."""
    path = config.credentials_file
    if path is None:
        return None, None
    try:
        user, colon, password = path.read_text().strip().partition(":")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{path} cannot be read: {type(error).__name__}") from None
    if not colon:
        raise Denied(f"{path} does not hold user:password")
    return user, password


def _tls(config: NatsConfig) -> ssl.SSLContext | None:
    """None where no server is to be spoken to over TLS."""
    is_asked = config.ca_file or config.cert_file
    if not is_asked and not any(url.startswith("tls:") for url in config.servers):
        return None
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file and config.key_file:
            context.load_cert_chain(config.cert_file, config.key_file)
    except OSError as error:
        raise Unavailable(f"the files for TLS cannot be used: {error}") from None
    return context
