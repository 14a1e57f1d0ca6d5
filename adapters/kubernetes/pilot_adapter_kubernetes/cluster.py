"""One cluster in one session: everything listed and followed, each service put under its name.

Rule 1: nothing is put before all kinds have been read once: an endpoint without its pod, or a
service without its slices, would be half the truth.
Rule 2: a source is a service, `service/NAMESPACE/NAME` behind the cluster's prefix: its record and
all its endpoints together.
Rule 3: a service whose object cannot be read keeps what it last said, from earlier sessions too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn

from pilot_adapter_kubernetes import resource
from pilot_adapter_kubernetes.api import Api
from pilot_adapter_kubernetes.catalogue import HOLD, Catalogue
from pilot_adapter_kubernetes.reflector import Reflector
from pilot_adapter_kubernetes.settings import KubernetesConfig
from pilot_core.adapter import Host, Sink

_AT_ONCE = 50
"""Services made before others get a turn of the event loop."""


class Cluster:
    """What one session with one API server knows. `prefix` begins all its sources, and is empty
    for the cluster at home."""

    def __init__(
        self,
        api: Api,
        sink: Sink,
        host: Host,
        config: KubernetesConfig,
        *,
        prefix: str = "",
        flushed: Callable[[], None] = lambda: None,
    ) -> None:
        self.api, self._sink, self._clock, self._config = api, sink, host.clock, config
        self._prefix, self._flushed = prefix, flushed
        self._group = asyncio.TaskGroup()
        self._dirty: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._waiting: set[str] = set()
        self._unreadable: dict[str, str] = {}
        """Services of which nothing is known, and why."""
        self.catalogue = Catalogue(config.domain, self._touch)

    async def run(
        self,
        *reflectors: Reflector[Any],
        on_read: Callable[[], None] = lambda: None,
        on_put: Callable[[], None] = lambda: None,
    ) -> NoReturn:
        """Follow it until something ends that; `reflectors` are run beside its own.

        `on_read` is called before the first put, `on_put` after everything has been put once.
        Raises Unavailable and Denied, in groups.
        """
        async with self.api, self._group as group:
            every = [*self._reflectors(), *reflectors]
            for reflector in every:
                group.create_task(reflector.run())
            for reflector in every:
                await reflector.synced.wait()
            on_read()
            self._dirty |= dict.fromkeys(self._keys)
            await self._flush()
            on_put()
            while True:
                await self._changed.wait()
                await self._flush()
        raise AssertionError("a watch ended without an error")

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do that as long as the session lasts."""
        return self._group.create_task(work)

    def repeat(self) -> None:
        """Put again all there is: what else was put before is swept by who calls this."""
        now = self._clock.monotonic()
        for key in self._keys:
            self._put(key, now)

    @property
    def _keys(self) -> set[str]:
        return self.catalogue.keys | self._unreadable.keys()

    def _reflectors(self) -> Iterator[Reflector[Any]]:
        """Of every kind, in every namespace that is asked for."""
        catalogue, selector = self.catalogue, self._config.namespace_selector
        for namespace in self._config.namespaces or ("",):
            yield self.reflector(resource.SERVICES, catalogue.service, namespace)
            yield self.reflector(resource.SLICES, catalogue.slice, namespace)
            yield self.reflector(resource.PODS, catalogue.pod, namespace)
        if selector:
            catalogue.selects_namespaces()
            yield self.reflector(resource.namespaces(selector), catalogue.namespace)
        # Whoever may read some namespaces only, may often read no nodes: all that is lost is where
        # endpoints are.
        yield self.reflector(resource.NODES, catalogue.node, optional=True)

    def reflector(
        self,
        kind: resource.Kind[Any],
        changed: Callable[[Any, Any], None],
        namespace: str = "",
        *,
        optional: bool = False,
    ) -> Reflector[Any]:
        """For one kind of objects of this cluster; objects that cannot be read are problems."""

        def complain(key: str, text: str) -> None:
            if kind is resource.SERVICES and key:
                self._complain_of_service(key, text)
                return
            parts = (kind.plural, namespace if not key else "", key)
            self.complain("/".join(part for part in parts if part), text)

        return Reflector(
            self.api,
            kind,
            namespace,
            clock=self._clock,
            changed=changed,
            complain=complain,
            optional=optional,
        )

    def complain(self, about: str, text: str) -> None:
        """Show a problem; without a text, it is none any more."""
        source = self._prefix + about
        if text:
            self._sink.warn(text, source=source)
        else:
            self._sink.drop(source)

    def _complain_of_service(self, key: str, text: str) -> None:
        if not text:
            self._unreadable.pop(key, None)
            self.complain(f"services/{key}", "")
            self._touch(key)
        elif self.catalogue.has_service(key):
            self.complain(f"services/{key}", text)
        else:
            self._unreadable[key] = text
            self._touch(key)

    def _touch(self, key: str) -> None:
        self._dirty[key] = None
        self._changed.set()

    async def _flush(self) -> None:
        self._changed.clear()
        while self._dirty:
            now = self._clock.monotonic()
            for key in list(self._dirty)[:_AT_ONCE]:
                del self._dirty[key]
                self._put(key, now)
            await asyncio.sleep(0)
        self._flushed()

    def _put(self, key: str, now: float) -> None:
        if key in self._unreadable:
            self.complain(f"service/{key}", self._unreadable[key])
            return
        records, holds = self.catalogue.records(key, now)
        source = f"{self._prefix}service/{key}"
        self._sink.put(source, records)
        for remark in self.catalogue.unhonoured(key):
            self._sink.note(f"service {key}: {remark}", source=source)
        if holds and key not in self._waiting:
            self._waiting.add(key)
            self._group.create_task(self._again(key))

    async def _again(self, key: str) -> None:
        await self._clock.sleep(HOLD)
        self._waiting.discard(key)
        self._touch(key)
