"""Faults of a real master and of the way to it: cuts, silence, a reader that is slow."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable

import pytest
from pilot_adapter_mesos import Mesos

from mesos_agent import HEALTH_CHANGED, MesosAgent
from mesos_framework import MesosFramework
from mesos_server import MesosMaster
from mesos_world import (
    NEVER,
    Watched,
    assert_as_the_master_says,
    config,
    following,
    start,
)
from pilot_core.adapter import Unavailable
from pilot_core.model import Record
from pilot_core.testing import FakeClock, host
from relay import Relay

WEB = "web.shop.mesos"
HEALTHY = "healthy"
CHECKED = {"type": "TCP", "tcp": {"port": 8080}}
_UPDATES, _WORDS = 1000, "x" * (64 << 10)
_SPARE = 24 << 20
"""Bytes that a master may grow by, of the 64 MB that it says."""


@pytest.mark.parametrize("size", [1, 60, 400])
async def test_a_stream_that_is_cut_within_a_record_loses_nothing_and_half_a_record_says_nothing(
    size: int,
):
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        Relay(master.port) as relay,
    ):
        await start(shop, agent, "1", "10.0.0.1")
        through = Mesos(config(master, NEVER, masters=(relay.url,)), host())
        async with following(through) as sink:
            await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
            relay.cut_after(size, of=b"SUBSCRIBE")
            await start(shop, agent, "2", "10.0.0.2")
            both = [("10.0.0.1", HEALTHY), ("10.0.0.2", HEALTHY)]
            await sink.until(lambda: sink.now(WEB) == both and sink.sessions)
            assert 1 == relay.cuts
            assert [[], both[:1], both] == sink.seen(WEB)
            await assert_as_the_master_says(master, sink)


async def test_a_master_that_freezes_is_given_up_after_three_heartbeats_and_heard_again_after():
    clock = FakeClock()
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        there = [("10.0.0.1", HEALTHY)]
        mesos, sink = Mesos(config(master, NEVER), host(clock)), Watched()
        running = asyncio.create_task(mesos.run(sink))
        await sink.until(lambda: sink.is_synced and sink.now(WEB) == there)
        await clock.until_sleepers(3)
        master.process.suspend()
        # What was on its way has been heard once nothing more comes.
        await clock.advance(44)
        assert not running.done()
        await clock.advance(46)
        with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="no heartbeat for 45 s")):
            await running
        assert [[], there] == sink.seen(WEB)
        master.process.resume()
        await agent.end("web.1")
        async with following(mesos) as later:
            assert [] == later.now(WEB)
            await assert_as_the_master_says(master, later)


class Slow(Watched):
    """Each record costs it some milliseconds."""

    def put(self, source: str, records: Iterable[Record]) -> None:
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10_000)
        super().put(source, records)


async def test_a_view_that_is_slow_keeps_no_master_waiting_that_would_keep_all_it_says_in_memory():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await start(shop, agent, "web.1", "10.0.0.1", health_check=CHECKED)
        async with following(Mesos(config(master, NEVER), host()), Slow()) as sink:
            before, puts = master.process.resident(), len(sink.puts)
            for number in range(_UPDATES):
                is_well = number % 2 == 1
                said = {"healthy": is_well, "reason": HEALTH_CHANGED, "words": _WORDS}
                await agent.run("web.1", "10.0.0.1", **said)
            await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
            assert master.process.resident() - before < _SPARE
            assert 0 < len(sink.puts) - puts <= _UPDATES
            assert 0 == sink.sessions
            await assert_as_the_master_says(master, sink)
