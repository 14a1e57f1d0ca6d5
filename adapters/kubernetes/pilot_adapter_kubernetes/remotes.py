"""The clusters beside the one at home: they come and go, and each fails for itself.

Rule 1: a cluster that cannot be reached is a problem and is tried again; it holds up nobody, and
what is known of it stays.
Rule 2: a kubeconfig that has changed begins a new session with the cluster beside the old one,
which goes on until the new one has read everything: endpoints never go in between.
Rule 3: a cluster that is taken away takes its services along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from pilot_adapter_kubernetes.api import Api
from pilot_adapter_kubernetes.cluster import Cluster
from pilot_adapter_kubernetes.credentials import Access
from pilot_adapter_kubernetes.settings import KubernetesConfig
from pilot_core.adapter import Denied, Host, Sink, Unavailable
from pilot_core.aio import Backoff

_PATIENCE = 10.0
"""Seconds that the first view waits for other clusters at most."""


class Kubeconfig(msgspec.Struct, frozen=True):
    """How to get at a cluster; one with other content is another one."""

    content: str
    origin: str
    """Where it stands: a file, or a Secret and its key."""
    load: Callable[[], Awaitable[Access]]

    def is_like(self, other: Kubeconfig | None) -> bool:
        return other is not None and (self.content, self.origin) == (other.content, other.origin)


class Remotes:
    """`set` says which clusters there are; sessions run in `group`."""

    def __init__(
        self, sink: Sink, host: Host, config: KubernetesConfig, group: asyncio.TaskGroup
    ) -> None:
        self._sink, self._host, self._config, self._group = sink, host, config, group
        self._wanted: dict[str, dict[str, Kubeconfig]] = {}
        """By where they come from: the files, or one of the Secrets."""
        self._running: dict[str, _Remote] = {}

    def set(self, source: str, found: Mapping[str, Kubeconfig]) -> None:
        """These are now all the clusters that `source` names."""
        self._wanted[source] = dict(found)
        wanted = self._chosen()
        for name in self._running.keys() - wanted.keys():
            self._running.pop(name).remove()
        for name, kubeconfig in wanted.items():
            running = self._running.get(name)
            if running is None:
                running = _Remote(name, self._sink, self._host, self._config)
                self._running[name] = running
            if not kubeconfig.is_like(running.kubeconfig):
                running.begin(kubeconfig, self._group)

    async def settled(self) -> None:
        """Until each of them has been read or has failed, for 10 s at most."""
        tried = asyncio.gather(*(running.tried.wait() for running in self._running.values()))
        timer = asyncio.ensure_future(self._host.clock.sleep(_PATIENCE))
        either: set[asyncio.Future[Any]] = {tried, timer}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        tried.cancel()
        timer.cancel()

    @property
    def clusters(self) -> list[Cluster]:
        """Those that are being read."""
        return [r.cluster for r in self._running.values() if r.cluster is not None]

    def _chosen(self) -> dict[str, Kubeconfig]:
        chosen: dict[str, Kubeconfig] = {}
        for source in sorted(self._wanted):
            for name, kubeconfig in self._wanted[source].items():
                first = chosen.setdefault(name, kubeconfig)
                about = f"clusters/{kubeconfig.origin}"
                if first is kubeconfig:
                    self._sink.drop(about)
                    continue
                text = f"cluster {name} is named by {first.origin} already: this one is not used"
                self._sink.warn(text, source=about, origin=kubeconfig.origin)
        return chosen


class _Remote:
    """One of them, session after session."""

    def __init__(self, name: str, sink: Sink, host: Host, config: KubernetesConfig) -> None:
        self.prefix, self._about = f"cluster/{name}/", f"cluster/{name}"
        self.kubeconfig: Kubeconfig | None = None
        self.tried = asyncio.Event()
        self._name, self._sink, self._host, self._config = name, sink, host, config
        self.cluster: Cluster | None = None
        self._tasks: list[asyncio.Task[None]] = []
        """The session that is read from, and the one that takes over once it has read."""

    def begin(self, kubeconfig: Kubeconfig, group: asyncio.TaskGroup) -> None:
        """Sessions with this kubeconfig from now on."""
        self.kubeconfig = kubeconfig
        for waiting in self._tasks[1:]:
            waiting.cancel()
        self._tasks = self._tasks[:1]
        self._tasks.append(group.create_task(self._sessions(kubeconfig)))

    def remove(self) -> None:
        """End it, and take away what it has put."""
        for task in self._tasks:
            task.cancel()
        self._sink.drop(self._about)
        with self._sink.resync(self.prefix):
            pass  # nothing is left

    async def _sessions(self, kubeconfig: Kubeconfig) -> None:
        backoff = Backoff()
        while True:
            began = self._host.clock.monotonic()
            try:
                await self._session(kubeconfig)
            except* (Unavailable, Denied) as errors:
                if asyncio.current_task() is self._tasks[0]:
                    self.cluster = None
                self._say(_first(errors), kubeconfig)
            self.tried.set()
            if self._host.clock.monotonic() - began > _PATIENCE:
                backoff.reset()
            await self._host.clock.sleep(backoff.delay())

    async def _session(self, kubeconfig: Kubeconfig) -> None:
        api = Api(kubeconfig.load, self._host.clock, idle=self._config.idle)
        cluster = Cluster(api, self._sink, self._host, self._config, prefix=self.prefix)
        task = asyncio.current_task()

        def on_read() -> None:
            for other in self._tasks:
                if other is not task:
                    other.cancel()
            self._tasks = [t for t in self._tasks if t is task]
            self.cluster = cluster

        def on_put() -> None:
            with self._sink.resync(self.prefix):
                cluster.repeat()
            self._sink.drop(self._about)
            self.tried.set()

        await cluster.run(on_read=on_read, on_put=on_put)

    def _say(self, error: BaseException, kubeconfig: Kubeconfig) -> None:
        text = f"cluster {self._name} ({kubeconfig.origin}): {error}"
        if len(self._tasks) > 1:
            # The session before reads on: only what is new does not work.
            self._sink.warn(text, source=self._about, origin=kubeconfig.origin)
        else:
            self._sink.keep(self.prefix, text)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
