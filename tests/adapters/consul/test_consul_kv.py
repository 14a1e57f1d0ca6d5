"""Catalogue documents in the keys of a real Consul."""

from __future__ import annotations

import base64

import pytest
from consul.base import ClientError

from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.client import Client
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import RecordingSink, host, session
from server_process import Refused

PREFIX = "mesh/catalogue/"
NO_MAPPING = "expected a mapping with the key services, found a list"
_LIMIT = 512 * 1024


def document(name: str, *addresses: str) -> str:
    endpoints = ", ".join(f"{{address: {address}}}" for address in addresses)
    return (
        f"services:\n- hostname: {name}.mesh\n  ports: [{{name: http, number: 80}}]\n"
        f"  endpoints: [{endpoints}]\n"
    )


def adapter(consul: ConsulAgent) -> Consul:
    return Consul(ConsulConfig(address=consul.address, kv=PREFIX), host())


@pytest.fixture
async def keys(consul: ConsulAgent) -> ConsulAgent:
    await consul.call("DELETE", "/v1/kv/?recurse")
    return consul


async def write(consul: ConsulAgent, **documents: str) -> None:
    """All of them in one transaction."""
    async with Agent(ConsulConfig(address=consul.address)) as agent:
        client = Client(agent)
        operations = [
            {"KV": {"Verb": "set", "Key": PREFIX + key, "Value": _base64(text)}}
            for key, text in documents.items()
        ]
        await client.txn.put(operations)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_documents_under_a_prefix_are_services_and_their_keys_are_places(keys):
    await write(keys, shop=document("web", "10.1.0.1"))
    await keys.call("PUT", "/v1/kv/elsewhere/x", "no document at all")
    await keys.call("PUT", f"/v1/kv/{PREFIX}folder/")
    async with session(adapter(keys)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["10.1.0.1"] == sink.addresses("web.mesh")
        assert "mesh/catalogue/shop:2:3" == sink.services["web.mesh"].origin.place
        assert [] == sink.problems


async def test_what_is_wrong_in_a_key_is_said_as_of_a_file_and_it_keeps_what_it_said(keys):
    await write(keys, shop=document("web", "10.1.0.1"))
    async with session(adapter(keys)) as sink:
        await sink.until(lambda: sink.is_synced)
        await write(keys, shop=document("web", "10.1.0.300"))
        await sink.until(lambda: sink.problems)
        [(place, message)] = sink.problems
        assert "mesh/catalogue/shop:4:25" == place
        assert 'expected an IP address or unix:///path, found "10.1.0.300"' in message
        assert ["10.1.0.1"] == sink.addresses("web.mesh")
        await write(keys, shop="- no\n- catalogue\n")
        await sink.until(lambda: [("mesh/catalogue/shop:1:1", NO_MAPPING)] == sink.problems)
        assert ["10.1.0.1"] == sink.addresses("web.mesh")
        await write(keys, shop=document("web", "10.1.0.2"))
        await sink.until(lambda: ["10.1.0.2"] == sink.addresses("web.mesh"))
        assert [] == sink.problems


async def test_a_dialect_that_nobody_reads_is_a_problem_and_not_silence(keys):
    await write(keys, gateway="apiVersion: networking.example/v1\nkind: Gateway\nmetadata: {}\n")
    async with session(adapter(keys)) as sink:
        await sink.until(lambda: sink.is_synced)
        [(place, message)] = sink.problems
        assert "mesh/catalogue/gateway:1:1" == place
        assert "documents of kind Gateway (networking.example/v1) are not read" in message


class Together(RecordingSink):
    """Notes the addresses of both services whenever something has been put."""

    seen: set[tuple[str, ...]]

    def note(self) -> None:
        self.seen.add((*self.addresses("a.mesh"), *self.addresses("b.mesh")))


async def test_what_a_transaction_writes_is_never_seen_in_halves(keys):
    await write(keys, a=document("a", "10.1.0.1"), b=document("b", "10.1.0.1"))
    sink = Together()
    sink.seen = set()
    async with session(adapter(keys), sink):
        await sink.until(lambda: sink.is_synced)
        sink.note()
        for number in range(2, 12):
            address = f"10.1.0.{number}"

            def both(wanted: str = address) -> bool:
                sink.note()
                return [wanted] == sink.addresses("a.mesh")

            await write(keys, a=document("a", address), b=document("b", address))
            await sink.until(both)
    assert {(f"10.1.0.{n}", f"10.1.0.{n}") for n in range(1, 12)} == sink.seen


async def test_keys_that_are_deleted_are_gone_also_the_newest_and_all_at_once(keys):
    for name in ("a", "b", "c"):
        await write(keys, **{name: document(name, "10.1.0.1")})
    async with session(adapter(keys)) as sink:
        await sink.until(lambda: {"a.mesh", "b.mesh", "c.mesh"} <= set(sink.hostnames))
        # The newest key has the highest index: without it, Consul's index may go backwards.
        await keys.call("DELETE", f"/v1/kv/{PREFIX}c")
        await sink.until(lambda: "c.mesh" not in sink.hostnames)
        await write(keys, a=document("a", "10.1.0.2"))
        await sink.until(lambda: ["10.1.0.2"] == sink.addresses("a.mesh"))
        await keys.call("DELETE", f"/v1/kv/{PREFIX}?recurse")
        await sink.until(lambda: ["consul.service.consul"] == sink.hostnames)
        await write(keys, a=document("a", "10.1.0.3"))
        await sink.until(lambda: ["10.1.0.3"] == sink.addresses("a.mesh"))


async def test_a_key_is_written_only_where_nobody_else_has_written_meanwhile(keys):
    async with (
        session(adapter(keys)) as sink,
        Agent(ConsulConfig(address=keys.address)) as agent,
    ):
        client = Client(agent)
        assert await client.kv.put(f"{PREFIX}a", document("a", "10.1.0.1"), cas=0)
        assert not await client.kv.put(f"{PREFIX}a", document("a", "10.1.0.9"), cas=0)
        await sink.until(lambda: ["10.1.0.1"] == sink.addresses("a.mesh"))
        _, held = await client.kv.get(f"{PREFIX}a")
        cas = held["ModifyIndex"]
        assert await client.kv.put(f"{PREFIX}a", document("a", "10.1.0.2"), cas=cas)
        await sink.until(lambda: ["10.1.0.2"] == sink.addresses("a.mesh"))


async def test_a_value_that_is_too_long_for_consul_is_refused_in_its_words(keys):
    with pytest.raises(Refused, match="max size"):
        await keys.call("PUT", f"/v1/kv/{PREFIX}a", "x" * (_LIMIT + 1))
    async with Agent(ConsulConfig(address=keys.address)) as agent:
        with pytest.raises(ClientError, match="413"):
            await Client(agent).kv.put(f"{PREFIX}a", "x" * (_LIMIT + 1))
