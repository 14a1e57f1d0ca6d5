"""Objects of a custom resource as records: a dialect says what they mean.

Rule 1: the resource may be installed later, taken away, or served in other versions: its objects
come and go with it, and mean the same in every version that the dialect knows.
Rule 2: an object with anything wrong in it says nothing new; what it last said stays.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from pilot_adapter_kubernetes import facts, resource
from pilot_adapter_kubernetes.cluster import Cluster
from pilot_adapter_kubernetes.reflector import Reflector
from pilot_core.adapter import Sink
from pilot_core.dialects import objects


class Judged(Protocol):
    """Whoever hears how objects were found."""

    def judge(self, root: str, plural: str, key: str, wrong: str) -> None: ...
    def forget(self, plural: str, key: str) -> None: ...


class Custom:
    """One custom resource of one cluster."""

    def __init__(
        self,
        kind: objects.Kind,
        cluster: Cluster,
        sink: Sink,
        namespaces: tuple[str, ...],
        *,
        judged: Judged | None = None,
    ) -> None:
        self._kind, self._cluster, self._sink, self._judged = kind, cluster, sink, judged
        self._namespaces = namespaces or ("",)
        self._version = ""
        self._reading: asyncio.Task[None] | None = None
        self._known: set[str] = set()
        self._read = asyncio.Event()

    def watch(self) -> Reflector[facts.Definition]:
        """Of the resource's definition; it starts everything else."""
        kind = resource.definition(self._kind.resource)
        return self._cluster.reflector(kind, self._defined, optional=True)

    async def read(self) -> None:
        """Until what there is has been read once; at once where the resource is not installed."""
        if self._reading is not None:
            await self._read.wait()

    def _defined(self, old: facts.Definition | None, new: facts.Definition | None) -> None:
        served = new.served if new is not None else ()
        version = next((v for v in self._kind.versions if v in served), "")
        about = f"definitions/{self._kind.resource}"
        if served and not version:
            known = ", ".join(self._kind.versions)
            text = f"{self._kind.resource} is served in {', '.join(served)}: read are {known}"
            self._cluster.complain(about, text)
            return  # what was read in a version that has gone stays
        self._cluster.complain(about, "")
        if version != self._version:
            self._switch(version)

    def _switch(self, version: str) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
            for namespace in self._namespaces:
                self._cluster.complain("/".join(filter(None, (self._kind.plural, namespace))), "")
        self._version = version
        if version:
            self._reading = self._cluster.start(self._follow(version))
        else:
            self._forget(set(self._known))

    async def _follow(self, version: str) -> None:
        kind = resource.custom(self._kind.group, version, self._kind.plural)
        gone = set(self._known)

        def changed(old: facts.Custom | None, new: facts.Custom | None) -> None:
            known = new or old
            assert known is not None, "a change has a side"
            gone.discard(known.key)
            if new is None:
                self._forget({known.key})
            else:
                self._put(version, new)

        async with asyncio.TaskGroup() as group:
            reflectors = [
                self._cluster.reflector(kind, changed, namespace, optional=True)
                for namespace in self._namespaces
            ]
            for reflector in reflectors:
                group.create_task(reflector.run())
            for reflector in reflectors:
                await reflector.synced.wait()
            self._forget(gone)
            self._read.set()

    def _put(self, version: str, fact: facts.Custom) -> None:
        self._known.add(fact.key)
        read = objects.read_json(fact.content, f"{self._kind.plural}/{fact.key}")
        if read.refused:
            wrong = "; ".join(finding.message for finding in read.refused)
            text = f"{self._kind.name} {fact.key}: {wrong}"
            self._sink.warn(text, source=self._source(fact.key), origin=read.refused[0].path)
        else:
            wrong = ""
            self._sink.put(self._source(fact.key), read.records)
        if self._judged is not None:
            root = f"/apis/{self._kind.group}/{version}"
            self._judged.judge(root, self._kind.plural, fact.key, wrong)

    def _forget(self, keys: set[str]) -> None:
        for key in keys:
            self._known.discard(key)
            self._sink.drop(self._source(key))
            if self._judged is not None:
                self._judged.forget(self._kind.plural, key)

    def _source(self, key: str) -> str:
        return f"custom/{self._kind.resource}/{key}"
