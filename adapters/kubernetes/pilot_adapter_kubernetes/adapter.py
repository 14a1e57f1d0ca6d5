"""The adapter: the cluster at home, and those beside it, in one session.

Rule 1: the first view is complete when the cluster at home has been read, and every other one has
been read or cannot be.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from pilot_adapter_kubernetes import admission, credentials, kubeconfigs, resource
from pilot_adapter_kubernetes.api import Api
from pilot_adapter_kubernetes.attest import Reviews
from pilot_adapter_kubernetes.cluster import Cluster
from pilot_adapter_kubernetes.custom import Custom
from pilot_adapter_kubernetes.facts import Kubeconfigs
from pilot_adapter_kubernetes.lock import LeaseLock, LockSettings
from pilot_adapter_kubernetes.remotes import Remotes
from pilot_adapter_kubernetes.settings import ClustersConfig, KubernetesConfig, WebhookConfig
from pilot_adapter_kubernetes.status import Statuses
from pilot_adapter_kubernetes.webhook import Answer, Webhook
from pilot_core.adapter import Adapter, Config, Denied, Finding, Host, Sidecar, Sink, Unavailable
from pilot_core.dialects import objects
from pilot_core.model import Evidence, Workload

__all__ = ["ClustersConfig", "Kubernetes", "KubernetesConfig"]

_LOOK_EVERY = 2.0
"""Seconds between two readings of kubeconfig files."""


class Kubernetes(Adapter):
    """Kubernetes, by list and watch."""

    api: ClassVar[int] = 1
    Config: ClassVar[type[Config]] = KubernetesConfig

    @classmethod
    def check(cls, config: Any) -> Iterator[Finding]:
        file = config.kubeconfig
        if file is not None and not file.is_file():
            yield Finding(str(file), 0, 0, "there is no such kubeconfig file")
        for path in config.clusters.files:
            if not path.exists():
                yield Finding(str(path), 0, 0, "there is no such kubeconfig file or folder")

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._session: _Session | None = None
        self._reviews = Reviews(
            lambda: self._session.clusters if self._session else (),
            host.clock,
            audience=config.token_audience,
            agents=config.node_agents,
        )

    async def attest(self, evidence: Evidence) -> Workload:
        """`pilot_core.adapter.Attestor`: the account that a token belongs to."""
        return await self._reviews.workload(evidence)

    async def run(self, sink: Sink) -> NoReturn:
        try:
            async with asyncio.TaskGroup() as group:
                self._session = _Session(self, sink, group)
                await self._session.run()
        finally:
            self._session = None
        raise AssertionError("a watch ended without an error")


class _Session:
    """What one run of the adapter knows."""

    def __init__(self, adapter: Kubernetes, sink: Sink, group: asyncio.TaskGroup) -> None:
        self._host, self._sink, self._group = adapter.host, sink, group
        self._config: KubernetesConfig = adapter.config
        config = self._config
        api = Api(
            lambda: credentials.load(config.kubeconfig, config.context),
            self._host.clock,
            idle=config.idle,
        )
        self._home = Cluster(api, sink, self._host, config, flushed=self._count)
        self._remotes = Remotes(sink, self._host, config, group)
        self._statuses = Statuses(api, self._host) if config.status.lease_namespace else None
        self._customs = [
            Custom(objects.KINDS[name], self._home, sink, config.namespaces, judged=self._statuses)
            for name in config.custom_resources
        ]

    @property
    def clusters(self) -> list[Cluster]:
        """Those that are being read, the one at home first."""
        return [self._home, *self._remotes.clusters]

    async def run(self) -> NoReturn:
        """Until something ends the session with the cluster at home."""
        files = self._config.clusters.files
        if files:
            found = kubeconfigs.Files(files, self._complain_of_file)
            self._remotes.set("files", await found.read())
            self._group.create_task(self._follow(found))
        if self._config.webhook.address:
            webhook = Webhook(self._config.webhook, self._host, _answers(self._config.webhook))
            self._group.create_task(self._serve(webhook))
        definitions = [custom.watch() for custom in self._customs]
        await self._home.run(*definitions, *self._secrets(), on_put=self._finish)

    def _secrets(self) -> Iterator[Any]:
        namespace = self._config.clusters.secrets
        if namespace:
            yield self._home.reflector(resource.SECRETS, self._secret, namespace, optional=True)

    def _secret(self, old: Kubeconfigs | None, new: Kubeconfigs | None) -> None:
        known = new or old
        assert known is not None, "a change has a side"
        self._remotes.set(known.key, {} if new is None else kubeconfigs.of_secret(new))

    def _finish(self) -> None:
        self._sink.synced("service/")
        if self._statuses is not None:
            said = self._config.status
            settings = LockSettings(namespace=said.lease_namespace, holder=said.holder)
            lock = LeaseLock(self._home.api, settings, self._host)
            # Among the tasks of the cluster: it gives the lease back over its connections.
            self._home.start(self._write_statuses(lock, self._statuses))
        self._group.create_task(self._synced())

    async def _serve(self, webhook: Webhook) -> None:
        """What keeps it from being served harms nothing else."""
        while True:
            try:
                await webhook.run(lambda: self._sink.drop("webhook"))
            except Unavailable as error:
                self._sink.warn(str(error), source="webhook")
            await self._host.clock.sleep(_LOOK_EVERY)

    async def _write_statuses(self, lock: LeaseLock, statuses: Statuses) -> None:
        try:
            await lock.run(statuses.lead)
        except* Denied as denied:
            self._sink.warn(f"no status is written: {denied.exceptions[0]}", source="status")

    async def _synced(self) -> None:
        for custom in self._customs:
            await custom.read()
        await self._remotes.settled()
        self._sink.synced()

    async def _follow(self, files: kubeconfigs.Files) -> None:
        while True:
            await self._host.clock.sleep(_LOOK_EVERY)
            self._remotes.set("files", await files.read())

    def _complain_of_file(self, path: Path, text: str) -> None:
        source = f"clusters/{path}"
        if text:
            self._sink.warn(text, source=source, origin=str(path))
        else:
            self._sink.drop(source)

    def _count(self) -> None:
        pending = sum(cluster.catalogue.pending for cluster in self.clusters)
        self._host.metrics.gauge("endpoints_pending", pending)


def _answers(config: WebhookConfig) -> dict[str, Answer]:
    answers: dict[str, Answer] = {"/validate": admission.validate}
    said = config.inject
    if said.image:
        sidecar = Sidecar(xds=said.xds, image=said.image, agent_socket=said.agent_socket)
        answers["/inject"] = functools.partial(admission.injecting, sidecar=sidecar)
    return answers
