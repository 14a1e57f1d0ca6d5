"""Streams of a real master, replayed: what the mesh sees of them, step for step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_mesos
import pytest
from pilot_adapter_mesos.cluster import Cluster
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.json_wire import JsonWire
from pilot_adapter_mesos.messages import Subscribed
from pilot_adapter_mesos.publisher import Publisher

from pilot_core.model import Locality, Protocol
from pilot_core.testing import RecordingSink

RECORDINGS = Path(__file__).parent / "recordings"
CONFIG = MesosConfig(masters=("http://127.0.0.1:5050",))


class Replay:
    """One recording, taken event by event."""

    def __init__(self, name: str) -> None:
        self.lines = [json.loads(line) for line in _file(name).read_text().splitlines()]
        self.unread: list[tuple[str, str]] = []
        self.cluster = Cluster(hold=600)
        self._wire = JsonWire(lambda what, why: self.unread.append((what, why)))
        self.sink = RecordingSink()
        self._publisher = Publisher(self.cluster, CONFIG, self.sink)

    def steps(self) -> Iterator[dict[str, Any]]:
        """Each event, once it has been taken in; and each note of whoever recorded it."""
        for line in self.lines:
            if "event" in line:
                self._take(line["event"], line["t"])
            yield line

    def play(self) -> Replay:
        for _ in self.steps():
            continue
        return self

    def later(self, seconds: float) -> None:
        self.cluster.expire(self.lines[-1]["t"] + seconds)
        self._publisher.publish()

    def _take(self, said: dict[str, Any], now: float) -> None:
        record = self._wire.record(json.dumps(said).encode())
        if isinstance(record, Subscribed):
            self.cluster.begin(record.get_state, now)
        else:
            assert self.cluster.apply(record, now), said["type"]
        self.cluster.expire(now)
        self._publisher.publish()

    def seen(self) -> dict[str, list[tuple[str, str]]]:
        """Address and health of every endpoint, by hostname."""
        return {
            hostname: [
                (f"{e.address}:{e.ports[0][1]}", e.health.value)
                for record in self.sink.endpoints(hostname)
                for e in record.endpoints
            ]
            for hostname in self.sink.hostnames
        }


def _file(name: str) -> Path:
    [found] = RECORDINGS.glob(f"{name}*.jsonl")
    return found


@pytest.mark.parametrize("name", ["01", "02", "07b", "08", "16"])
def test_everything_in_a_recording_is_understood(name):
    replay = Replay(name).play()
    assert [] == replay.unread
    assert [] == replay.sink.problems


def test_bridge_and_container_networks_are_found_where_they_can_be_reached():
    sink = Replay("08").play().sink
    web, cni = "web.prod.marathon.mesos", "cni.prod.marathon.mesos"
    assert [("http", 80, Protocol.HTTP)] == [
        (p.name, p.number, p.protocol) for p in sink.services[web].ports
    ]
    assert [("grpc", 9000, Protocol.GRPC), ("dns", 9053, Protocol.UDP)] == [
        (p.name, p.number, p.protocol) for p in sink.services[cni].ports
    ]
    assert "marathon" == sink.services[web].namespace
    [[mapped], [own]] = [[r.endpoints[0] for r in sink.endpoints(h)] for h in (web, cni)]
    assert ("127.0.0.11", (("http", 31001),)) == (mapped.address, mapped.ports)
    assert ("9.0.2.5", (("dns", 9053), ("grpc", 9000))) == (own.address, own.ports)
    assert Locality("r1", "z1") == mapped.locality
    assert {"HAPROXY_GROUP": "ext", "a": "b", "mesos.role": "dev"}.items() <= dict(
        mapped.labels
    ).items()


def test_a_checked_task_takes_traffic_once_it_has_been_seen_well():
    replay = Replay("08")
    states = []
    for _ in replay.steps():
        found = replay.seen().get("web.prod.marathon.mesos")
        if found and found[0][1] not in states:
            states.append(found[0][1])
    assert ["unhealthy", "healthy"] == states


def test_tasks_of_an_agent_that_is_unreachable_are_kept_and_come_back():
    replay = Replay("02")
    seen = []
    for line in replay.steps():
        found = replay.seen().get("old.fw-npa.mesos")
        if line["t"] < 19 and (not seen or seen[-1] != found):
            seen.append(found)
    there, away = [("127.0.0.12:31011", "healthy")], [("127.0.0.12:31011", "unhealthy")]
    assert [there, away, there] == seen
    assert {} == replay.seen()


def test_a_task_that_its_agent_does_not_bring_back_goes_without_any_event():
    replay = Replay("16")
    for line in replay.steps():
        if line.get("event", {}).get("type") == "AGENT_ADDED":
            break
    assert 3 == len(replay.seen()["web.fw-pa.mesos"])
    replay.later(0)
    assert [("127.0.0.12:31001", "healthy"), ("127.0.0.11:31003", "healthy")] == replay.seen()[
        "web.fw-pa.mesos"
    ]


def test_one_task_id_in_two_frameworks_is_two_tasks():
    replay = Replay("01")
    most = 0
    for _ in replay.steps():
        most = max(most, len({key for key in replay.cluster.tasks if key[1] == "dup.1"}))
    assert 2 == most


def test_a_task_waits_for_its_agent_and_its_framework():
    replay = Replay("07b")
    for line in replay.steps():
        if line["t"] > 3.531 and line.get("event", {}).get("type") == "TASK_ADDED":
            break
    assert [("127.0.0.11:31001", "healthy")] == replay.seen()["web.fw-pa.mesos"]


def test_the_fake_master_speaks_as_the_real_one_did():
    recorded = [line["event"] for line in Replay("08").lines if "event" in line]
    added = next(e for e in recorded if e["type"] == "TASK_ADDED")["task_added"]["task"]
    assert fake_mesos.task("a", "a", "10.0.0.1").keys() - {"statuses"} <= added.keys()
    status = next(e for e in recorded if e["type"] == "TASK_UPDATED")["task_updated"]["status"]
    assert fake_mesos.status("a", "TASK_RUNNING", "10.0.0.1").keys() <= status.keys()
    state = recorded[0]["subscribed"]["get_state"]
    assert fake_mesos.FakeMaster().state().keys() == state.keys()
    known = state["get_agents"]["agents"][0]
    assert fake_mesos.agent().keys() <= known.keys()
    assert fake_mesos.agent()["agent_info"].keys() <= known["agent_info"].keys()
