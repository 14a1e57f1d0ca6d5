"""The numbers that Mesos' fields have on the wire, and descriptors made of them and of our structs.

Only fields that are read have one here; a test compares them with the descriptors in a master.
The numbers of states and the like are read as numbers: their names are looked up afterwards.

Source: mesos/v1/mesos.proto, mesos/v1/master/master.proto, mesos/v1/maintenance/maintenance.proto.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from pilot_adapter_mesos import messages as m

PACKAGE = "pilot_adapter_mesos"
Kind = type[msgspec.Struct]


class Maintenance(msgspec.Struct, frozen=True):
    status: m.ClusterStatus = m.ClusterStatus()


class Planned(msgspec.Struct, frozen=True):
    schedule: m.Schedule = m.Schedule()


class Answer(msgspec.Struct, frozen=True):
    """What a master answers to the calls that a session makes."""

    get_state: m.GetState = m.GetState()
    get_agents: m.GetAgents = m.GetAgents()
    get_tasks: m.GetTasks = m.GetTasks()
    get_executors: m.GetExecutors = m.GetExecutors()
    get_maintenance_status: Maintenance | None = None
    get_maintenance_schedule: Planned | None = None


class Record(m.Event, frozen=True):
    """A record of the stream of events."""

    subscribed: m.Subscribed | None = None


class Call(msgspec.Struct, frozen=True):
    type: int = 0


NUMBERS: Mapping[Kind, Mapping[str, int]] = {
    m.Id: {"value": 1},
    m.Label: {"key": 1, "value": 2},
    m.Labels: {"labels": 1},
    m.Range: {"begin": 1, "end": 2},
    m.Ranges: {"range": 1},
    m.AllocationInfo: {"role": 1},
    m.Resource: {"name": 1, "ranges": 4, "allocation_info": 11},
    m.PortMapping: {"host_port": 1, "container_port": 2, "protocol": 3},
    m.DiscoveryPort: {"number": 1, "name": 2, "protocol": 3, "labels": 5},
    m.DiscoveryPorts: {"ports": 1},
    m.Discovery: {
        "visibility": 1,
        "name": 2,
        "environment": 3,
        "version": 5,
        "ports": 6,
        "labels": 7,
    },
    m.IpAddress: {"ip_address": 2},
    m.NetworkInfo: {"ip_addresses": 5, "name": 6, "port_mappings": 7},
    m.Docker: {"network": 2, "port_mappings": 3},
    m.Container: {"type": 1, "docker": 3, "network_infos": 7},
    m.ContainerStatus: {"container_id": 4, "network_infos": 1},
    m.CheckHttp: {"status_code": 1},
    m.CheckTcp: {"succeeded": 1},
    m.CheckCommand: {"exit_code": 1},
    m.CheckStatus: {"command": 2, "http": 3, "tcp": 4},
    m.Time: {"nanoseconds": 1},
    m.TaskStatus: {
        "task_id": 1,
        "state": 2,
        "source": 9,
        "reason": 10,
        "agent_id": 5,
        "timestamp": 6,
        "healthy": 8,
        "check_status": 15,
        "container_status": 13,
        "unreachable_time": 14,
    },
    m.HealthCheck: {},
    m.Task: {
        "name": 1,
        "task_id": 2,
        "framework_id": 3,
        "executor_id": 4,
        "agent_id": 5,
        "state": 6,
        "resources": 7,
        "statuses": 8,
        "labels": 11,
        "discovery": 12,
        "container": 13,
        "user": 14,
        "health_check": 15,
    },
    m.Named: {"name": 1},
    m.FaultDomain: {"region": 1, "zone": 2},
    m.Domain: {"fault_domain": 1},
    m.Text: {"value": 1},
    m.Attribute: {"name": 1, "text": 5},
    m.AgentInfo: {"hostname": 1, "attributes": 5, "id": 6, "domain": 10},
    m.DrainInfo: {"state": 1},
    m.Agent: {"agent_info": 1, "pid": 4, "drain_info": 13},
    m.FrameworkInfo: {"user": 1, "name": 2, "id": 3, "role": 6, "principal": 8, "roles": 12},
    m.Framework: {"framework_info": 1},
    m.GetTasks: {"tasks": 2, "unreachable_tasks": 5},
    m.GetAgents: {"agents": 1, "recovered_agents": 2},
    m.GetFrameworks: {"frameworks": 1},
    m.ExecutorInfo: {"executor_id": 1, "framework_id": 8, "labels": 14},
    m.Executor: {"executor_info": 1},
    m.GetExecutors: {"executors": 1},
    m.GetState: {"get_tasks": 1, "get_executors": 2, "get_frameworks": 3, "get_agents": 4},
    m.Subscribed: {"get_state": 1, "heartbeat_interval_seconds": 2},
    m.TaskAdded: {"task": 1},
    m.TaskUpdated: {"framework_id": 1, "status": 2, "state": 3},
    m.FrameworkEvent: {"framework": 1},
    m.FrameworkRemoved: {"framework_info": 1},
    m.AgentAdded: {"agent": 1},
    m.AgentRemoved: {"agent_id": 1},
    m.MachineId: {"hostname": 1, "ip": 2},
    m.DrainingMachine: {"id": 1},
    m.ClusterStatus: {"draining_machines": 1, "down_machines": 2},
    m.Unavailability: {"start": 1},
    m.Window: {"machine_ids": 1, "unavailability": 2},
    m.Schedule: {"windows": 1},
    Maintenance: {"status": 1},
    Planned: {"schedule": 1},
    Answer: {
        "get_state": 9,
        "get_agents": 10,
        "get_executors": 12,
        "get_tasks": 13,
        "get_maintenance_status": 17,
        "get_maintenance_schedule": 18,
    },
    Record: {
        "type": 1,
        "subscribed": 2,
        "task_added": 3,
        "task_updated": 4,
        "agent_added": 5,
        "agent_removed": 6,
        "framework_added": 7,
        "framework_updated": 8,
        "framework_removed": 9,
    },
    Call: {"type": 1},
}

_STATES = {
    0: "TASK_STARTING",
    1: "TASK_RUNNING",
    2: "TASK_FINISHED",
    3: "TASK_FAILED",
    4: "TASK_KILLED",
    5: "TASK_LOST",
    6: "TASK_STAGING",
    7: "TASK_ERROR",
    8: "TASK_KILLING",
    9: "TASK_DROPPED",
    10: "TASK_UNREACHABLE",
    11: "TASK_GONE",
    12: "TASK_GONE_BY_OPERATOR",
    13: "TASK_UNKNOWN",
}

NAMES: Mapping[tuple[Kind, str], Mapping[int, str]] = {
    (m.Task, "state"): _STATES,
    (m.TaskStatus, "state"): _STATES,
    (m.TaskUpdated, "state"): _STATES,
    (m.TaskStatus, "source"): {0: "SOURCE_MASTER", 1: "SOURCE_AGENT", 2: "SOURCE_EXECUTOR"},
    (m.TaskStatus, "reason"): {
        0: "REASON_COMMAND_EXECUTOR_FAILED",
        1: "REASON_EXECUTOR_TERMINATED",
        2: "REASON_EXECUTOR_UNREGISTERED",
        3: "REASON_FRAMEWORK_REMOVED",
        4: "REASON_GC_ERROR",
        5: "REASON_INVALID_FRAMEWORKID",
        6: "REASON_INVALID_OFFERS",
        7: "REASON_MASTER_DISCONNECTED",
        8: "REASON_CONTAINER_LIMITATION_MEMORY",
        9: "REASON_RECONCILIATION",
        10: "REASON_AGENT_DISCONNECTED",
        11: "REASON_AGENT_REMOVED",
        12: "REASON_AGENT_RESTARTED",
        13: "REASON_AGENT_UNKNOWN",
        14: "REASON_TASK_INVALID",
        15: "REASON_TASK_UNAUTHORIZED",
        16: "REASON_TASK_UNKNOWN",
        17: "REASON_CONTAINER_PREEMPTED",
        18: "REASON_RESOURCES_UNKNOWN",
        19: "REASON_CONTAINER_LIMITATION",
        20: "REASON_CONTAINER_LIMITATION_DISK",
        21: "REASON_CONTAINER_LAUNCH_FAILED",
        22: "REASON_CONTAINER_UPDATE_FAILED",
        23: "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
        24: "REASON_EXECUTOR_REREGISTRATION_TIMEOUT",
        25: "REASON_TASK_GROUP_INVALID",
        26: "REASON_TASK_GROUP_UNAUTHORIZED",
        27: "REASON_IO_SWITCHBOARD_EXITED",
        28: "REASON_TASK_CHECK_STATUS_UPDATED",
        29: "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED",
        30: "REASON_TASK_KILLED_DURING_LAUNCH",
        31: "REASON_AGENT_REMOVED_BY_OPERATOR",
        32: "REASON_AGENT_REREGISTERED",
        33: "REASON_MAX_COMPLETION_TIME_REACHED",
        34: "REASON_AGENT_DRAINING",
    },
    (m.Discovery, "visibility"): {0: "FRAMEWORK", 1: "CLUSTER", 2: "EXTERNAL"},
    (m.Docker, "network"): {1: "HOST", 2: "BRIDGE", 3: "NONE", 4: "USER"},
    (m.Container, "type"): {1: "DOCKER", 2: "MESOS"},
    (m.DrainInfo, "state"): {0: "UNKNOWN", 1: "DRAINING", 2: "DRAINED"},
    (Record, "type"): {
        1: "SUBSCRIBED",
        2: "TASK_ADDED",
        3: "TASK_UPDATED",
        4: "AGENT_ADDED",
        5: "AGENT_REMOVED",
        6: "FRAMEWORK_ADDED",
        7: "FRAMEWORK_UPDATED",
        8: "FRAMEWORK_REMOVED",
        9: "HEARTBEAT",
    },
}
"""Of fields whose numbers have names; those that have none here are empty texts."""

CALLS = {
    "GET_STATE": 9,
    "GET_AGENTS": 10,
    "GET_EXECUTORS": 12,
    "GET_TASKS": 13,
    "SUBSCRIBE": 18,
    "GET_MAINTENANCE_STATUS": 23,
    "GET_MAINTENANCE_SCHEDULE": 24,
}

APART = frozenset(
    (
        (m.GetTasks, "tasks"),
        (m.GetTasks, "unreachable_tasks"),
        (m.GetAgents, "agents"),
        (m.GetAgents, "recovered_agents"),
        (m.GetFrameworks, "frameworks"),
        (m.GetExecutors, "executors"),
    )
)
"""Lists whose members are read one by one: they are bytes at first, which looks the same."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    bool: _Field.TYPE_BOOL,
    int: _Field.TYPE_INT64,
    float: _Field.TYPE_DOUBLE,
    str: _Field.TYPE_STRING,
}


class Member(typing.NamedTuple):
    """What a field holds: a scalar or a struct, one or many."""

    kind: Any
    is_list: bool


@functools.cache
def members(kind: Kind) -> Mapping[str, Member]:
    """The fields of a struct that have a number."""
    hints = typing.get_type_hints(kind)
    return {name: _member(hints[name]) for name in NUMBERS[kind]}


def _member(hint: Any) -> Member:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return Member(arguments[0], is_list=True)
    if isinstance(hint, types.UnionType):
        [hint] = [each for each in arguments if each is not type(None)]
    return Member(hint, is_list=False)


@functools.cache
def message(kind: Kind) -> Any:
    """The message class of a struct."""
    return message_factory.GetMessageClass(
        _pool().FindMessageTypeByName(f"{PACKAGE}.{kind.__name__}")
    )


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{PACKAGE}.proto", package=PACKAGE, syntax="proto2"
    )
    for kind, numbers in NUMBERS.items():
        made = file.message_type.add(name=kind.__name__)
        for name, number in numbers.items():
            field = made.field.add(name=name, number=number)
            _describe(field, kind, members(kind)[name])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _describe(field: Any, kind: Kind, member: Member) -> None:
    field.label = _Field.LABEL_REPEATED if member.is_list else _Field.LABEL_OPTIONAL
    if (kind, field.name) in APART:
        field.type = _Field.TYPE_BYTES
    elif (kind, field.name) in NAMES:
        field.type = _Field.TYPE_INT64
    elif member.kind in _SCALARS:
        field.type = _SCALARS[member.kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{member.kind.__name__}"
