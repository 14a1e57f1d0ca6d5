"""Who leads, as a real ZooKeeper has it. Masters' nodes are written by the tests: the master that
they run is built without ZooKeeper."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_mesos import FakeMaster
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl
from pilot_adapter_mesos import Mesos, detector
from pilot_adapter_mesos.config import MesosConfig

import self_signed
from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from mesos_world import agents_are, assert_as_the_master_says, following
from pilot_core.adapter import ConfigError, Denied, Unavailable
from pilot_core.testing import RecordingSink, host, session
from server_process import free_ports, wait_for
from zookeeper_server import ZooKeeperServer

WEB = "web.shop.mesos"
FOLDER = "/mesos"


class Election:
    """What masters do there: a node of their own, for as long as they live."""

    def __init__(self, zookeeper: ZooKeeperServer, **options: Any) -> None:
        self._client = KazooClient(hosts=zookeeper.hosts, **options)

    async def __aenter__(self) -> Election:
        await asyncio.to_thread(self._client.start)
        await asyncio.to_thread(self._client.ensure_path, FOLDER)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._client.stop)
        await asyncio.to_thread(self._client.close)

    async def enter(self, port: int, **more: Any) -> str:
        """A master of that port stands for election; its node."""
        return await self.write("json.info_", json.dumps(info(port, **more)).encode())

    async def write(self, name: str, said: bytes, *, acl: Any = None) -> str:
        path: str = await asyncio.to_thread(
            self._client.create, f"{FOLDER}/{name}", said, acl=acl, ephemeral=True, sequence=True
        )
        return path

    async def leave(self, node: str) -> None:
        await asyncio.to_thread(self._client.delete, node)


def info(port: int, **more: Any) -> dict[str, Any]:
    """A master's words about itself, as 1.11 writes them."""
    return {
        "address": {"hostname": "no-such-host", "ip": "127.0.0.1", "port": port},
        "capabilities": [{"type": "AGENT_UPDATE"}],
        "hostname": "no-such-host",
        "id": "b0f5f4b5",
        "ip": 16777343,
        "pid": f"master@127.0.0.1:{port}",
        "port": port,
        "version": "1.11.0",
        **more,
    }


def config(zookeeper: ZooKeeperServer, **more: Any) -> MesosConfig:
    return MesosConfig(**{"zookeeper": f"zk://{zookeeper.hosts}{FOLDER}", "resync": 0.2, **more})


@contextlib.asynccontextmanager
async def elected() -> AsyncIterator[tuple[ZooKeeperServer, Election]]:
    async with ZooKeeperServer() as zookeeper, Election(zookeeper) as election:
        yield zookeeper, election


async def test_the_master_with_the_lowest_number_leads_and_the_next_one_takes_over():
    async with elected() as (zookeeper, election), FakeMaster() as a, FakeMaster() as b:
        a.set({"web": ["10.0.0.1"]})
        b.set({"web": ["10.0.0.1", "10.0.0.2"]})
        await election.write("info_", b"\x0a\x04old")
        await election.write("log_replicas_", b"")
        first = await election.enter(a.port)
        await election.enter(b.port)
        async with following(Mesos(config(zookeeper), host())) as sink:
            assert (["10.0.0.1"], []) == (sink.addresses(WEB), b.asked)
            await election.leave(first)
            await sink.until(lambda: sink.addresses(WEB) == ["10.0.0.1", "10.0.0.2"])
            assert all(seen for seen in sink.seen(WEB)[1:])


async def test_a_leader_that_dies_hands_over_to_the_next_without_losing_a_task():
    async with (
        elected() as (zookeeper, election),
        MesosMaster() as old,
        MesosMaster() as new,
        MesosAgent(old, "node-a") as a,
        MesosAgent(old, "node-b", "127.0.0.12") as b,
        MesosFramework(old, "shop") as shop,
    ):
        for id, agent, ip in (("1", a, "10.0.0.1"), ("2", b, "10.0.0.2")):
            await shop.launch(task(id, "web", 8080), agent)
            await agent.run(id, ip)
        first = await election.enter(old.port)
        await election.enter(new.port)
        both = [("10.0.0.1", "healthy"), ("10.0.0.2", "healthy")]
        async with following(Mesos(config(zookeeper), host())) as sink:
            await sink.until(lambda: sink.now(WEB) == both)
            sink.forget()
            await old.process.kill()
            await election.leave(first)
            # It has no registry in common with the first, so it is new to it that there are agents.
            await wait_for(lambda: has_subscriber(new), "the adapter to be at the new leader")
            await shop.subscribe(new)
            await a.reregister(master=new)
            await agents_are(new, known=1, recovered=0)
            await b.reregister(master=new)
            await sink.until(lambda: sink.is_synced)
            assert [both] == sink.seen(WEB)
            await assert_as_the_master_says(new, sink)


async def has_subscriber(master: MesosMaster) -> bool:
    said = await master.ask("GET_METRICS", timeout={"nanoseconds": 5_000_000_000})
    found = {each["name"]: each["value"] for each in said["metrics"]}
    return bool(found["master/operator_event_stream_subscribers"] == 1)


async def test_a_zookeeper_that_dies_disturbs_nobody_and_is_heard_again_when_it_is_back():
    async with elected() as (zookeeper, election), FakeMaster() as a, FakeMaster() as b:
        a.set({"web": ["10.0.0.1"]})
        b.set({"web": ["10.0.0.2"]})
        first = await election.enter(a.port)
        await election.enter(b.port)
        async with following(Mesos(config(zookeeper), host())) as sink:
            await zookeeper.process.kill()
            a.set({"web": ["10.0.0.1", "10.0.0.9"]})
            await sink.until(lambda: sink.addresses(WEB) == ["10.0.0.1", "10.0.0.9"])
            assert 0 == sink.sessions
            await zookeeper.process.start()
            await election.leave(first)
            await sink.until(lambda: sink.addresses(WEB) == ["10.0.0.2"])


async def test_without_a_leader_there_is_an_outage_that_says_so():
    async with elected() as (zookeeper, election):
        await election.write("json.info_", b"no JSON")
        ended = await refusal(config(zookeeper))
        assert isinstance(ended, Unavailable)
        assert "no master has been elected" in str(ended)
        ended = await refusal(MesosConfig(zookeeper=f"zk://{zookeeper.hosts}/nowhere"))
        assert isinstance(ended, Unavailable)
        assert "ZooKeeper has no /nowhere" in str(ended)


async def refusal(settings: MesosConfig) -> BaseException:
    [ended] = await asyncio.gather(
        Mesos(settings, host()).run(RecordingSink()), return_exceptions=True
    )
    while isinstance(ended, BaseExceptionGroup):
        ended = ended.exceptions[0]
    return ended


async def test_a_zookeeper_that_asks_who_is_there_is_told(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("mesh:right\n")
    auth = [("digest", "mesh:right")]
    async with (
        ZooKeeperServer() as zookeeper,
        Election(zookeeper, auth_data=auth) as election,
        FakeMaster() as master,
    ):
        master.set({"web": ["10.0.0.1"]})
        acl = [make_digest_acl("mesh", "right", read=True, delete=True)]
        await election.write("json.info_", json.dumps(info(master.port)).encode(), acl=acl)
        knowing = config(zookeeper, zookeeper_credentials_file=secret)
        async with session(Mesos(knowing, host())) as sink:
            await sink.until(lambda: sink.is_synced)
        secret.write_text("mesh:wrong")
        ended = await refusal(knowing)
        assert isinstance(ended, Denied)
        assert "ZooKeeper refuses /mesos" in str(ended)


async def test_zookeeper_is_spoken_to_with_tls(tmp_path: Path):
    certificate = self_signed.write(tmp_path / "zookeeper.pem")
    [port] = free_ports(1)
    tls = {
        "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
        "secureClientPort": str(port),
        "ssl.keyStore.location": str(certificate),
        "ssl.clientAuth": "none",
    }
    async with (
        ZooKeeperServer(tls) as zookeeper,
        Election(zookeeper) as election,
        FakeMaster() as master,
    ):
        master.set({"web": ["10.0.0.1"]})
        await election.enter(master.port)
        safe = MesosConfig(
            zookeeper=f"zk://127.0.0.1:{port}{FOLDER}", zookeeper_ca_file=certificate
        )
        async with session(Mesos(safe, host())) as sink:
            await sink.until(lambda: sink.addresses(WEB) == ["10.0.0.1"])


@pytest.mark.parametrize(
    ("said", "url"),
    [
        (info(5050), "http://127.0.0.1:5050"),
        ({"ip": 16777343, "port": 5051}, "http://127.0.0.1:5051"),
        ({"address": {"ip": "fd00::1", "port": 1}}, "http://[fd00::1]:1"),
        ([], ""),
    ],
)
def test_a_masters_url_is_its_address(said, url):
    assert url == detector.master_url(json.dumps(said).encode(), "http")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "either `masters` or a `zookeeper`"),
        ({"masters": ("http://h:1",), "zookeeper": "zk://h:1/m"}, "either `masters`"),
        ({"zookeeper": "zk://u:p@h:1/m"}, "zookeeper_credentials_file"),
        ({"zookeeper": "h:2181/mesos"}, "expected zk://"),
        ({"zookeeper": "zk://h:2181"}, "expected zk://"),
        ({"zookeeper": "zk://h:1/m", "zookeeper_key_file": Path("k")}, "come together"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        MesosConfig(**settings)
