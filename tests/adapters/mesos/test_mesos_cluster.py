from __future__ import annotations

import json
from typing import Any

import fake_mesos
import msgspec
from fake_mesos import AGENT, FRAMEWORK, FakeMaster, agent, framework, status, task, updated
from pilot_adapter_mesos.cluster import DOUBT, Cluster
from pilot_adapter_mesos.json_wire import JsonWire
from pilot_adapter_mesos.messages import Event, GetState

HOLD = 600.0


def cluster() -> Cluster:
    return Cluster(hold=HOLD)


def decoded(said: Any, kind: Any) -> Any:
    return msgspec.json.decode(json.dumps(said), type=kind)


def wire(unread: list[str] | None = None) -> JsonWire:
    return JsonWire(lambda what, why: (unread if unread is not None else []).append(what))


def state(master: FakeMaster) -> GetState:
    return wire().state(json.dumps(master.state()).encode())


def begin(found: Cluster, master: FakeMaster, now: float = 0.0) -> None:
    found.begin(state(master), now)


def resync(found: Cluster, master: FakeMaster, asked_at: int, now: float = 0.0) -> None:
    said = state(master)
    found.resync(said.get_tasks, said.get_agents, asked_at, now)


def apply(found: Cluster, *events: dict[str, Any], now: float = 0.0) -> None:
    for event in events:
        assert found.apply(decoded(event, Event), now)


def ids(found: Cluster) -> list[str]:
    return sorted(key[1] for key in found.tasks)


def master(*names: str) -> FakeMaster:
    made = FakeMaster()
    made.tasks = {n: task(n, "web", f"10.0.0.{i + 1}") for i, n in enumerate(names)}
    return made


def test_a_resync_corrects_what_the_stream_does_not_tell():
    found, real = cluster(), master("a", "b")
    begin(found, real)
    real.tasks.pop("b")
    real.tasks["a"] = task("a", "web", "10.0.0.9")
    real.tasks["c"] = task("c", "web", "10.0.0.3")
    resync(found, real, found.heard)
    assert ["a", "c"] == ids(found)
    assert "10.0.0.9" == found.tasks[FRAMEWORK, "a"].networks[0].ip_addresses[0].ip_address


def test_a_resync_never_overrides_what_was_heard_after_its_question():
    found, real = cluster(), master("a")
    begin(found, real)
    asked_at = found.heard
    apply(found, updated("a", "TASK_KILLING"))
    apply(found, {"type": "TASK_ADDED", "task_added": {"task": task("b", "web", "10.0.0.2")}})
    resync(found, real, asked_at)
    assert ["a", "b"] == ids(found)
    assert "TASK_KILLING" == found.tasks[FRAMEWORK, "a"].state


def test_a_list_that_was_asked_for_before_a_task_ended_does_not_bring_it_back():
    found, real = cluster(), master("a", "b")
    begin(found, real)
    asked_at = found.heard
    apply(found, updated("a", "TASK_KILLED"))
    resync(found, real, asked_at)
    assert ["b"] == ids(found)
    # Its id is used again.
    resync(found, real, found.heard)
    assert ["a", "b"] == ids(found)


def test_what_the_master_says_of_a_task_does_not_erase_its_addresses():
    found = cluster()
    begin(found, master("a"))
    apply(found, updated("a", "TASK_UNREACHABLE", source="SOURCE_MASTER"))
    assert found.tasks[FRAMEWORK, "a"].is_lost
    assert "10.0.0.1" == found.tasks[FRAMEWORK, "a"].networks[0].ip_addresses[0].ip_address


def test_a_lost_task_is_given_up_after_a_while():
    found = cluster()
    begin(found, master("a"))
    apply(found, updated("a", "TASK_UNREACHABLE"), now=10)
    assert HOLD == found.expire(10)
    apply(found, updated("a", "TASK_UNREACHABLE"), now=20)
    found.expire(10 + HOLD - 1)
    assert ["a"] == ids(found)
    found.expire(10 + HOLD)
    assert [] == ids(found)


def test_lost_without_a_partition_is_over():
    found = cluster()
    begin(found, master("a", "b"))
    apply(found, updated("a", "TASK_LOST", reason="REASON_AGENT_REMOVED"))
    apply(found, updated("b", "TASK_LOST", unreachable_time={"nanoseconds": 1}))
    assert ["b"] == ids(found)


def test_a_new_master_that_knows_no_tasks_removes_none_of_agents_it_waits_for():
    found, real = cluster(), master("a", "b")
    begin(found, real)
    after = FakeMaster()
    after.agents, after.frameworks = {}, [framework()]
    after.recovered = [agent()["agent_info"]]
    begin(found, after, now=100)
    assert ["a", "b"] == ids(found)
    apply(
        found,
        {"type": "TASK_ADDED", "task_added": {"task": real.tasks["a"]}},
        {"type": "AGENT_ADDED", "agent_added": {"agent": agent()}},
        now=105,
    )
    assert not found.recovered
    found.expire(105 + DOUBT - 0.1)
    assert ["a", "b"] == ids(found)
    found.expire(105 + DOUBT)
    assert ["a"] == ids(found)


def test_an_agent_that_never_returns_is_given_up_with_its_tasks():
    found = cluster()
    begin(found, master("a"))
    after = FakeMaster()
    after.agents, after.recovered = {}, [agent()["agent_info"]]
    begin(found, after, now=100)
    found.expire(100 + HOLD - 1)
    assert ["a"] == ids(found)
    found.expire(100 + HOLD)
    assert [] == ids(found)


def test_frameworks_that_are_hidden_all_at_once_remove_nothing():
    found, real = cluster(), master("a")
    begin(found, real)
    hidden = FakeMaster()
    hidden.frameworks = []
    begin(found, hidden)
    resync(found, hidden, found.heard)
    assert found.is_suspicious
    assert ["a"] == ids(found)
    begin(found, real)
    assert not found.is_suspicious


def test_a_master_that_remembers_nothing_is_believed_of_agents_that_are_back():
    found, real = cluster(), master("a", "b")
    begin(found, real)
    forgetful = FakeMaster()
    forgetful.frameworks, forgetful.agents = [], {}
    begin(found, forgetful)
    assert (["a", "b"], [AGENT]) == (ids(found), list(found.recovered))
    apply(found, {"type": "FRAMEWORK_ADDED", "framework_added": {"framework": framework()}})
    real.tasks.pop("b")
    for _ in range(2):
        resync(found, real, found.heard)
    assert (["a"], []) == (ids(found), list(found.recovered))


def test_a_framework_that_is_removed_takes_its_tasks_along_and_no_others():
    found, real = cluster(), master("a")
    real.frameworks.append(framework("other", "fw-2"))
    real.tasks["b"] = {**task("b", "web", "10.0.0.2"), "framework_id": {"value": "fw-2"}}
    begin(found, real)
    gone = {"framework_info": framework("other", "fw-2")["framework_info"]}
    apply(found, {"type": "FRAMEWORK_REMOVED", "framework_removed": gone})
    assert ["a"] == ids(found)


def test_one_task_that_makes_no_sense_harms_no_other():
    unread: list[str] = []
    found, real = cluster(), master("a", "b")
    real.tasks["b"]["statuses"] = "none"
    found.begin(wire(unread).state(json.dumps(real.state()).encode()), 0)
    assert (["a"], ["task"]) == (ids(found), unread)


def test_lists_that_older_masters_leave_out_are_empty():
    found = cluster()
    found.begin(wire().state(b'{"get_tasks": {}, "get_agents": {}}'), 0)
    assert {} == found.tasks


def test_an_event_of_an_unknown_type_is_told_apart_from_a_heartbeat():
    found = cluster()
    assert not found.apply(decoded({"type": {}}, Event), 0)
    assert not found.apply(decoded({"type": "SOMETHING_NEW", "something": {}}, Event), 0)
    assert found.apply(decoded({"type": "HEARTBEAT"}, Event), 0)


def test_health_is_remembered_over_a_restart_of_what_checks_it():
    found, real = cluster(), master("a")
    real.tasks["a"]["statuses"] = [status("a", "TASK_RUNNING", "10.0.0.1", healthy=True)]
    begin(found, real)
    real.tasks["a"]["statuses"] = [status("a", "TASK_RUNNING", "10.0.0.1")]
    resync(found, real, found.heard)
    assert found.tasks[FRAMEWORK, "a"].was_healthy


def test_only_tasks_that_may_look_different_are_named():
    found, real = cluster(), master("a", "b")
    begin(found, real)
    found.changed.clear()
    resync(found, real, found.heard)
    assert set() == found.changed
    apply(found, updated("b", "TASK_KILLING"))
    assert {(FRAMEWORK, "b")} == found.changed
    found.changed.clear()
    drained = fake_mesos.agent(drain_info={"state": "DRAINING"})
    real.agents[AGENT] = drained
    resync(found, real, found.heard)
    assert {(FRAMEWORK, "a"), (FRAMEWORK, "b")} == found.changed


def test_a_listing_after_events_that_says_the_same_changes_nothing():
    found, real = cluster(), master("a")
    begin(found, real)
    apply(found, updated("a", "TASK_RUNNING", healthy=True), {"type": "HEARTBEAT"})
    found.changed.clear()
    real.tasks["a"]["statuses"] += [status("a", "TASK_RUNNING", healthy=True)]
    resync(found, real, found.heard)
    assert set() == found.changed


def test_agents_that_come_back_while_no_framework_is_to_be_seen_mean_nothing():
    found, real = cluster(), master("a")
    begin(found, real)
    after = FakeMaster()
    after.agents, after.frameworks, after.recovered = {}, [], [agent()["agent_info"]]
    begin(found, after, now=100)
    apply(found, {"type": "AGENT_ADDED", "agent_added": {"agent": agent()}}, now=105)
    found.expire(105 + DOUBT)
    after.agents, after.recovered = {AGENT: agent()}, []
    resync(found, after, found.heard, now=110)
    assert (["a"], True) == (ids(found), found.is_suspicious)


def test_an_agent_that_is_back_since_its_tasks_were_listed_keeps_them():
    found, real = cluster(), master("a")
    begin(found, real)
    after = FakeMaster()
    after.agents, after.recovered = {}, [agent()["agent_info"]]
    begin(found, after, now=100)
    after.agents, after.recovered = {AGENT: agent()}, []
    resync(found, after, found.heard, now=101)
    assert ["a"] == ids(found)
    resync(found, after, found.heard, now=131)
    assert [] == ids(found)
