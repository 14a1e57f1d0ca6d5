"""The adapter `consul`: sessions with an agent, each over one or more scopes.

Rule 1: with several scopes, one that cannot be reached keeps none of the others from going on, and
what is known of it stays, also over a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from pilot_adapter_consul import attest, tokens
from pilot_adapter_consul.agent import Agent, trust
from pilot_adapter_consul.catalogue import Catalogue
from pilot_adapter_consul.kv import Document, Documents
from pilot_adapter_consul.reader import Reader
from pilot_adapter_consul.scope import Scope, scopes
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Adapter, Denied, Finding, Host, Sink, Unavailable
from pilot_core.aio import Backoff
from pilot_core.model import Evidence, Workload


class Consul(Adapter):
    """Follows Consul's catalogue."""

    api = 1
    Config = ConsulConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._settings: ConsulConfig = config
        self._catalogues = [Catalogue(config, host, scope) for scope in scopes(config)]
        self._documents: dict[str, Document] = {}
        self._agent: Agent | None = None

    @classmethod
    def check(cls, config: ConsulConfig) -> Iterator[Finding]:
        """Whether the files it names can be used."""
        looks: list[Callable[[], object]] = [lambda: trust(config)]
        if config.login is not None:
            looks.append(tokens.Login(config.login).request)
        else:
            looks.append(tokens.File(config.token_file).headers)
        for look in looks:
            try:
                look()
            except Unavailable as error:
                yield Finding("", 0, 0, str(error))

    async def run(self, sink: Sink) -> NoReturn:
        async with Agent(self._settings) as agent:
            with self._at_hand(agent):
                async with asyncio.TaskGroup() as group:
                    await self._follow(agent, sink, group)
        raise AssertionError("not reached: the group ends by an error only")

    async def _follow(self, agent: Agent, sink: Sink, group: asyncio.TaskGroup) -> None:
        group.create_task(agent.keep_logged_in(self.host.clock))
        if self._settings.kv:
            reader = Reader(agent, Scope(), self.host)
            documents = Documents(self._settings.kv, reader, sink, self._documents)
            await documents.read()
            group.create_task(documents.follow())
        await self._read(agent, sink, group)

    async def attest(self, evidence: Evidence) -> Workload:
        """The instance that a leaf of Consul's mesh, or an ACL token, belongs to."""
        if self._agent is None:
            raise Unavailable(f"{self._settings.url} is out of reach")
        return await attest.workload(self._agent, evidence, self.host.clock.now())

    @contextlib.contextmanager
    def _at_hand(self, agent: Agent) -> Iterator[None]:
        """Who is asked for workloads is the agent that is followed."""
        self._agent = agent
        try:
            yield
        finally:
            self._agent = None

    async def _read(self, agent: Agent, sink: Sink, group: asyncio.TaskGroup) -> None:
        unread = set(range(len(self._catalogues)))
        share = self._settings.connections // len(self._catalogues)

        def reader(number: int) -> Callable[[], None]:
            def has_read() -> None:
                unread.discard(number)
                if not unread:
                    sink.synced()

            return has_read

        if len(self._catalogues) == 1:
            await self._catalogues[0].run(agent, sink, reader(0), share)
        for number, catalogue in enumerate(self._catalogues):
            group.create_task(self._apart(catalogue, agent, sink, reader(number), share))

    async def _apart(
        self,
        catalogue: Catalogue,
        agent: Agent,
        sink: Sink,
        has_read: Callable[[], None],
        share: int,
    ) -> NoReturn:
        """One of several scopes, again and again."""
        backoff = Backoff()
        part = catalogue.scope.prefix

        def is_back() -> None:
            backoff.reset()
            if part:
                sink.synced(part)
            has_read()

        while True:
            try:
                await catalogue.run(agent, sink, is_back, share)
            except* (Unavailable, Denied) as failed:
                if not part:
                    raise  # nobody answers for the agent's own
                sink.keep(part, f"{catalogue.scope.words}: {_first(failed)}")
                has_read()
            await self.host.clock.sleep(backoff.delay())


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
