"""Messages as protobuf: the numbers are the real ones, and a real master says the same in JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import msgspec
import pytest
from pilot_adapter_mesos import protobuf_schema as schema
from pilot_adapter_mesos.json_wire import JsonWire
from pilot_adapter_mesos.messages import Subscribed
from pilot_adapter_mesos.protobuf_wire import ProtobufWire
from pilot_adapter_mesos.recordio import Decoder
from pilot_adapter_mesos.wire import NoMessage, Wire

import mesos_build
import mesos_messages
from mesos_agent import HEALTH_CHANGED, MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from mesos_world import NEVER, assert_as_the_master_says, followed
from server_process import wait_for

_OTHER_NAMES = {
    "Id": "TaskID",
    "Range": "Value.Range",
    "Ranges": "Value.Ranges",
    "Text": "Value.Text",
    "AllocationInfo": "Resource.AllocationInfo",
    "PortMapping": "NetworkInfo.PortMapping",
    "IpAddress": "NetworkInfo.IPAddress",
    "DiscoveryPort": "Port",
    "DiscoveryPorts": "Ports",
    "Discovery": "DiscoveryInfo",
    "Docker": "ContainerInfo.DockerInfo",
    "Container": "ContainerInfo",
    "CheckStatus": "CheckStatusInfo",
    "CheckHttp": "CheckStatusInfo.Http",
    "CheckTcp": "CheckStatusInfo.Tcp",
    "CheckCommand": "CheckStatusInfo.Command",
    "Time": "TimeInfo",
    "Domain": "DomainInfo",
    "FaultDomain": "DomainInfo.FaultDomain",
    "Named": "DomainInfo.FaultDomain.RegionInfo",
    "MachineId": "MachineID",
    "GetTasks": "Response.GetTasks",
    "GetAgents": "Response.GetAgents",
    "GetFrameworks": "Response.GetFrameworks",
    "GetState": "Response.GetState",
    "GetExecutors": "Response.GetExecutors",
    "Executor": "Response.GetExecutors.Executor",
    "Planned": "Response.GetMaintenanceSchedule",
    "Maintenance": "Response.GetMaintenanceStatus",
    "Agent": "Response.GetAgents.Agent",
    "Framework": "Response.GetFrameworks.Framework",
    "Subscribed": "Event.Subscribed",
    "TaskAdded": "Event.TaskAdded",
    "TaskUpdated": "Event.TaskUpdated",
    "FrameworkEvent": "Event.FrameworkAdded",
    "FrameworkRemoved": "Event.FrameworkRemoved",
    "AgentAdded": "Event.AgentAdded",
    "AgentRemoved": "Event.AgentRemoved",
    "DrainingMachine": "ClusterStatus.DrainingMachine",
    "Answer": "Response",
    "Record": "Event",
}
"""What Mesos calls the messages whose structs have other names."""
_FILES = ("mesos/v1/mesos.proto", "mesos/v1/master/master.proto")
_MAINTENANCE = "mesos/v1/maintenance/maintenance.proto"


def _all(messages: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for message in messages:
        yield prefix + message.name, message
        yield from _all(message.nested_type, f"{prefix}{message.name}.")


def test_the_numbers_are_those_that_a_real_master_has():
    files = mesos_messages.descriptors(mesos_build.library(MesosMaster().library))
    real = {
        name: {field.name: field.number for field in message.field}
        for file in (*_FILES, _MAINTENANCE)
        for name, message in _all(files[file].message_type)
    }
    for kind, numbers in schema.NUMBERS.items():
        name = _OTHER_NAMES.get(kind.__name__, kind.__name__)
        assert {field: real[name].get(field) for field in numbers} == numbers, name


def test_the_names_of_numbers_are_those_that_a_real_master_has():
    files = mesos_messages.descriptors(mesos_build.library(MesosMaster().library))
    enums = [
        {value.number: value.name for value in enum.value}
        for file in _FILES
        for enum in (
            *files[file].enum_type,
            *(e for _, message in _all(files[file].message_type) for e in message.enum_type),
        )
    ]
    calls = {number: name for name, number in schema.CALLS.items()}
    for names in (*schema.NAMES.values(), calls):
        assert any(names.items() <= enum.items() for enum in enums), names


@contextlib.asynccontextmanager
async def _listening(master: MesosMaster, wire: Wire) -> AsyncIterator[list[Any]]:
    """All records of a stream so far, heartbeats left out, as plain values."""
    seen: list[Any] = []
    headers = {"Content-Type": wire.content_type, "Accept": wire.content_type}

    async def listen(stream: aiohttp.ClientResponse) -> None:
        records = Decoder()
        async for data in stream.content.iter_any():
            for each in map(wire.record, records.feed(data)):
                if isinstance(each, Subscribed):
                    seen.append(each)
                elif each.type != "HEARTBEAT":
                    said = msgspec.structs.asdict(each)
                    seen.append({key: value for key, value in said.items() if value is not None})

    body = wire.call("SUBSCRIBE")
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{master.url}/api/v1", data=body, headers=headers) as stream,
    ):
        listening = asyncio.create_task(listen(stream))
        try:
            yield seen
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _unread(what: str, why: str) -> None:
    raise AssertionError(f"{what} of a real master makes no sense: {why}")


async def test_a_real_master_says_the_same_in_both_forms():
    checked = {"type": "HTTP", "http": {"port": 8080, "path": "/"}}
    async with (
        MesosMaster(missed_pings=3) as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        MesosFramework(master, "store", is_partition_aware=False) as store,
    ):
        await shop.launch(task("old.1", "old", 8080, labels=_labels(tier="back")), agent)
        await agent.run("old.1", "10.0.0.7")
        async with (
            _listening(master, JsonWire(_unread)) as by_json,
            _listening(master, ProtobufWire(_unread)) as by_protobuf,
        ):
            await shop.launch(task("web.1", "web", 8080, health_check=checked), agent)
            await agent.run("web.1", "10.0.0.1")
            await agent.run("web.1", "10.0.0.1", healthy=True, reason=HEALTH_CHANGED)
            await store.launch(task("x.1", "x", 80, container=_bridged()), agent)
            await agent.run("x.1")
            await agent.update("web.1", "TASK_KILLING", ip="10.0.0.1")
            await agent.end("web.1")
            agent.fall_silent()
            await wait_for(lambda: _has(by_json, "TASK_UNREACHABLE"), "the loss of the agent")
            await agent.reregister()
            await store.teardown()
            await agent.unregister()
            for seen in (by_json, by_protobuf):
                await wait_for(lambda seen=seen: _has(seen, "'AGENT_REMOVED'"), "the last event")
            assert by_json == by_protobuf
            assert {"TASK_ADDED", "TASK_UPDATED", "AGENT_ADDED", "FRAMEWORK_REMOVED"} < {
                each["type"] for each in by_json[1:]
            }


async def _has(seen: list[Any], text: str) -> bool:
    return text in repr(seen)


def _labels(**said: str) -> dict[str, Any]:
    return {"labels": [{"key": key, "value": value} for key, value in said.items()]}


def _bridged() -> dict[str, Any]:
    mapping = {"host_port": 31000, "container_port": 80, "protocol": "tcp"}
    docker = {"image": "x", "network": "BRIDGE", "port_mappings": [mapping]}
    return {"type": "DOCKER", "docker": docker}


async def test_a_mesh_by_protobuf_is_the_mesh_that_the_master_says():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master, resync=NEVER, wire="protobuf") as events,
        followed(master, wire="protobuf") as sink,
    ):
        await shop.launch(task("web.1", "web", 8080), agent)
        await agent.run("web.1", "10.0.0.1")
        drained = {"agent_id": {"value": agent.id}, "max_grace_period": {"seconds": 600}}
        await master.ask("DRAIN_AGENT", **drained)
        await sink.until(lambda: sink.now("web.shop.mesos") == [("10.0.0.1", "draining")])
        await assert_as_the_master_says(master, sink)
        await events.until(lambda: events.now("web.shop.mesos") == [("10.0.0.1", "healthy")])


def test_one_task_that_makes_no_sense_harms_no_other():
    good = schema.message(schema.m.Task)(name="a").SerializeToString()
    listed = schema.message(schema.m.GetTasks)(tasks=[good, b"\xff\xff"]).SerializeToString()
    answer = schema.message(schema.Answer)()
    answer.get_tasks.ParseFromString(listed)
    unread: list[str] = []
    wire = ProtobufWire(lambda what, why: unread.append(what))
    found = wire.tasks(answer.SerializeToString())
    assert (["a"], ["task"]) == ([each.name for each in found.tasks], unread)


@pytest.mark.parametrize("data", [b"\xff\xff", b"{}", json.dumps({"type": 1}).encode()])
def test_what_is_no_message_is_said(data):
    with pytest.raises(NoMessage):
        ProtobufWire(_unread).record(data)


def test_a_number_that_has_no_name_is_an_unknown_event():
    data = schema.message(schema.Record)(type=99).SerializeToString()
    assert "" == ProtobufWire(_unread).record(data).type
