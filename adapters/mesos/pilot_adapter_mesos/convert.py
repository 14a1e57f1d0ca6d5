"""From the tasks of a cluster to neutral records: pure.

A task is a source with its endpoint. A service is a source of its own, made of what all its tasks
say of its ports, so that a task that goes takes nothing along but itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from pilot_adapter_mesos import enrichment, health, identity, naming, ports
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.enrichment import Extra
from pilot_adapter_mesos.hostnames import Names
from pilot_adapter_mesos.instance import Instance
from pilot_adapter_mesos.messages import Agent, FrameworkInfo, Labels
from pilot_adapter_mesos.naming import ServiceKey
from pilot_adapter_mesos.ports import Place, TaskPort
from pilot_core.model import Endpoint, Locality, Port, Service, TlsMode
from pilot_core.model.service import EVERYWHERE, OWN_NAMESPACE

TLS_LABEL, WEIGHT_LABEL = "mesh.tls", "mesh.weight"
_PID = re.compile(r".*@(.+):\d+\Z")
_HEAVIEST = (1 << 32) - 1


class About(msgspec.Struct, frozen=True):
    """What is known besides a task that bears on it. `labels` are those of its pod."""

    agent: Agent
    framework: FrameworkInfo
    labels: Labels = Labels()
    extra: Extra = enrichment.NOTHING
    is_machine_draining: bool = False
    is_machine_down: bool = False


class Part(msgspec.Struct, frozen=True):
    """What a task is to one of the hostnames under which it is found."""

    hostname: str
    namespace: str
    is_private: bool
    """Seen in its own namespace only."""
    ports: tuple[TaskPort, ...]


class Member(msgspec.Struct, frozen=True):
    """One task as a part of its service."""

    key: ServiceKey
    parts: tuple[Part, ...]
    """Its own hostname first."""
    endpoint: Endpoint | None
    """None while it serves nothing that anybody could reach."""
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def ports(self) -> tuple[TaskPort, ...]:
        return self.parts[0].ports


def all_labels(found: Instance, about: About) -> dict[str, str]:
    """Whatever the task is labelled with: by its discovery, its pod, its scheduler, itself."""
    task = found.task
    return {
        **_plain(task.discovery.labels),
        **_plain(about.labels),
        **dict(about.extra.labels),
        **_plain(task.labels),
    }


def member(
    found: Instance, key: ServiceKey, names: Names, about: About, config: MesosConfig
) -> Member:
    """What a task is to its service, which has these names."""
    said_labels = all_labels(found, about)
    said = ports.of(found, _place(about, config), dict(about.extra.service_ports))
    who = identity.account(found.task, said_labels, about.framework, config.grants)
    state = health.of(
        found,
        about.agent,
        is_machine_draining=about.is_machine_draining,
        said=about.extra.health,
    )
    weight, misread = _weight(said_labels)
    endpoint = None
    where, served = _reachable(said.ports)
    if state is not None and where and not about.is_machine_down:
        endpoint = Endpoint(
            addresses=where,
            ports=served,
            health=state,
            weight=weight,
            locality=locality(about.agent, config.subzone_attribute),
            labels=labels(found, said_labels, about, config.agent_labels),
            workload=naming.label(key.service),
            service_account=who.name,
            tls=TlsMode.MUTUAL if said_labels.get(TLS_LABEL) == "mutual" else TlsMode.PLAIN,
        )
    return Member(
        key,
        _parts(found, names, said.ports, about, config),
        endpoint,
        said.problems,
        tuple(filter(None, (who.remark, misread))),
    )


def _place(about: About, config: MesosConfig) -> Place:
    agent_ip = address(about.agent, config.agent_address)
    return Place(agent_ip, config.prefer, 4 if config.ip_family == "ipv4" else 6)


def _weight(said: dict[str, str]) -> tuple[int, str]:
    text = said.get(WEIGHT_LABEL, "1")
    if text.isascii() and text.isdigit() and int(text[:12]) <= _HEAVIEST:
        return int(text[:12]), ""
    return 1, f"{WEIGHT_LABEL}: expected a whole number up to {_HEAVIEST}, found {text!r}"


def _reachable(
    found: Iterable[TaskPort],
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """The address of the first port that has one, and the ports served there: an endpoint has one
    address, and what a task serves elsewhere is another network's."""
    found = tuple(found)
    first = next((port for port in found if port.address), None)
    if first is None:
        return (), ()
    served = sorted((p.name, p.number) for p in found if p.address == first.address)
    return (first.address, *first.others), tuple(served)


def _parts(
    found: Instance,
    names: Names,
    said: tuple[TaskPort, ...],
    about: About,
    config: MesosConfig,
) -> tuple[Part, ...]:
    own = namespace(found, about.framework, config.namespace)
    is_private = config.honour_visibility and found.task.discovery.visibility == "FRAMEWORK"
    by_name = dict.fromkeys((names.hostname, *names.aliases), said)
    if "vip" in config.aliases:
        by_name |= _virtual(said, about.framework.name)
    return tuple(Part(name, own, is_private, each) for name, each in by_name.items())


def _virtual(said: Iterable[TaskPort], framework: str) -> dict[str, tuple[TaskPort, ...]]:
    """The ports behind each virtual address that is a name."""
    found: dict[str, tuple[TaskPort, ...]] = {}
    for port in said:
        for vip in port.vips:
            name, number = ports.split_vip(vip)
            if ports.is_usable(name):
                continue
            try:
                hostname = naming.virtual(name, framework)
            except naming.Unnamed:
                continue
            found[hostname] = (*found.get(hostname, ()), port._replace(service_number=number))
    return found


def namespace(found: Instance, framework: FrameworkInfo, how: str) -> str:
    said = {"role": identity.role(found.task), "environment": found.task.discovery.environment}
    return naming.label(said.get(how, "")) or naming.label(framework.name)


def service(parts: Iterable[Part]) -> Service:
    """The service that these parts, sorted by their tasks' keys, make up: all ports that any of
    them has.

    Where they disagree about the number of a port, the lowest stays, whoever comes and goes; a
    number that two names claim stays with the first.
    """
    parts = tuple(parts)
    numbers: dict[str, TaskPort] = {}
    for each in parts:
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
    return Service(
        hostname=parts[0].hostname,
        namespace=min(part.namespace for part in parts),
        ports=tuple(made),
        visibility=(OWN_NAMESPACE if all(part.is_private for part in parts) else EVERYWHERE,),
        addresses=_virtual_addresses(parts),
    )


def _virtual_addresses(parts: Iterable[Part]) -> tuple[str, ...]:
    """Of VIP labels such as `10.1.2.3:5000`."""
    vips = {vip for part in parts for port in part.ports for vip in port.vips}
    hosts = {ports.split_vip(vip)[0] for vip in vips}
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


def labels(
    found: Instance, said: dict[str, str], about: About, attributes: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """What the task is labelled with, and what Mesos knows of it."""
    task = found.task
    made = {**said}
    made.setdefault("version", task.discovery.version or about.extra.version)
    made["mesos.framework"] = about.framework.name
    made["mesos.framework-id"] = task.framework_id.value
    made["mesos.agent-id"] = task.agent_id.value
    made["mesos.task-id"] = task.task_id.value
    made["mesos.role"] = identity.role(task)
    for name in attributes:
        if value := _attribute(about.agent, name):
            made[f"agent.{name}"] = value
    if not made["version"]:
        del made["version"]
    return tuple(sorted((key, value) for key, value in made.items() if key))


def _plain(said: Labels) -> dict[str, str]:
    return {label.key: label.value for label in said.labels}
