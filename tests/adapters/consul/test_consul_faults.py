"""What a real Consul does not do on command: it lies, it stalls, it fails, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from fake_consul import FakeConsul

from consul_catalogue import deregister, register, sessions
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Denied, Unavailable
from pilot_core.clock import SystemClock
from pilot_core.registry.hub import Registration
from pilot_core.testing import RecordingSink, host, session
from registries import running

WEB, API = "web.service.consul", "api.service.consul"
PATH = "/v1/health/service/web"
LISTING = "/v1/catalog/services"


@pytest.fixture
async def fake() -> AsyncIterator[FakeConsul]:
    async with FakeConsul() as consul:
        await register(consul, "web")
        await register(consul, "api", "10.1.0.2")
        yield consul


def adapter(fake: FakeConsul) -> Consul:
    return Consul(ConsulConfig(address=fake.address), host())


def failing(path: str, status: int, text: str = "rpc error making call: EOF") -> Any:
    """A fault of this path alone. Errors carry an index that means nothing."""

    def fault(request: web.Request) -> web.Response | None:
        headers = {"X-Consul-Index": "1"}
        if request.path == path:
            return web.Response(status=status, text=text, headers=headers)
        return None

    return fault


# Scenario 7


async def test_an_index_that_goes_back_costs_one_more_read_and_no_change_is_missed(fake):
    async with session(adapter(fake)) as sink:
        await sink.until(lambda: sink.is_synced)
        await register(fake, "web", "10.1.0.3")
        await sink.until(lambda: "10.1.0.3" in sink.addresses(WEB))
        await until(lambda: fake.held[PATH] and fake.held[LISTING])
        before = fake.asked[PATH]
        await fake.rewind()
        await register(fake, "web", "10.1.0.4")
        await sink.until(lambda: "10.1.0.4" in sink.addresses(WEB))
        # One that is answered by the rewind, one from the beginning, one that is held, and the
        # same once more where the listing has gone back meanwhile.
        assert fake.asked[PATH] - before <= 6
        assert {WEB, API} <= set(sink.hostnames)


async def test_who_asks_just_while_the_indexes_go_back_does_not_wait_for_the_future(fake):
    late, restored = asyncio.Event(), asyncio.Event()

    async def on_its_way(request: web.Request) -> None:
        if request.path == PATH and "index" in request.query and not restored.is_set():
            late.set()
            await restored.wait()

    async with session(adapter(fake)) as sink:
        await sink.until(lambda: sink.is_synced)
        await until(lambda: fake.held[PATH] and fake.held[LISTING])
        fake.fault = on_its_way
        await register(fake, "web", "10.1.0.3")
        await late.wait()
        await until(lambda: fake.held[LISTING])
        await fake.rewind()
        restored.set()
        await register(fake, "web", "10.1.0.4")
        await sink.until(lambda: "10.1.0.4" in sink.addresses(WEB))


@pytest.mark.parametrize("index", [None, 0])
async def test_an_answer_without_an_index_is_not_asked_for_in_a_hurry(fake, index):
    loop = asyncio.get_running_loop()
    enough = asyncio.Event()

    def fault(request: web.Request) -> web.Response | None:
        if request.path != PATH:
            return None
        if fake.asked[PATH] >= 14:
            enough.set()
        return fake.reply(fake.instances("web"), index=index)

    async with session(adapter(fake)) as sink:
        await sink.until(lambda: sink.is_synced)
        fake.asked.clear()
        fake.fault = fault
        began = loop.time()
        await register(fake, "web", "10.1.0.3")
        await enough.wait()
        # Eight at once, then two a second: it can only be slower on a busy machine.
        assert loop.time() - began > 2
        assert ["10.1.0.1", "10.1.0.3"] == sink.addresses(WEB)


# Scenario 10


async def test_what_a_server_that_lags_behind_does_not_have_is_not_gone(fake):
    def lagging(request: web.Request) -> web.Response | None:
        if "stale" not in request.query:
            return None  # the leader
        if request.path == LISTING:
            return fake.reply({}, index=1)
        return fake.reply([], index=1) if request.path == PATH else None

    sink = RecordingSink()
    reader = adapter(fake)
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
        fake.fault = lagging
        await register(fake, "api", "10.1.0.7")
        await sink.until(lambda: "10.1.0.7" in sink.addresses(API))
    sink.next_session()
    async with session(reader, sink):
        await sink.until(lambda: sink.is_synced)
        assert (["10.1.0.1"], []) == (sink.addresses(WEB), sink.problems)
        fake.fault = None
        await deregister(fake, "web-10.1.0.1")
        await sink.until(lambda: WEB not in sink.hostnames)


async def test_what_no_leader_confirms_is_not_gone(fake):
    def leaderless(request: web.Request) -> web.Response | None:
        if request.path != LISTING:
            return None
        return fake.reply({"consul": []}, index=fake.index + 1, KnownLeader="false")

    sink = RecordingSink()
    async with session(adapter(fake), sink):
        await sink.until(lambda: sink.is_synced)
    fake.fault = leaderless
    sink.next_session()
    with pytest.raises(BaseExceptionGroup) as ended:
        async with session(adapter(fake), sink):
            await sink.until(lambda: False)
    assert ended.group_contains(Unavailable, match="no leader confirms it", depth=2)
    assert {WEB, API} <= set(sink.hostnames)


# Scenario 11


async def test_an_answer_that_is_as_late_as_consul_may_be_is_waited_for(fake):
    async with Agent(ConsulConfig(address=fake.address), margin=30) as agent:
        fake.hold = 2.0
        reply = await agent.read(PATH, index=fake.index, wait=1)
        assert b"10.1.0.1" in reply.content


async def test_an_answer_that_never_comes_is_not_waited_for_for_ever(fake):
    async with Agent(ConsulConfig(address=fake.address), margin=0.2) as agent:
        fake.hold = 3600.0
        with pytest.raises(Unavailable, match="/v1/health/service/web: no answer in time"):
            await agent.read(PATH, index=fake.index, wait=1)


# Scenario 13


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_one_service_that_cannot_be_read_harms_no_other_and_is_shown(fake, status):
    async with session(adapter(fake)) as sink:
        await sink.until(lambda: sink.is_synced)
        fake.fault = failing(PATH, status)
        await register(fake, "web", "10.1.0.3")
        await sink.until(lambda: sink.problems)
        [(origin, message)] = sink.problems
        assert origin.endswith("service/web")
        assert f"{PATH}: {status} rpc error making call: EOF; what was read" in message
        await register(fake, "api", "10.1.0.4")
        await sink.until(lambda: "10.1.0.4" in sink.addresses(API))
        assert ["10.1.0.1"] == sink.addresses(WEB)
        fake.fault = None
        await sink.until(lambda: ["10.1.0.1", "10.1.0.3"] == sink.addresses(WEB))
        assert [] == sink.problems


async def test_a_service_that_cannot_be_read_at_the_start_keeps_no_other_from_being_there(fake):
    fake.fault = failing(PATH, 500)
    async with session(adapter(fake)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert [API, "consul.service.consul"] == sink.hostnames
        assert 1 == len(sink.problems)
        fake.fault = None
        await sink.until(lambda: ["10.1.0.1"] == sink.addresses(WEB))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_consul_that_answers_nothing_is_asked_ever_less_often(fake, status):
    registration = Registration(
        name="dc1",
        kind="consul",
        adapter_type=Consul,
        config=ConsulConfig(address=fake.address),
    )
    loop = asyncio.get_running_loop()
    async with running(registration, clock=SystemClock()) as stage:
        await asyncio.wait_for(stage.hub.ready.wait(), 30)
        tasks = len(asyncio.all_tasks())
        fake.asked.clear()
        fake.fault = lambda request: web.Response(status=status, text="busy")
        began = loop.time()
        await fake.rewind()  # what is held comes back, and meets the storm
        await until(lambda: stage.registry("dc1").sessions >= 5)
        # Half a second, one, two, each at least half of that: not faster on any machine.
        assert loop.time() - began > 1
        assert fake.asked.total() < 10 * len(fake.asked)
        assert ("stale", {WEB, API}) == (
            stage.state("dc1"),
            set(stage.hostnames()) - {"consul.service.consul"},
        )
        fake.fault = None
        await until(lambda: stage.state("dc1") == "synced")
        assert [] == stage.codes
        await until(lambda: len(asyncio.all_tasks()) <= tasks + fake.open)


async def until(condition: Any) -> None:
    clock = SystemClock()
    async with asyncio.timeout(60):
        while not condition():
            await clock.sleep(0.02)


# Scenarios 9 and 8


async def test_a_token_that_is_taken_away_in_the_middle_of_everything_takes_nothing_away(fake):
    def anonymous(request: web.Request) -> web.Response | None:
        if request.path == LISTING:
            return fake.reply({}, index=fake.index + 5)
        if request.path.startswith(("/v1/health/", "/v1/config/")):
            return fake.reply([], index=fake.index + 5)
        return None

    sink = RecordingSink()
    async with session(adapter(fake), sink):
        await sink.until(lambda: sink.is_synced)
    fake.fault = anonymous
    for _ in range(2):
        sink.next_session()
        with pytest.raises(BaseExceptionGroup) as ended:
            async with session(adapter(fake), sink):
                await sink.until(lambda: False)
        assert ended.group_contains(Denied, depth=2)
        assert {WEB, API} <= set(sink.hostnames)


async def test_an_agent_that_goes_away_and_comes_back_is_read_again(fake):
    sink = RecordingSink()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(sessions(adapter(fake), sink))
        await sink.until(lambda: sink.is_synced)
        await fake.kill()
        await fake.start()
        await register(fake, "api", "10.1.0.9")
        await sink.until(lambda: "10.1.0.9" in sink.addresses(API))
        assert ["10.1.0.1"] == sink.addresses(WEB)
        reading.cancel()


# Namespaces and partitions, which the real server of these tests does not have


async def test_every_question_names_its_namespace_and_partition(fake):
    asked: set[tuple[str | None, str | None]] = set()

    def listen(request: web.Request) -> None:
        if request.path != "/v1/catalog/register":
            asked.add((request.query.get("ns"), request.query.get("partition")))

    fake.fault = listen
    config = ConsulConfig(address=fake.address, namespaces=("shop", "bank"), partition="one")
    async with session(Consul(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["10.1.0.1"] == sink.addresses("web.service.shop.ns.one.ap.consul")
        assert ["10.1.0.1"] == sink.addresses("web.service.bank.ns.one.ap.consul")
        assert "shop" == sink.services["web.service.shop.ns.one.ap.consul"].namespace
    assert {("shop", "one"), ("bank", "one")} == asked
