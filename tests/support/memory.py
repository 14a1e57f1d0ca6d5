"""A platform in memory, an adapter that keeps the contract, and some that never get to run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from pilot_core.adapter import Adapter, Config, Host, Sink, Unavailable
from pilot_core.model import Endpoint, Endpoints, Port, Protocol, Record, Service
from pilot_core.testing import Platform, Services

OBJECT = tuple[str, ...]


class Registry:
    """What the platform holds. `changed` is a new event after every change."""

    def __init__(self) -> None:
        self.objects: dict[str, OBJECT] = {}
        self.is_up = True
        self.lost = ""
        """The object that cannot be read; it is a part by itself."""
        self.changed = asyncio.Event()

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def read(self) -> dict[str, OBJECT]:
        if not self.is_up:
            raise Unavailable("the registry is away")
        return dict(self.objects)


REGISTRIES: dict[str, Registry] = {}


class MemoryConfig(Config, frozen=True):
    name: str


class MemoryPlatform(Platform):
    """A registry under a name, as a server would be under a URL."""

    can_lose_part = True

    def __init__(self, config: type[Config] = MemoryConfig) -> None:
        self._config = config

    async def __aenter__(self) -> MemoryPlatform:
        REGISTRIES["here"] = self.registry = Registry()
        return self

    def config(self) -> Any:
        return self._config(name="here")  # type: ignore[call-arg]  # as MemoryConfig has it

    def hostname(self, name: str) -> str:
        return f"{name}.memory"

    async def set(self, services: Services) -> None:
        self.registry.objects = {name: tuple(found) for name, found in services.items()}
        self.registry.tell()

    async def spoil(self, name: str) -> None:
        self.registry.objects[name] = ()
        self.registry.tell()

    async def lose_part(self) -> None:
        self.registry.lost = "web"
        self.registry.tell()

    async def find_part(self) -> None:
        self.registry.lost = ""
        self.registry.tell()

    async def disconnect(self) -> None:
        self.registry.is_up = False
        self.registry.tell()

    async def reconnect(self) -> None:
        self.registry.is_up = True


class Sound(Adapter):
    """Keeps the contract."""

    api = 1
    Config = MemoryConfig

    async def run(self, sink: Sink) -> NoReturn:
        known: set[str] = set()
        while True:
            registry = self.registry()
            changed = registry.changed
            objects = registry.read()
            for name in known - objects.keys():
                self.drop(sink, name)
            for name, addresses in objects.items():
                if name == registry.lost:
                    self.keep(sink, name)
                    continue
                self.put(sink, name, addresses)
                sink.synced(name)
            known = set(objects)
            sink.synced()
            await changed.wait()

    def registry(self) -> Registry:
        return REGISTRIES[self.config.name]

    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        if not addresses:
            sink.warn("it has no addresses", source=name)
            return
        sink.put(name, self.records(name, addresses))

    def keep(self, sink: Sink, name: str) -> None:
        sink.keep(name, "it cannot be read")

    def drop(self, sink: Sink, name: str) -> None:
        sink.drop(name)

    def records(self, name: str, addresses: OBJECT) -> Iterable[Record]:
        http = Port("http", 80, Protocol.HTTP)
        endpoints = tuple(Endpoint(addresses=(address,)) for address in addresses)
        yield Service(hostname=f"{name}.memory", ports=(http,))
        yield Endpoints(hostname=f"{name}.memory", endpoints=endpoints)


class OfNoContract(Adapter):
    Config = MemoryConfig

    async def run(self, sink: Sink) -> NoReturn:
        raise Unavailable("never asked")


class LooseConfig(Config, frozen=True, forbid_unknown_fields=False):
    name: str


class TakesAnySetting(Sound):
    Config = LooseConfig


class IncomparableConfig(Config, frozen=True, eq=False):
    name: str


class OpensAFileAtOnce(Sound):
    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        Path(os.devnull).read_text()


class StartsATaskAtOnce(Sound):
    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self.task = asyncio.get_running_loop().create_task(asyncio.Event().wait())


class StartsAThreadAtOnce(Sound):
    release: ClassVar[threading.Event] = threading.Event()

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        threading.Thread(target=self.release.wait, daemon=True).start()
