"""Tokens that come, go and see less than before: nothing is lost by it, and everything is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from consul_catalogue import causes, clear, register
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import RecordingSink, host, session

WEB = "web.service.consul"
EVERYTHING = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
HALF = 'service "api" { policy = "read" } node_prefix "" { policy = "read" }'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked() -> AsyncIterator[ConsulAgent]:
    async with ConsulAgent(acl=True) as running:
        yield running


@pytest.fixture
async def consul(locked: ConsulAgent) -> ConsulAgent:
    await clear(locked)
    await register(locked, "web")
    await register(locked, "api", "10.1.0.2")
    return locked


async def token(consul: ConsulAgent, name: str, rules: str) -> dict[str, Any]:
    """A token with a policy of its own."""
    policy = await consul.call("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules})
    body = {"Policies": [{"ID": policy["ID"]}]}
    made: dict[str, Any] = await consul.call("PUT", "/v1/acl/token", body)
    return made


def adapter(consul: ConsulAgent, file: Path | None) -> Consul:
    return Consul(ConsulConfig(address=consul.address, token_file=file), host())


async def _lose_the_token(consul, accessor: str, reader: Consul, sink: RecordingSink) -> None:
    async with session(reader, sink):
        await sink.until(lambda: {WEB, "api.service.consul"} <= set(sink.hostnames))
        await consul.call("DELETE", f"/v1/acl/token/{accessor}")
        await register(consul, "web", "10.1.0.3")
        await sink.until(lambda: False)


async def test_a_revoked_token_ends_the_session_and_a_new_one_in_the_file_heals_it(
    consul, tmp_path
):
    file = tmp_path / "token"
    made = await token(consul, "revoked", EVERYTHING)
    file.write_text(made["SecretID"])
    reader, sink = adapter(consul, file), RecordingSink()
    with pytest.raises(BaseExceptionGroup) as ended:
        await _lose_the_token(consul, made["AccessorID"], reader, sink)
    assert "Denied: " in causes(ended.value)
    assert 'needs service_prefix "" and node_prefix "" read' in causes(ended.value)
    assert ["10.1.0.1"] == sink.addresses(WEB)

    file.write_text((await token(consul, "healed", EVERYTHING))["SecretID"])
    sink.next_session()
    async with session(reader, sink):
        await sink.until(lambda: ["10.1.0.1", "10.1.0.3"] == sink.addresses(WEB))


async def test_nobody_s_token_sees_nothing_and_nothing_is_lost(consul, tmp_path):
    file = tmp_path / "token"
    file.write_text((await token(consul, "good", EVERYTHING))["SecretID"])
    sink = RecordingSink()
    async with session(adapter(consul, file), sink):
        await sink.until(lambda: sink.is_synced)
    sink.next_session()
    with pytest.raises(BaseExceptionGroup) as ended:
        async with session(adapter(consul, None), sink):
            await sink.until(lambda: sink.is_synced)

    assert "Denied: 0 services are listed" in causes(ended.value)
    assert ["10.1.0.1"] == sink.addresses(WEB)


async def test_a_token_that_sees_less_than_before_takes_nothing_away_and_is_told(consul, tmp_path):
    file = tmp_path / "token"
    file.write_text((await token(consul, "all", EVERYTHING))["SecretID"])
    reader, sink = adapter(consul, file), RecordingSink()
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
    file.write_text((await token(consul, "half", HALF))["SecretID"])
    sink.next_session()
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
        assert ["10.1.0.1"] == sink.addresses(WEB)
        assert {"the token sees nothing where it saw more"} == {
            text.partition(":")[0] for _, text in sink.problems
        }
