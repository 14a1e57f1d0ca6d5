"""From the tasks of a cluster to neutral records: pure.

A task is a source with its endpoint. A service is a source of its own, made of what all its tasks
say of its ports, so that a task that goes takes nothing along but itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from pilot_adapter_mesos import health, naming, ports
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.instance import Instance
from pilot_adapter_mesos.messages import Agent, FrameworkInfo, Labels
from pilot_adapter_mesos.naming import ServiceKey
from pilot_adapter_mesos.ports import TaskPort
from pilot_core.model import Endpoint, Locality, Port, Service

_PID = re.compile(r".*@(.+):\d+\Z")


class Member(msgspec.Struct, frozen=True):
    """One task as a part of its service."""

    key: ServiceKey
    hostname: str
    ports: tuple[TaskPort, ...]
    endpoint: Endpoint | None
    """None while it serves nothing that anybody could reach."""
    problems: tuple[str, ...] = ()

    def says_as_much_as(self, other: Member) -> bool:
        """Both say the same of their service: only the endpoint may differ."""
        return (self.key, self.hostname, self.ports) == (other.key, other.hostname, other.ports)


def member(
    found: Instance,
    agent: Agent | None,
    framework: FrameworkInfo,
    config: MesosConfig,
    *,
    is_machine_draining: bool = False,
) -> Member:
    """What a task is to its service. Raises naming.Unnamed."""
    key = naming.key(found.task, framework.name)
    hostname = naming.hostname(key, config.domain)
    agent_ip = address(agent, config.agent_address) if agent else ""
    said = ports.of(found, agent_ip, prefer=config.prefer)
    state = health.of(found, agent, is_machine_draining=is_machine_draining)
    endpoint = None
    where, served = _reachable(said.ports)
    if state is not None and where:
        endpoint = Endpoint(
            addresses=(where,),
            ports=served,
            health=state,
            locality=locality(agent, config.subzone_attribute),
            labels=labels(found, framework),
            workload=naming.label(key.service),
        )
    return Member(key, hostname, said.ports, endpoint, said.problems)


def _reachable(found: Iterable[TaskPort]) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The address of the first port that has one, and the ports served there: an endpoint has one
    address, and what a task serves elsewhere is another network's."""
    where = next((port.address for port in found if port.address), "")
    return where, tuple(sorted((p.name, p.number) for p in found if p.address == where))


def service(members: Iterable[Member]) -> Service:
    """The service that these tasks, sorted by their keys, make up: all ports that any of them has.

    Where they disagree about the number of a port, the lowest stays, whoever comes and goes; a
    number that two names claim stays with the first.
    """
    members = tuple(members)
    numbers: dict[str, TaskPort] = {}
    for each in members:
        for port in each.ports:
            known = numbers.get(port.name)
            if known is None or port.service_number < known.service_number:
                numbers[port.name] = port
    taken: set[tuple[int, bool]] = set()
    made: list[Port] = []
    for port in sorted(numbers.values(), key=lambda port: (port.service_number, port.name)):
        key = (port.service_number, port.protocol.is_datagram)
        if key not in taken:
            taken.add(key)
            made.append(Port(port.name, port.service_number, port.protocol))
    first = members[0]
    return Service(
        hostname=first.hostname,
        namespace=naming.label(first.key.framework),
        ports=tuple(made),
        addresses=_virtual_addresses(members),
    )


def _virtual_addresses(members: Iterable[Member]) -> tuple[str, ...]:
    """Of VIP labels such as `10.1.2.3:5000`."""
    hosts = {p.vip.rpartition(":")[0] for m in members for p in m.ports if p.vip}
    return tuple(sorted(host for host in hosts if ports.is_usable(host)))


def address(agent: Agent, how: str) -> str:
    """The agent's own address; empty where it does not say a usable one."""
    if how == "hostname":
        said = agent.agent_info.hostname
    elif how == "pid":
        found = _PID.match(agent.pid)
        said = found[1] if found else ""
    else:
        said = _attribute(agent, how.partition(":")[2])
    return said if ports.is_usable(said) else ""


def locality(agent: Agent | None, subzone: str) -> Locality:
    """The agent's fault domain, and the attribute that says where in it."""
    if agent is None:
        return Locality()
    domain = agent.agent_info.domain.fault_domain
    region = domain.region.name or _attribute(agent, "region")
    if not region:
        return Locality()
    zone = domain.zone.name or _attribute(agent, "zone")
    return Locality(region, zone, _attribute(agent, subzone) if zone and subzone else "")


def _attribute(agent: Agent, name: str) -> str:
    return next((a.text.value for a in agent.agent_info.attributes if a.name == name), "")


def labels(found: Instance, framework: FrameworkInfo) -> tuple[tuple[str, str], ...]:
    """What the task is labelled with, and what Mesos knows of it."""
    task = found.task
    made = {**_plain(task.discovery.labels), **_plain(task.labels)}
    made.setdefault("version", task.discovery.version)
    made["mesos.framework"] = framework.name
    made["mesos.framework-id"] = task.framework_id.value
    made["mesos.agent-id"] = task.agent_id.value
    made["mesos.task-id"] = task.task_id.value
    role = next((r.allocation_info.role for r in task.resources if r.allocation_info.role), "")
    made["mesos.role"] = role
    if not made["version"]:
        del made["version"]
    return tuple(sorted((key, value) for key, value in made.items() if key))


def _plain(said: Labels) -> dict[str, str]:
    return {label.key: label.value for label in said.labels}
