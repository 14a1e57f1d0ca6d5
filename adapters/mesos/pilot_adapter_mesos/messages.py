"""What is read of Mesos' v1 messages: the fields that a mesh needs, and no others.

Names are those of the JSON form, and so are the names of states. What a message leaves out has its
default here, as older masters leave out empty lists.

Source: mesos/v1/mesos.proto, mesos/v1/master/master.proto.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Id(msgspec.Struct, frozen=True, gc=False):
    value: str = ""


class Label(msgspec.Struct, frozen=True, gc=False):
    key: str = ""
    value: str = ""


class Labels(msgspec.Struct, frozen=True):
    labels: tuple[Label, ...] = ()

    def get(self, key: str) -> str | None:
        return next((label.value for label in self.labels if label.key == key), None)


class Range(msgspec.Struct, frozen=True, gc=False):
    begin: int = 0
    end: int = -1


class Ranges(msgspec.Struct, frozen=True):
    range: tuple[Range, ...] = ()


class AllocationInfo(msgspec.Struct, frozen=True, gc=False):
    role: str = ""


class Resource(msgspec.Struct, frozen=True):
    name: str = ""
    ranges: Ranges = Ranges()
    allocation_info: AllocationInfo = AllocationInfo()


class PortMapping(msgspec.Struct, frozen=True, gc=False):
    host_port: int = 0
    container_port: int = 0
    protocol: str = ""


class DiscoveryPort(msgspec.Struct, frozen=True):
    number: int = 0
    name: str = ""
    protocol: str = ""
    labels: Labels = Labels()


class DiscoveryPorts(msgspec.Struct, frozen=True):
    ports: tuple[DiscoveryPort, ...] = ()


class Discovery(msgspec.Struct, frozen=True):
    visibility: str = ""
    name: str = ""
    environment: str = ""
    version: str = ""
    ports: DiscoveryPorts = DiscoveryPorts()
    labels: Labels = Labels()


class IpAddress(msgspec.Struct, frozen=True, gc=False):
    ip_address: str = ""


class NetworkInfo(msgspec.Struct, frozen=True):
    name: str = ""
    ip_addresses: tuple[IpAddress, ...] = ()
    port_mappings: tuple[PortMapping, ...] = ()


class Docker(msgspec.Struct, frozen=True):
    network: str = "HOST"
    port_mappings: tuple[PortMapping, ...] = ()


class Container(msgspec.Struct, frozen=True):
    type: str = ""
    docker: Docker = Docker()
    network_infos: tuple[NetworkInfo, ...] = ()


class ContainerStatus(msgspec.Struct, frozen=True):
    container_id: Id = Id()
    network_infos: tuple[NetworkInfo, ...] = ()


class CheckHttp(msgspec.Struct, frozen=True, gc=False):
    status_code: int | None = None


class CheckTcp(msgspec.Struct, frozen=True, gc=False):
    succeeded: bool | None = None


class CheckCommand(msgspec.Struct, frozen=True, gc=False):
    exit_code: int | None = None


class CheckStatus(msgspec.Struct, frozen=True, gc=False):
    http: CheckHttp = CheckHttp()
    tcp: CheckTcp = CheckTcp()
    command: CheckCommand = CheckCommand()


class Time(msgspec.Struct, frozen=True, gc=False):
    nanoseconds: int = 0


class TaskStatus(msgspec.Struct, frozen=True):
    task_id: Id = Id()
    state: str = ""
    source: str = ""
    reason: str = ""
    agent_id: Id = Id()
    timestamp: float = 0.0
    healthy: bool | None = None
    check_status: CheckStatus | None = None
    container_status: ContainerStatus | None = None
    unreachable_time: Time | None = None


class HealthCheck(msgspec.Struct, frozen=True, gc=False):
    """That there is one is all that matters here."""


class Task(msgspec.Struct, frozen=True):
    name: str = ""
    task_id: Id = Id()
    framework_id: Id = Id()
    executor_id: Id = Id()
    agent_id: Id = Id()
    state: str = ""
    user: str = ""
    resources: tuple[Resource, ...] = ()
    statuses: tuple[TaskStatus, ...] = ()
    labels: Labels = Labels()
    discovery: Discovery = Discovery()
    container: Container = Container()
    health_check: HealthCheck | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Task ids are unique within their framework only."""
        return self.framework_id.value, self.task_id.value


class Named(msgspec.Struct, frozen=True, gc=False):
    name: str = ""


class FaultDomain(msgspec.Struct, frozen=True, gc=False):
    region: Named = Named()
    zone: Named = Named()


class Domain(msgspec.Struct, frozen=True, gc=False):
    fault_domain: FaultDomain = FaultDomain()


class Text(msgspec.Struct, frozen=True, gc=False):
    value: str = ""


class Attribute(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    text: Text = Text()


class AgentInfo(msgspec.Struct, frozen=True):
    hostname: str = ""
    id: Id = Id()
    domain: Domain = Domain()
    attributes: tuple[Attribute, ...] = ()


class DrainInfo(msgspec.Struct, frozen=True, gc=False):
    state: str = ""


class Agent(msgspec.Struct, frozen=True):
    agent_info: AgentInfo = AgentInfo()
    pid: str = ""
    """`slave(1)@IP:PORT`: the one place where an agent's address stands."""
    drain_info: DrainInfo | None = None


class FrameworkInfo(msgspec.Struct, frozen=True):
    name: str = ""
    id: Id = Id()
    user: str = ""
    principal: str = ""
    role: str = ""
    roles: tuple[str, ...] = ()


class Framework(msgspec.Struct, frozen=True):
    framework_info: FrameworkInfo = FrameworkInfo()


class GetTasks(msgspec.Struct, frozen=True):
    tasks: tuple[Task, ...] = ()
    unreachable_tasks: tuple[Task, ...] = ()


class GetAgents(msgspec.Struct, frozen=True):
    agents: tuple[Agent, ...] = ()
    recovered_agents: tuple[AgentInfo, ...] = ()


class GetFrameworks(msgspec.Struct, frozen=True):
    frameworks: tuple[Framework, ...] = ()


class ExecutorInfo(msgspec.Struct, frozen=True):
    """Of a pod: its labels stand here, and not on the tasks of its containers."""

    executor_id: Id = Id()
    framework_id: Id = Id()
    labels: Labels = Labels()


class Executor(msgspec.Struct, frozen=True):
    executor_info: ExecutorInfo = ExecutorInfo()


class GetExecutors(msgspec.Struct, frozen=True):
    executors: tuple[Executor, ...] = ()


class GetState(msgspec.Struct, frozen=True):
    get_tasks: GetTasks = GetTasks()
    get_agents: GetAgents = GetAgents()
    get_frameworks: GetFrameworks = GetFrameworks()
    get_executors: GetExecutors = GetExecutors()


class Subscribed(msgspec.Struct, frozen=True):
    """The first record of a stream: all that the master knows."""

    get_state: GetState = GetState()
    heartbeat_interval_seconds: float = 15.0


class TaskAdded(msgspec.Struct, frozen=True):
    task: Task


class TaskUpdated(msgspec.Struct, frozen=True):
    framework_id: Id
    status: TaskStatus
    state: str = ""


class FrameworkEvent(msgspec.Struct, frozen=True):
    framework: Framework


class FrameworkRemoved(msgspec.Struct, frozen=True):
    framework_info: FrameworkInfo


class AgentAdded(msgspec.Struct, frozen=True):
    agent: Agent


class AgentRemoved(msgspec.Struct, frozen=True):
    agent_id: Id


class Event(msgspec.Struct, frozen=True):
    """Any other record of a stream; `type` says which field is there."""

    type: Any = ""
    """A text; what this master's version has no name for is an empty object."""
    task_added: TaskAdded | None = None
    task_updated: TaskUpdated | None = None
    framework_added: FrameworkEvent | None = None
    framework_updated: FrameworkEvent | None = None
    framework_removed: FrameworkRemoved | None = None
    agent_added: AgentAdded | None = None
    agent_removed: AgentRemoved | None = None


class MachineId(msgspec.Struct, frozen=True, gc=False):
    hostname: str = ""
    ip: str = ""


class DrainingMachine(msgspec.Struct, frozen=True, gc=False):
    id: MachineId = MachineId()


class ClusterStatus(msgspec.Struct, frozen=True):
    draining_machines: tuple[DrainingMachine, ...] = ()
    down_machines: tuple[MachineId, ...] = ()


class Unavailability(msgspec.Struct, frozen=True, gc=False):
    start: Time = Time()


class Window(msgspec.Struct, frozen=True):
    machine_ids: tuple[MachineId, ...] = ()
    unavailability: Unavailability = Unavailability()


class Schedule(msgspec.Struct, frozen=True):
    """Machines are draining from the moment when a window is entered, however late it begins."""

    windows: tuple[Window, ...] = ()
