"""Following Diego through its BBS: lists now and then, events in between.

Rule 1: the stream is opened before the first list, so that nothing falls in between.
Rule 2: however the stream ends, what was told is kept, and everything is listed anew.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import NoReturn

from pilot_adapter_cloudfoundry.bbs import Bbs
from pilot_adapter_cloudfoundry.config import BbsConfig
from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.lrp import Event
from pilot_adapter_cloudfoundry.tls import TlsFiles
from pilot_core.adapter import Host, Unavailable

_CONFIRM = 5.0
"""Seconds until a list that has lost much is asked for again."""
_ORPHANS = 1.0
"""Seconds that what is desired may come after its first instance."""


class Cells:
    """What was told outlives sessions: a process is missed only where its domain is fresh."""

    def __init__(self, config: BbsConfig, diego: Diego, host: Host) -> None:
        self.diego = diego
        self._config, self._host = config, host
        self._files = TlsFiles(config.ca_file, config.cert_file, config.key_file)
        self._is_current, self._lost = False, -math.inf

    def age(self) -> float:
        """Seconds since what is known was the whole truth; 0 while it is followed."""
        return 0.0 if self._is_current else self._host.clock.monotonic() - self._lost

    async def run(self, has_read: Callable[[], None], on_change: Callable[[], None]) -> NoReturn:
        """Follow until the stream ends. Raises Unavailable or Denied, also in groups."""
        bbs = Bbs(self._config.url, self._files)
        self.diego.ask()
        try:
            async with bbs.events() as events, asyncio.TaskGroup() as group:
                group.create_task(self._lists(bbs, has_read, on_change))
                group.create_task(self._orphans(bbs, on_change))
                async for event in events:
                    self._take(event, on_change)
                raise Unavailable(f"{self._config.url} has ended the stream of events")
        finally:
            if self._is_current:
                self._is_current, self._lost = False, self._host.clock.monotonic()
            await bbs.close()
        raise AssertionError("not reached: the stream ends by an error only")

    def _take(self, event: Event, on_change: Callable[[], None]) -> None:
        self.diego.take(event)
        if self.diego.changed:
            on_change()

    async def _lists(
        self, bbs: Bbs, has_read: Callable[[], None], on_change: Callable[[], None]
    ) -> NoReturn:
        while True:
            listing = await bbs.list()
            self._check(not listing.desired and not listing.fresh)
            self.diego.listed(listing)
            on_change()
            if self.diego.is_holding:
                self._host.log.warning("a list has lost much: it has to be confirmed")
                await self._host.clock.sleep(_CONFIRM)
            else:
                self._is_current = True
                has_read()
                await self._host.clock.sleep(self._config.resync)
            self.diego.ask()

    def _check(self, is_blank: bool) -> None:
        """A database that has been restored, or lost, knows nothing, and says so of itself."""
        if is_blank:
            raise Unavailable(
                f"{self._config.url} knows no application, and no domain is fresh: "
                "its database is not filled yet"
            )

    async def _orphans(self, bbs: Bbs, on_change: Callable[[], None]) -> NoReturn:
        """Ask for what has instances, and of which nobody has said what leads to it."""
        asked: set[str] = set()
        while True:
            before = self.diego.orphans() - asked
            await self._host.clock.sleep(_ORPHANS)
            lost = before & self.diego.orphans()
            if lost:
                asked |= lost
                self.diego.found(await bbs.routing(frozenset(lost)))
                on_change()
