"""Writing into a real Consul's catalogue, as tests and the conformance suite do."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, NoReturn, Self

from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Denied, Unavailable
from pilot_core.testing import Platform, RecordingSink, Services
from server_process import wait_for

NODE = "node-1"


async def register(
    consul: ConsulAgent,
    name: str,
    address: str = "10.1.0.1",
    *,
    node: str = NODE,
    checks: dict[str, str] | None = None,
    **more: Any,
) -> None:
    """One instance of a service, with the address as its id; `checks` are states by check id."""
    service = {"ID": f"{name}-{address}", "Service": name, "Address": address, "Port": 8080}
    body = {
        "Node": node,
        "Address": "10.0.0.1",
        "SkipNodeUpdate": False,
        "Service": {**service, **more},
        "Checks": [
            {"CheckID": check, "Name": check, "Status": status, "ServiceID": f"{name}-{address}"}
            for check, status in (checks or {}).items()
        ],
    }
    await consul.call("PUT", "/v1/catalog/register", body)


async def node_check(consul: ConsulAgent, check: str, status: str, node: str = NODE) -> None:
    """A check of the whole node."""
    body = {"Node": node, "Address": "10.0.0.1"}
    body["Check"] = {"CheckID": check, "Name": check, "Status": status}
    await consul.call("PUT", "/v1/catalog/register", body)


async def deregister(consul: ConsulAgent, service_id: str, node: str = NODE) -> None:
    await consul.call("PUT", "/v1/catalog/deregister", {"Node": node, "ServiceID": service_id})


async def clear(consul: ConsulAgent) -> None:
    """Take away every node but the agents' own."""
    for node in await consul.call("GET", "/v1/catalog/nodes"):
        if node["Node"] != consul.name:
            await consul.call("PUT", "/v1/catalog/deregister", {"Node": node["Node"]})


class ConsulPlatform(Platform):
    """A real agent as the conformance suite wants it."""

    def __init__(self, consul: ConsulAgent) -> None:
        self._consul = consul
        self._here: set[str] = set()

    async def __aenter__(self) -> Self:
        await clear(self._consul)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._consul.process.running:
            await self._consul.process.start()

    def config(self) -> ConsulConfig:
        return ConsulConfig(address=self._consul.url)

    def hostname(self, name: str) -> str:
        return f"{name}.service.consul"

    async def set(self, services: Services) -> None:
        wanted = {f"{name}-{a}": (name, a) for name, found in services.items() for a in found}
        for name, address in wanted.values():
            await register(self._consul, name, address)
        for service_id in self._here - wanted.keys():
            await deregister(self._consul, service_id)
        self._here = set(wanted)

    async def spoil(self, name: str) -> None:
        # At once: a slip in one instance of several would harm that instance alone.
        spoilt = [
            {"ID": service_id, "Service": name, "Address": "10.1.0.300", "Port": 1}
            for service_id in sorted(self._here)
            if service_id.startswith(f"{name}-")
        ]
        changes = [{"Service": {"Verb": "set", "Node": NODE, "Service": s}} for s in spoilt]
        await self._consul.call("PUT", "/v1/txn", changes)

    async def disconnect(self) -> None:
        await self._consul.process.kill()

    async def reconnect(self) -> None:
        await self._consul.process.start()


async def served(consul: ConsulAgent, name: str) -> Any:
    """Wait until Consul itself lists the service."""
    return await wait_for(lambda: consul.call("GET", f"/v1/health/service/{name}"), name)


async def sessions(adapter: Consul, sink: RecordingSink) -> NoReturn:
    """One session after the other, as the core runs them."""
    while True:
        try:
            await adapter.run(sink)
        except* (Unavailable, Denied):
            sink.next_session()
        await asyncio.sleep(0.1)


def causes(error: BaseException) -> str:
    """What the core says of the end of a session."""
    inner = getattr(error, "exceptions", ())
    return "; ".join(causes(e) for e in inner) if inner else f"{type(error).__name__}: {error}"
