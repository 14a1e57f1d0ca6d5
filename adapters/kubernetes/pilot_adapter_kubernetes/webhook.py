"""The HTTPS server that an API server asks.

Rule 1: a certificate that is renewed on disk is used from the next connection on.
Rule 2: what cannot be answered is an error status: whether the object passes then is what the
webhook's failurePolicy says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from pilot_adapter_kubernetes import admission
from pilot_adapter_kubernetes.settings import WebhookConfig
from pilot_core.adapter import Host, Unavailable

_LARGEST = 8 << 20
"""Bytes: etcd takes objects of 1.5 MB, and a review holds two of them."""
_LOOK_EVERY = 2.0

Answer = Callable[[bytes], bytes]


class Webhook:
    """Serves `answers`, by path, while `run` does."""

    def __init__(self, config: WebhookConfig, host: Host, answers: Mapping[str, Answer]) -> None:
        self._config, self._host = config, host
        self._application = web.Application(client_max_size=_LARGEST)
        for path, answer in answers.items():
            self._application.router.add_post(path, _handler(answer))
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._seen = (0, 0)

    async def run(self, on_serving: Callable[[], None] = lambda: None) -> NoReturn:
        """Raises Unavailable where its certificate cannot be read or its port is taken."""
        try:
            await asyncio.to_thread(self._load)
        except OSError as error:
            raise Unavailable(f"webhook: the certificate cannot be used: {error}") from error
        runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        host, _, port = self._config.address.rpartition(":")
        try:
            await web.TCPSite(runner, host, int(port), ssl_context=self._context).start()
            on_serving()
            while True:
                await self._host.clock.sleep(_LOOK_EVERY)
                await self._renew()
        except OSError as error:
            raise Unavailable(f"webhook: {self._config.address}: {error}") from error
        finally:
            await runner.cleanup()

    async def _renew(self) -> None:
        try:
            await asyncio.to_thread(self._load)
        except OSError as error:
            # Half of a pair, in the midst of a renewal: what was loaded goes on.
            self._host.log.warning("certificate of the webhook", extra={"error": str(error)})

    def _load(self) -> None:
        files = self._config.cert_file, self._config.key_file
        seen = files[0].stat().st_mtime_ns, files[1].stat().st_mtime_ns
        if seen != self._seen:
            self._context.load_cert_chain(*files)
            self._seen = seen


def _handler(answer: Answer) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = answer(await request.read())
        except admission.NoReview as error:
            return web.Response(status=400, text=str(error))
        return web.Response(body=body, content_type="application/json")

    return handle
