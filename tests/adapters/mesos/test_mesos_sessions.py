"""Sessions with a master that misbehaves."""

from __future__ import annotations

import asyncio

import pytest
from fake_mesos import FRAMEWORK, FakeMaster, agent, framework, record, task, updated
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.config import MesosConfig

from pilot_core.adapter import Denied, Unavailable
from pilot_core.document import Duration
from pilot_core.model import Endpoint
from pilot_core.testing import FakeClock, RecordingSink, host, session


def adapter(*masters: FakeMaster | str, **more: object) -> Mesos:
    urls = tuple(m if isinstance(m, str) else m.url for m in masters)
    return Mesos(MesosConfig(masters=urls, **{"resync": Duration(0.05), **more}), host())


async def ended(made: Mesos, sink: RecordingSink | None = None) -> BaseException:
    """What ends a session, out of its groups."""
    async with asyncio.timeout(10):
        [error] = await asyncio.gather(made.run(sink or RecordingSink()), return_exceptions=True)
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def test_a_redirect_is_followed_with_its_credentials(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mesh:secret\n")
    async with FakeMaster() as leader, FakeMaster() as standby:
        leader.authorization = standby.authorization = "Basic bWVzaDpzZWNyZXQ="
        leader.set({"web": ["10.0.0.1"]})
        standby.redirect = f"//127.0.0.1:{leader.port}/master/api/v1"
        async with session(adapter(standby, credentials_file=secret)) as sink:
            await sink.until(lambda: sink.addresses("web.shop.mesos") == ["10.0.0.1"])
        assert ["SUBSCRIBE"] == standby.asked


async def test_redirects_in_a_circle_come_to_an_end():
    async with FakeMaster() as one:
        one.redirect = f"//127.0.0.1:{one.port}/api/v1"
        error = await ended(adapter(one))
        assert isinstance(error, Unavailable)
        assert "redirects more than" in str(error)
        assert len(one.asked) < 10


async def test_masters_that_are_not_there_yet_are_passed_over():
    async with FakeMaster() as booting, FakeMaster() as leader:
        booting.status = 503
        leader.set({"web": ["10.0.0.1"]})
        async with session(adapter("http://127.0.0.1:1", booting, leader)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ["10.0.0.1"] == sink.addresses("web.shop.mesos")


async def test_no_master_at_all_is_an_outage_that_names_each():
    async with FakeMaster() as booting:
        booting.status = 503
        error = await ended(adapter("http://127.0.0.1:1", booting))
        assert isinstance(error, Unavailable)
        assert f"{booting.url}: answers 503" in str(error)
        assert "http://127.0.0.1:1: " in str(error)


async def test_a_refusal_names_the_right_that_is_missing():
    async with FakeMaster() as master:
        master.authorization = "Basic other"
        error = await ended(adapter(master))
        assert isinstance(error, Denied)
        assert "mesos-master-readwrite" in str(error)


async def test_silence_ends_the_session():
    async with FakeMaster(heartbeat=0.05) as master:
        error = await ended(adapter(master, resync=Duration(60)))
        assert isinstance(error, Unavailable)
        assert "no heartbeat for 0.15 s" in str(error)


@pytest.mark.parametrize("garbage", [b"<html>", b"12\nnot json yet"])
async def test_garbage_in_the_stream_is_an_outage_or_left_out(garbage):
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        sink = RecordingSink()
        running = asyncio.create_task(ended(adapter(master), sink))
        await sink.until(lambda: sink.is_synced)
        master.send_bytes(garbage)
        master.end_streams()
        assert isinstance(await running, Unavailable)
        assert ["10.0.0.1"] == sink.addresses("web.shop.mesos")


async def test_an_event_that_makes_no_sense_is_passed_over():
    async with FakeMaster() as master, session(adapter(master, resync=Duration(60))) as sink:
        await sink.until(lambda: sink.is_synced)
        master.send_bytes(record({"type": "TASK_ADDED", "task_added": 7}))
        master.set({"web": ["10.0.0.1"]})
        await sink.until(lambda: sink.addresses("web.shop.mesos") == ["10.0.0.1"])


async def test_a_stream_cut_into_single_bytes_is_read():
    async with FakeMaster() as master, session(adapter(master, resync=Duration(60))) as sink:
        await sink.until(lambda: sink.is_synced)
        added = {"type": "TASK_ADDED", "task_added": {"task": task("a", "web", "10.0.0.1")}}
        for byte in record(added):
            master.send_bytes(bytes((byte,)))
        await sink.until(lambda: sink.addresses("web.shop.mesos") == ["10.0.0.1"])


async def test_what_the_stream_does_not_tell_is_found_by_listing():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        async with session(adapter(master)) as sink:
            await sink.until(lambda: sink.is_synced)
            [id] = master.tasks
            master.tasks[id] = task(id, "web", "10.0.0.7")
            await sink.until(lambda: sink.addresses("web.shop.mesos") == ["10.0.0.7"])
            master.agents = {k: agent(drain_info={"state": "DRAINING"}) for k in master.agents}
            await sink.until(lambda: "draining" in _healths(sink))
            master.agents = {k: agent() for k in master.agents}
            await sink.until(lambda: "healthy" in _healths(sink))
            hostname = agent()["agent_info"]["hostname"]
            master.maintenance = {"draining_machines": [{"id": {"hostname": hostname}}]}
            await sink.until(lambda: "draining" in _healths(sink))


def _healths(sink: RecordingSink) -> list[str]:
    return [e.health for r in sink.endpoints("web.shop.mesos") for e in r.endpoints]


async def test_the_next_session_keeps_what_a_new_master_does_not_know_yet():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"], "api": ["10.0.0.2"]})
        mesos, sink = adapter(master), RecordingSink()
        first = asyncio.create_task(ended(mesos, sink))
        await sink.until(lambda: sink.is_synced)
        await master.stop()
        await first
        tasks, master.tasks = master.tasks, {}
        agents, master.agents = master.agents, {}
        master.recovered = list(agents.values())
        await master.start()
        sink.next_session()
        async with session(mesos, sink):
            await sink.until(lambda: len(sink.hostnames) == 2 and master.streams)
            assert not sink.is_synced
            back = tasks["web-10.0.0.1"]
            master.tasks = {"web-10.0.0.1": back}
            master.agents, master.recovered = agents, []
            master.send({"type": "TASK_ADDED", "task_added": {"task": back}})
            master.send({"type": "AGENT_ADDED", "agent_added": {"agent": agent()}})
            await sink.until(lambda: sink.is_synced and sink.hostnames == ["web.shop.mesos"])


async def test_hidden_frameworks_are_said_and_remove_nothing():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        mesos, sink = adapter(master), RecordingSink()
        first = asyncio.create_task(ended(mesos, sink))
        await sink.until(lambda: sink.is_synced)
        master.end_streams()
        await first
        frameworks, master.frameworks = master.frameworks, []
        sink.next_session()
        second = asyncio.create_task(ended(mesos, sink))
        await sink.until(lambda: sink.problems)
        assert "right to view them" in sink.problems[0][1]
        assert ["web.shop.mesos"] == sink.hostnames
        master.frameworks = frameworks
        master.end_streams()
        await second
        sink.next_session()
        async with session(mesos, sink):
            await sink.until(lambda: sink.is_synced and not sink.problems)
            assert ["10.0.0.1"] == sink.addresses("web.shop.mesos")


async def test_a_task_that_is_killed_drains_and_goes():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        async with session(adapter(master, resync=Duration(60))) as sink:
            await sink.until(lambda: sink.is_synced)
            [id] = master.tasks
            master.send(updated(id, "TASK_KILLING"))
            await sink.until(lambda: _healths(sink) == ["draining"])
            master.send(updated(id, "TASK_KILLED"))
            await sink.until(lambda: not sink.sources)


async def test_labels_of_pods_are_those_of_their_executors():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        [made] = master.tasks.values()
        made["executor_id"] = {"value": "pod-1"}
        info = {"executor_id": {"value": "pod-1"}, "framework_id": {"value": FRAMEWORK}}
        master.executors = [{"executor_info": {**info, "labels": _labels(tier="front")}}]
        async with session(adapter(master)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert "front" == dict(_endpoint(sink).labels)["tier"]
            master.executors = [{"executor_info": {**info, "labels": _labels(tier="back")}}]
            await sink.until(lambda: dict(_endpoint(sink).labels)["tier"] == "back")


def _labels(**said: str) -> dict[str, object]:
    return {"labels": [{"key": key, "value": value} for key, value in said.items()]}


def _endpoint(sink: RecordingSink) -> Endpoint:
    [record] = sink.endpoints("web.shop.mesos")
    return record.endpoints[0]


async def test_who_comes_later_under_the_same_name_is_told_apart_and_named_again_when_it_is_free():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        other = task("other", "web", "10.0.0.2")
        other["framework_id"] = {"value": "fw-0002"}
        master.frameworks.append(framework("shop", "fw-0002"))
        async with session(adapter(master, resync=Duration(60))) as sink:
            await sink.until(lambda: sink.is_synced)
            master.send({"type": "TASK_ADDED", "task_added": {"task": other}})
            both = {"web.shop.mesos": ["10.0.0.1"], "web.shop-0002.mesos": ["10.0.0.2"]}
            await sink.until(lambda: sink.view == both)
            assert ["web.shop.mesos is the name of 'web' of shop (fw-0001)"] == [
                remark.partition(", so")[0] for _, remark in sink.notes
            ]
            master.set({})
            await sink.until(lambda: sink.view == {"web.shop.mesos": ["10.0.0.2"]})
            assert [] == sink.notes


async def test_a_job_that_offers_nothing_is_no_service():
    async with FakeMaster() as master:
        master.set({"job": ["10.0.0.1"], "web": ["10.0.0.2"]})
        master.tasks["job-10.0.0.1"]["discovery"]["ports"] = {}
        async with session(adapter(master)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert {"web.shop.mesos": ["10.0.0.2"]} == sink.view


async def test_maintenance_drains_when_its_time_comes_and_what_is_down_is_gone():
    clock = FakeClock()
    async with FakeMaster(heartbeat=3600) as master:
        master.set({"web": ["10.0.0.1"]})
        hostname = {"hostname": agent()["agent_info"]["hostname"]}
        master.maintenance = {"draining_machines": [{"id": hostname}]}
        start = {"start": {"nanoseconds": int((clock.now() + 100) * 1e9)}}
        master.windows = [{"machine_ids": [hostname], "unavailability": start}]
        config = MesosConfig(masters=(master.url,), drain_before=Duration(40))
        async with session(Mesos(config, host(clock))) as sink:
            await sink.until(lambda: sink.is_synced)
            await clock.until_sleepers(3)
            await clock.advance(30)
            await clock.until_sleepers(3)
            assert ["healthy"] == _healths(sink)
            await clock.advance(31)
            await sink.until(lambda: "draining" in _healths(sink))
            master.maintenance = {"down_machines": [hostname]}
            await clock.advance(31)
            await sink.until(lambda: _healths(sink) == [])


async def test_who_is_told_slowly_is_told_the_latest_and_the_stream_is_drained_meanwhile():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1", "10.0.0.2"]})
        async with session(adapter(master, resync=Duration(60))) as sink:
            await sink.until(lambda: sink.is_synced)
            sink.puts.clear()
            for number in range(3000):
                for id in master.tasks:
                    master.send(updated(id, "TASK_RUNNING", healthy=number % 2 == 0))
            for id in master.tasks:
                master.send(updated(id, "TASK_KILLING"))
            await sink.until(lambda: _healths(sink) == ["draining", "draining"])
            assert all(stream.empty() for stream in master.streams)
            assert len(sink.puts) < 3000
