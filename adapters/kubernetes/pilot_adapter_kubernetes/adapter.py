"""The adapter: one session lists and follows everything, and puts each service under its name.

Rule 1: nothing is put before all kinds have been read once: an endpoint without its pod, or a
service without its slices, would be half the truth.
Rule 2: a source is a service, `service/NAMESPACE/NAME`: its record and all its endpoints together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from pilot_adapter_kubernetes import credentials, resource
from pilot_adapter_kubernetes.api import Api
from pilot_adapter_kubernetes.catalogue import HOLD, Catalogue
from pilot_adapter_kubernetes.reflector import Reflector
from pilot_core.adapter import Adapter, Config, ConfigError, Finding, Sink
from pilot_core.document import Duration

_AT_ONCE = 50
"""Services made before others get a turn of the event loop."""


class KubernetesConfig(Config, frozen=True):
    """Settings of one cluster."""

    kubeconfig: Path | None = None
    """A kubeconfig file; without it, the service account of the pod that the daemon runs in."""
    context: str = ""
    """A context in the kubeconfig; without it, the current one."""
    namespaces: tuple[str, ...] = ()
    """Only these; without any, all of the cluster."""
    domain: str = "cluster.local"
    """The cluster's DNS domain: services are `NAME.NAMESPACE.svc.DOMAIN`."""
    idle: Duration = Duration(180)
    """A watch that is silent for longer is dead; servers send something every minute."""

    def __post_init__(self) -> None:
        if self.context and self.kubeconfig is None:
            raise ConfigError("context: without a kubeconfig there is none to choose from")
        if not self.domain or self.domain != self.domain.lower().strip("."):
            raise ConfigError(f"domain: {self.domain!r} is no DNS domain in lower case")
        if len(set(self.namespaces)) < len(self.namespaces):
            raise ConfigError("namespaces: one of them is there twice")
        if self.idle < 1:
            raise ConfigError("idle: less than 1s would end watches that are alive")


class Kubernetes(Adapter):
    """Kubernetes, by list and watch."""

    api: ClassVar[int] = 1
    Config: ClassVar[type[Config]] = KubernetesConfig

    @classmethod
    def check(cls, config: Any) -> Iterator[Finding]:
        file = config.kubeconfig
        if file is not None and not file.is_file():
            yield Finding(str(file), 0, 0, "there is no such kubeconfig file")

    async def run(self, sink: Sink) -> NoReturn:
        config: KubernetesConfig = self.config
        api = Api(
            lambda: credentials.load(config.kubeconfig, config.context),
            self.host.clock,
            idle=config.idle,
        )
        async with api, asyncio.TaskGroup() as group:
            session = _Session(self, sink, group)
            reflectors = list(session.reflectors(api))
            for reflector in reflectors:
                group.create_task(reflector.run())
            for reflector in reflectors:
                await reflector.synced.wait()
            await session.first()
            sink.synced()
            await session.follow()
        raise AssertionError("a watch ended without an error")


class _Session:
    """What one run of the adapter knows."""

    def __init__(self, adapter: Kubernetes, sink: Sink, group: asyncio.TaskGroup) -> None:
        self._host, self._config = adapter.host, adapter.config
        self._sink, self._group = sink, group
        self._dirty: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._waiting: set[str] = set()
        self._unhonoured: set[str] = set()
        self._catalogue = Catalogue(self._config.domain, self._touch)

    def reflectors(self, api: Api) -> Iterator[Reflector[Any]]:
        """Of every kind, in every namespace that is asked for."""
        catalogue = self._catalogue
        for namespace in self._config.namespaces or ("",):
            yield self._reflector(api, resource.SERVICES, catalogue.service, namespace)
            yield self._reflector(api, resource.SLICES, catalogue.slice, namespace)
            yield self._reflector(api, resource.PODS, catalogue.pod, namespace)
        # Whoever may read some namespaces only, may often read no nodes: all that is lost is where
        # endpoints are.
        yield self._reflector(api, resource.NODES, catalogue.node, "", optional=True)

    def _reflector(
        self,
        api: Api,
        kind: resource.Kind[Any],
        changed: Callable[[Any, Any], None],
        namespace: str,
        *,
        optional: bool = False,
    ) -> Reflector[Any]:
        def complain(key: str, text: str) -> None:
            source = "/".join(
                part for part in (kind.plural, namespace if not key else "", key) if part
            )
            self._complain(source, text)

        return Reflector(
            api,
            kind,
            namespace,
            clock=self._host.clock,
            changed=changed,
            complain=complain,
            optional=optional,
        )

    async def first(self) -> None:
        """Put everything there is."""
        self._dirty |= dict.fromkeys(self._catalogue.keys)
        await self._flush()

    async def follow(self) -> NoReturn:
        """Put what changes."""
        while True:
            await self._changed.wait()
            await self._flush()

    def _touch(self, key: str) -> None:
        self._dirty[key] = None
        self._changed.set()

    async def _flush(self) -> None:
        self._changed.clear()
        while self._dirty:
            for key in list(self._dirty)[:_AT_ONCE]:
                del self._dirty[key]
                self._put(key)
            await asyncio.sleep(0)
        self._host.metrics.gauge("endpoints_pending", self._catalogue.pending)

    def _put(self, key: str) -> None:
        records, holds = self._catalogue.records(key, self._host.clock.monotonic())
        self._sink.put(f"service/{key}", records)
        self._say_what_is_not_honoured(key)
        if holds and key not in self._waiting:
            self._waiting.add(key)
            self._group.create_task(self._again(key))

    async def _again(self, key: str) -> None:
        await self._host.clock.sleep(HOLD)
        self._waiting.discard(key)
        self._touch(key)

    def _say_what_is_not_honoured(self, key: str) -> None:
        said = self._catalogue.unhonoured(key)
        if said:
            self._unhonoured.add(key)
            self._complain(f"services/{key}/spec", f"service {key}: {said}")
        elif key in self._unhonoured:
            self._unhonoured.discard(key)
            self._complain(f"services/{key}/spec", "")

    def _complain(self, source: str, text: str) -> None:
        if text:
            self._sink.warn(text, source=source)
        else:
            self._sink.drop(source)
