"""Asking the Cloud Controller now and then. What it said last holds while it says nothing.

Rule: no endpoint waits for it, and none goes because of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from pilot_adapter_cloudfoundry.cloud_controller import CloudController, Limited
from pilot_adapter_cloudfoundry.config import ApiConfig
from pilot_adapter_cloudfoundry.names import Names
from pilot_adapter_cloudfoundry.uaa import Uaa
from pilot_core.adapter import Denied, Host, Sink, Unavailable
from pilot_core.aio import Backoff

SOURCE = "api"


class Enrichment:
    """`names` outlives sessions."""

    def __init__(self, host: Host) -> None:
        self.names = Names()
        self._host = host

    async def run(
        self,
        config: ApiConfig,
        uaa: Uaa,
        sink: Sink,
        on_change: Callable[[], None],
        has_read: Callable[[], None],
    ) -> NoReturn:
        """Ask for ever. It has been read once there has been an answer, or none."""
        backoff, controller = Backoff(longest=config.interval), CloudController(config, uaa)
        try:
            while True:
                wait = float(config.interval)
                try:
                    names = await controller.names()
                except (Unavailable, Denied) as error:
                    sink.drop(SOURCE)
                    sink.note(f"labels are as they were last: {error}", source=SOURCE)
                    wait = error.after if isinstance(error, Limited) else backoff.delay()
                else:
                    backoff.reset()
                    sink.drop(SOURCE)
                    self._take(names, on_change)
                has_read()
                await self._host.clock.sleep(wait)
        finally:
            await controller.close()

    def _take(self, names: Names, on_change: Callable[[], None]) -> None:
        if names != self.names:
            self.names = names
            on_change()
