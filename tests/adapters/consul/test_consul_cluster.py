"""Three real servers that lose their leader, and their quorum; and an agent behind TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from consul_catalogue import causes, register, sessions
from consul_server import ConsulAgent, ConsulCluster
from consul_tls import Authority
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import RecordingSink, host, session

SERVICES = [f"svc-{number}" for number in range(8)]
PATIENCE = 60


class NeverLess(RecordingSink):
    """Remembers the fewest services that were ever served once all had been."""

    def __init__(self) -> None:
        super().__init__()
        self.fewest: int | None = None

    def look(self) -> None:
        served = len([name for name in self.hostnames if name.startswith("svc-")])
        if self.fewest is not None or served == len(SERVICES):
            self.fewest = served if self.fewest is None else min(served, self.fewest)

    async def has(self, address: str) -> None:
        """Wait for this instance of the first service, looking at every change on the way."""

        def found() -> bool:
            self.look()
            return address in self.addresses("svc-0.service.consul")

        async with asyncio.timeout(PATIENCE):
            while not found():
                await self.next_change()

    async def next_change(self) -> None:
        seen = len(self.puts)
        try:
            await self.until(lambda: len(self.puts) > seen)
        except TimeoutError:
            return  # nothing was put for a while, which is no failure as long as time is left


async def said(sink: NeverLess, words: str) -> None:
    """Wait until that is a problem, or none is."""

    def found() -> bool:
        sink.look()
        messages = [message for _, message in sink.problems]
        return any(words in message for message in messages) if words else not messages

    async with asyncio.timeout(PATIENCE):
        while not found():
            await sink.next_change()


async def test_nothing_is_lost_with_the_leader_nor_with_the_quorum():
    async with ConsulCluster() as cluster:
        leader = await cluster.leader()
        follower, other = (agent for agent in cluster.agents if agent is not leader)
        for number, name in enumerate(SERVICES):
            await register(leader, name, f"10.1.0.{number + 1}")
        sink = NeverLess()
        adapter = Consul(ConsulConfig(address=follower.address), host())
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(sessions(adapter, sink))
            await sink.until(lambda: sink.is_synced)
            sink.look()

            await leader.process.kill()
            await cluster.leader()
            await register(follower, "svc-0", "10.1.0.101")
            await sink.has("10.1.0.101")

            await other.process.kill()
            alone = await follower.send("GET", "/v1/health/service/svc-0?stale")
            assert 2 == len(alone.body)
            await said(sink, "Consul has no leader: what its servers agreed on")
            await asyncio.gather(leader.process.start(), other.process.start())
            await cluster.leader()
            await register(follower, "svc-0", "10.1.0.102")
            await sink.has("10.1.0.102")
            await said(sink, "")
            reading.cancel()
        assert len(SERVICES) == sink.fewest


async def test_an_agent_behind_mutual_tls_is_read_and_nobody_else_gets_in(tmp_path: Path):
    authority = Authority(tmp_path)
    server, client = authority.issue("server.dc1.consul"), authority.issue("client.dc1.consul")
    tls = {
        "defaults": {"ca_file": str(authority.file), "verify_incoming": False},
        "https": {
            "verify_incoming": True,
            "cert_file": str(server.cert),
            "key_file": str(server.key),
        },
    }
    async with ConsulAgent(config={"tls": tls}) as consul:
        await register(consul, "web")
        url = f"https://127.0.0.1:{consul.ports['https']}"
        let_in = ConsulConfig(
            address=url, ca_file=authority.file, cert_file=client.cert, key_file=client.key
        )
        async with session(Consul(let_in, host())) as sink:
            await sink.until(lambda: "web.service.consul" in sink.hostnames)
        stranger = Consul(ConsulConfig(address=url, ca_file=authority.file), host())
        with pytest.raises(BaseExceptionGroup) as refused:
            await stranger.run(RecordingSink())
        assert "certificate required" in causes(refused.value)
        doubting = Consul(ConsulConfig(address=url), host())
        with pytest.raises(BaseExceptionGroup) as distrusted:
            await doubting.run(RecordingSink())
        assert "Unavailable: " in causes(distrusted.value)
        assert "certificate verify failed" in causes(distrusted.value)


def test_what_tls_needs_is_checked_without_asking_anybody(tmp_path: Path):
    config = ConsulConfig(address="https://127.0.0.1:1", ca_file=tmp_path / "nothing.pem")

    [found] = Consul.check(config)
    assert "nothing.pem cannot be used: No such file or directory" in found.message
