"""python-consul2's endpoints on our connections, against a real Consul."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from consul import base

from consul_server import ConsulAgent
from consul_tls import Authority
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.client import Client
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Denied, Unavailable


@pytest.fixture
async def client(consul: ConsulAgent) -> AsyncIterator[Client]:
    await consul.call("DELETE", "/v1/kv/?recurse")
    async with Agent(ConsulConfig(address=consul.url)) as agent:
        yield Client(agent)


async def test_keys_are_written_read_compared_and_deleted(client):
    key, value = "shop/a b?c#d%e", b"\x00\xff value"
    assert await client.kv.put(key, value)
    _, found = await client.kv.get(key)
    assert (key, value) == (found["Key"], found["Value"])

    assert not await client.kv.put(key, "late", cas=found["ModifyIndex"] - 1)
    assert await client.kv.put(key, "next", cas=found["ModifyIndex"])
    _, [listed] = await client.kv.get("shop/", recurse=True)
    assert b"next" == listed["Value"]

    await client.kv.delete(key)
    assert (await client.kv.get(key))[1] is None


async def test_a_transaction_applies_all_or_nothing(client):
    def write(key: str, **more: object) -> dict[str, object]:
        value = base64.b64encode(key.encode()).decode()
        return {"KV": {"Verb": "set", "Key": key, "Value": value, **more}}

    await client.txn.put([write("a"), write("b")])
    assert ["a", "b"] == (await client.kv.get("", keys=True))[1]

    with pytest.raises(base.ClientError, match="409"):
        await client.txn.put([write("c"), write("a", Verb="cas", Index=1)])
    assert ["a", "b"] == (await client.kv.get("", keys=True))[1]


async def test_a_value_that_is_too_large_is_the_writer_s_error(client):
    with pytest.raises(base.ClientError, match="413"):
        await client.kv.put("large", b"x" * 600_000)


async def test_sessions_live_and_end(client):
    session = await client.session.create(name="one", ttl=10, lock_delay=0)
    assert "one" == (await client.session.renew(session))["Name"]
    assert await client.session.destroy(session)
    with pytest.raises(base.NotFound):
        await client.session.renew(session)


async def test_the_catalogue_is_read_once(client):
    _, services = await client.catalog.services()
    _, [node] = await client.catalog.service("consul")

    assert {"consul": []} == services
    assert "consul" == node["ServiceName"]


async def test_a_hundred_calls_use_one_connection(client, consul):
    await client.kv.put("k", "v")
    before = _connections(consul)
    for _ in range(50):
        await client.kv.put("k", "v")
        await client.kv.get("k")

    assert 1 == len(before)
    assert before == _connections(consul)


def _connections(consul: ConsulAgent) -> set[str]:
    """The addresses from which there are connections to the agent."""
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    server, established = f":{consul.ports['http']:04X}", "01"
    return {f[1] for f in lines if f[2].endswith(server) and f[3] == established}


async def test_what_the_environment_says_counts_for_nothing(client, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "not-a-token")

    assert await client.kv.put("k", "v")


async def test_an_agent_that_is_gone_is_unavailable():
    async with Agent(ConsulConfig(address="http://127.0.0.1:1")) as agent:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            await Client(agent).kv.get("k")


async def test_token_and_tls_are_carried_and_a_new_token_in_the_file_is_used(tmp_path: Path):
    authority, file = Authority(tmp_path), tmp_path / "token"
    server, own = authority.issue("server.dc1.consul"), authority.issue("client.dc1.consul")
    https = {
        "ca_file": str(authority.file),
        "verify_incoming": True,
        "cert_file": str(server.cert),
        "key_file": str(server.key),
    }
    async with ConsulAgent(acl=True, config={"tls": {"https": https}}) as consul:
        config = ConsulConfig(
            address=f"https://127.0.0.1:{consul.ports['https']}",
            token_file=file,
            ca_file=authority.file,
            cert_file=own.cert,
            key_file=own.key,
        )
        async with Agent(config) as agent:
            await _as_file_says(Client(agent), file, consul.token)


async def _as_file_says(client: Client, file: Path, management: str) -> None:
    file.write_text(management)
    assert await client.kv.put("seen/k", "v")
    assert await client.kv.put("unseen/k", "v")
    rules = 'key_prefix "seen" { policy = "write" }'
    policy = await client.acl.policy.create("seen", rules=rules)
    made = await client.acl.tokens.create({"Policies": [{"ID": policy["ID"]}]})

    file.write_text(made["SecretID"])
    assert b"v" == (await client.kv.get("seen/k"))[1]["Value"]
    with pytest.raises(Denied, match="Permission denied"):
        await client.kv.put("unseen/k", "w")
    with pytest.raises(Denied, match="the token may not see all of it"):
        await client.catalog.services()
    assert b"v" == (await client.kv.get("unseen/k", token=management))[1]["Value"]
