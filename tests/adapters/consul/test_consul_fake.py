"""The fake Consul is kept honest: the adapter's suite, and the same questions as to a real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_consul import FakeConsul

from consul_catalogue import ConsulPlatform, deregister, node_check, register
from consul_server import ConsulAgent
from pilot_adapter_consul import config_entries, entries
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import AdapterConformance, Platform


class FakePlatform(ConsulPlatform):
    """A fake as the conformance suite wants it; it is made on the suite's own loop."""

    def __init__(self) -> None:
        super().__init__(FakeConsul())  # type: ignore[arg-type]  # as far as tests look

    async def __aenter__(self) -> FakePlatform:
        await self._consul.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._consul.__aexit__(None, None, None)


class TestFakeConsul(AdapterConformance):
    adapter = Consul

    @pytest.fixture
    def platform(self) -> Platform:
        return FakePlatform()


async def write(consul: Any) -> None:
    """A small world with something of everything."""
    await register(consul, "web", "10.1.0.1", checks={"up": "passing"}, Meta={"a": "b"})
    await register(consul, "web", "10.1.0.2", node="node-2", Tags=["x"], checks={"up": "critical"})
    await register(consul, "api", "10.1.0.3", Weights={"Passing": 3, "Warning": 2})
    await register(consul, "gone", "10.1.0.4", checks={"up-gone": "warning"})
    await node_check(consul, "serfHealth", "warning")
    await deregister(consul, "gone-10.1.0.4")
    await consul.call("PUT", "/v1/config", {"Kind": "service-defaults", "Name": "web"})
    await consul.call("PUT", "/v1/kv/mesh/a", "text")
    await consul.call("PUT", "/v1/kv/mesh/b", "more")
    await consul.call("DELETE", "/v1/kv/mesh/b")


def instances(content: bytes) -> object:
    # Weights that nobody has set are there or not; they mean the same.
    return sorted(
        (
            *(e.node.node, e.node.address, e.service.id, e.service.address, e.service.port),
            *(tuple(e.service.tags or ()), tuple(sorted((e.service.meta or {}).items()))),
            *sorted((c.check_id, c.status, c.service_name) for c in e.checks or ()),
        )
        for e in entries.instances.decode(content)
    )


def names(content: bytes) -> object:
    return sorted(entries.names.decode(content))


def checks(content: bytes) -> object:
    return sorted((c.node, c.check_id, c.service_name) for c in entries.checks.decode(content))


def kinds(content: bytes) -> object:
    return [(raw["Kind"], raw["Name"]) for raw in config_entries.lists.decode(content)]


def keys(content: bytes) -> object:
    return [(pair.key, pair.value) for pair in entries.pairs.decode(content)]


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/v1/catalog/services", names),
        ("/v1/health/service/web", instances),
        ("/v1/health/service/api", instances),
        ("/v1/health/service/gone", instances),
        ("/v1/health/state/critical", checks),
        ("/v1/health/state/warning", checks),
        ("/v1/config/service-defaults", kinds),
        ("/v1/config/service-router", kinds),
        ("/v1/kv/mesh/?recurse=", keys),
        ("/v1/kv/nothing/?recurse=", len),
    ],
)
async def test_the_fake_answers_as_a_real_consul_does(
    consul: ConsulAgent, path: str, read: Callable[[bytes], object]
):
    async with FakeConsul() as fake:
        found = []
        for server in (consul, fake):
            await write(server)
            async with Agent(ConsulConfig(address=server.address)) as agent:
                answer = await agent.exchange("GET", path)
                assert answer.headers["X-Consul-KnownLeader"] == "true"
                assert int(answer.headers["X-Consul-Index"]) > 0
                found.append((answer.status, read(answer.content)))
    real, faked = found
    assert real == faked


@pytest.mark.parametrize("is_real", [True, False])
async def test_a_question_that_is_held_is_answered_when_its_own_service_changes(consul, is_real):
    async with FakeConsul() as fake:
        server: Any = consul if is_real else fake
        await write(server)
        async with Agent(ConsulConfig(address=server.address)) as agent:
            path = "/v1/health/service/web"
            before = await agent.read(path)
            await register(server, "api", "10.1.0.9")
            same = await agent.read(path, index=int(before.index or 0), wait=1)
            assert (before.index, instances(before.content)) == (
                same.index,
                instances(same.content),
            )
            await register(server, "web", "10.1.0.1", checks={"up": "critical"})
            after = await agent.read(path, index=int(before.index or 0), wait=10)
            assert int(after.index or 0) > int(before.index or 0)
            assert instances(before.content) != instances(after.content)
