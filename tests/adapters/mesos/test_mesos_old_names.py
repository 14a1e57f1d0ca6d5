"""What speaks with names of before v1 is told from a master, whichever message shows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from fake_mesos import AGENT, FakeMaster, agent, record, task, updated
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.json_wire import JsonWire
from pilot_adapter_mesos.old_names import OldNames

from pilot_core.testing import RecordingSink, host

ID = {"value": AGENT}


def old(said: Any) -> Any:
    """The same with names as they were."""
    return json.loads(json.dumps(said).replace("agent", "slave").replace("AGENT", "SLAVE"))


def read(said: Mapping[str, Any], *, unread: list[str] | None = None) -> Any:
    wire = JsonWire(lambda what, why: (unread if unread is not None else []).append(what))
    data = json.dumps(said).encode()
    return wire.record(data) if "type" in said else wire.agents(data)


EVENTS = [
    {"type": "TASK_ADDED", "task_added": {"task": task("a", "web", "10.0.0.1")}},
    updated("a", "TASK_RUNNING"),
    updated("a", "TASK_LOST", reason="REASON_AGENT_REMOVED"),
    {"type": "AGENT_ADDED", "agent_added": {"agent": agent()}},
    {"type": "AGENT_REMOVED", "agent_removed": {"agent_id": ID}},
    {"type": "SUBSCRIBED", "subscribed": {"get_state": {"get_agents": {"agents": [agent()]}}}},
    {"get_agents": {"agents": [agent()]}},
    {"get_agents": {"recovered_agents": [{"hostname": "a", "id": ID}]}},
]


@pytest.mark.parametrize("said", EVENTS)
def test_each_message_is_read_with_the_names_of_v1_and_refused_with_those_before(said):
    read(said)
    with pytest.raises(OldNames, match=r"is a name of before Mesos' v1.*at /api/v1"):
        read(old(said))


def test_tasks_as_the_old_state_listed_them_are_refused():
    flat = {"id": "a", "name": "web", "framework_id": "fw-1", "slave_id": "S0"}
    state = {"get_tasks": {"tasks": [flat]}, "get_agents": {"agents": [agent()]}}
    with pytest.raises(OldNames, match="'slave_id'"):
        read({"type": "SUBSCRIBED", "subscribed": {"get_state": state}})


def test_what_people_write_is_no_name():
    labels = {"labels": [{"key": "slave_id", "value": "slave"}]}
    odd = task("slave", "slave", "10.0.0.1", labels=labels, agent_id={})
    read({"type": "TASK_ADDED", "task_added": {"task": odd}})
    unread: list[str] = []
    state = {"get_tasks": {"tasks": [{**odd, "state": 7}]}, "get_agents": {}}
    read({"type": "SUBSCRIBED", "subscribed": {"get_state": state}}, unread=unread)
    assert ["task"] == unread
    read({"type": "NEVER_HEARD_OF", "never_heard_of": {"agent_id": ID}})


async def test_old_names_end_the_session_with_a_reason_and_take_nothing_along():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        sink = RecordingSink()
        made = Mesos(MesosConfig(masters=(master.url,)), host())
        running = asyncio.create_task(made.run(sink))
        await sink.until(lambda: sink.is_synced)
        master.send_bytes(record(old(EVENTS[0])))
        with pytest.RaisesGroup(pytest.RaisesExc(OldNames, match="'slave_id'")):
            await running
        assert ["10.0.0.1"] == sink.addresses("web.shop.mesos")
