"""The adapter `cloudfoundry`: what emitters tell the routers of a foundation over NATS.

Rule 1: NATS keeps nothing: a first view is complete when everybody has had the time to repeat
themselves, and nothing is put before.
Rule 2: the tables outlive sessions: nobody is missed for being silent while nobody listened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NoReturn

from pilot_adapter_cloudfoundry import feed
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.feed import Feed
from pilot_adapter_cloudfoundry.registry import registries
from pilot_adapter_cloudfoundry.session import Session
from pilot_core.adapter import Adapter, Finding, Host, Sink, Unavailable


class CloudFoundry(Adapter):
    """Reads the HTTP and internal routes of a Cloud Foundry foundation."""

    api = 1
    Config = CloudFoundryConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._registries = registries(config)
        self._is_complete = False

    @classmethod
    def check(cls, config: Any) -> Iterable[Finding]:
        """Are the files there?"""
        for name in ("credentials_file", "ca_file", "cert_file", "key_file"):
            path = getattr(config.nats, name)
            if path is not None and not path.is_file():
                yield Finding(f"nats.{name}", 0, 0, f"there is no file {path}")

    async def run(self, sink: Sink) -> NoReturn:
        async with feed.connected(self.config.nats) as source:
            session = Session(
                self._registries, self.config, sink, self.host, is_complete=self._is_complete
            )
            await source.listen(session.take)
            async with asyncio.TaskGroup() as group:
                group.create_task(source.lost())
                group.create_task(self._settle(session, source))
                group.create_task(session.publish())
                group.create_task(session.expire())
        raise Unavailable("the session has ended")

    async def _settle(self, session: Session, source: Feed) -> None:
        await session.settle(source)
        self._is_complete = True
