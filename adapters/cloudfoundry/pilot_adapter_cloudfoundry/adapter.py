"""The adapter `cloudfoundry`: a foundation's applications, from its BBS, its emitters, or both.

Rule 1: what has been told outlives sessions; what cannot be told apart from an outage stays.
Rule 2: with both, the BBS is the one that ends a session: without NATS, what runs on Diego is known
all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from pilot_adapter_cloudfoundry import attest, trust
from pilot_adapter_cloudfoundry.cells import Cells
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from pilot_adapter_cloudfoundry.convert import Context
from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.emitters import Emitters
from pilot_adapter_cloudfoundry.kinds import Kind, kinds
from pilot_adapter_cloudfoundry.publisher import Publisher
from pilot_core.adapter import Adapter, Denied, Finding, Host, Sink, Unavailable
from pilot_core.aio import Backoff
from pilot_core.model import Evidence, Workload

_BBS, _NATS, _ROOTS = "bbs", "nats", trust.SOURCE


class CloudFoundry(Adapter):
    """Reads the HTTP, TCP and internal routes of a Cloud Foundry foundation."""

    api = 1
    Config = CloudFoundryConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._config: CloudFoundryConfig = config
        self.diego = Diego(config.bbs.max_loss) if config.bbs else None
        """What Diego runs, where its BBS is read."""
        self._cells = Cells(config.bbs, self.diego, host) if self.diego else None
        self._emitters = Emitters(config, host)
        self._kinds = kinds(
            config,
            self.diego,
            self._emitters.router.table,
            self._emitters.discovery.table,
        )

    @classmethod
    def check(cls, config: Any) -> Iterable[Finding]:
        """Are the files there?"""
        for setting, path in config.files():
            if not path.is_file():
                yield Finding(setting, 0, 0, f"there is no file {path}")

    async def run(self, sink: Sink) -> NoReturn:
        parts = {name for name in (_BBS, _NATS) if getattr(self._config, name) is not None}
        roots = f"{self.host.name}/instances" if self._config.instance_ca_file else ""
        if roots:
            parts.add(_ROOTS)
        context = Context(self._config, roots)
        troubles = self.diego.troubles if self.diego else {}
        publisher = Publisher(self._kinds, context, sink, self.host, parts=parts, troubles=troubles)
        if self._emitters.is_complete:
            publisher.waive(_NATS)
        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.run())
            if self._config.instance_ca_file is not None:
                group.create_task(self._trust(roots, self._config.instance_ca_file, publisher))
            if self._cells is not None:
                group.create_task(self._follow(self._cells, publisher))
            if self._config.nats is not None:
                listen = self._listen if self._cells is None else self._listen_apart
                group.create_task(listen(self._config.nats, publisher))
        raise Unavailable("the session has ended")

    async def attest(self, evidence: Evidence) -> Workload:
        """`pilot_core.adapter.Attestor`: the process whose instance presents its certificate."""
        if evidence.kind != attest.KIND:
            raise Denied(f"a proof of kind {evidence.kind[:40]!r} is none of an instance")
        path, cells = self._config.instance_ca_file, self._cells
        if path is None or cells is None:
            raise Denied("instances are known by `bbs` and `instance_ca_file`, which are not set")
        proof = attest.proof(evidence.payload)
        said = attest.identity(proof, trust.read(path), self.host.clock.now())
        limits = self._config.attestation
        if cells.age() > limits.stale:
            raise Unavailable(f"the BBS has not been read for {cells.age():.0f} s")
        if cells.age() and cells.diego.instance(said.guid) is None:
            raise Unavailable(f"{said.guid} is not known, and the BBS cannot be read now")
        return attest.workload(said, cells.diego, evidence.peer if limits.check_peer else "")

    async def _trust(self, roots: str, path: Path, publisher: Publisher) -> None:
        await trust.follow(
            roots, path, publisher.sink, self.host, lambda: publisher.has_read(_ROOTS)
        )

    async def _follow(self, cells: Cells, publisher: Publisher) -> None:
        def changed() -> None:
            _note(cells.diego, self._kinds)
            publisher.nudge()

        await cells.run(lambda: publisher.has_read(_BBS), changed)

    async def _listen(self, nats: NatsConfig, publisher: Publisher) -> None:
        await self._emitters.run(nats, lambda: publisher.has_read(_NATS), publisher.nudge)

    async def _listen_apart(self, nats: NatsConfig, publisher: Publisher) -> NoReturn:
        """Again and again, while the BBS is followed."""
        backoff = Backoff()

        def is_back() -> None:
            backoff.reset()
            publisher.sink.drop(_NATS)
            publisher.has_read(_NATS)

        while True:
            try:
                await self._emitters.run(nats, is_back, publisher.nudge)
            except* (Unavailable, Denied) as failed:
                publisher.sink.warn(f"NATS: {_first(failed)}", source=_NATS)
                publisher.waive(_NATS)
            await self.host.clock.sleep(backoff.delay())


def _note(diego: Diego, all_kinds: tuple[Kind, ...]) -> None:
    """Tell every kind which processes look different."""
    processes, diego.changed = diego.changed, set()
    for kind in all_kinds:
        if kind.own is not None:
            for process in processes:
                kind.own.update(process)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
