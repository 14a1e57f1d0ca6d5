"""Brings a sink up to date with a cluster, at the cost of the tasks that have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pilot_adapter_mesos import convert, enrichment, naming
from pilot_adapter_mesos.cluster import Cluster, TaskKey
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.convert import About, Member, Part
from pilot_adapter_mesos.enrichment import Extra
from pilot_adapter_mesos.hostnames import Hostnames
from pilot_adapter_mesos.naming import ServiceKey
from pilot_core.adapter import Sink
from pilot_core.model import Endpoints, Origin


class Machines(msgspec.Struct, frozen=True):
    """Hostnames of machines in maintenance."""

    draining: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()


class Publisher:
    """For one session. `extra` is what its scheduler knows of a task."""

    def __init__(
        self,
        cluster: Cluster,
        config: MesosConfig,
        sink: Sink,
        extra: Callable[[TaskKey], Extra | None] = lambda key: None,
    ) -> None:
        self._cluster, self._config, self._sink, self._extra = cluster, config, sink, extra
        self._machines = Machines()
        self._hostnames = Hostnames(config.domain, config.aliases)
        self._members: dict[TaskKey, Member] = {}
        self._keys: dict[ServiceKey, set[TaskKey]] = {}
        self._services: dict[str, dict[TaskKey, Part]] = {}
        self._refused: set[TaskKey] = set()
        cluster.changed.update(cluster.tasks)

    def publish(self) -> None:
        """Put whatever looks different now."""
        while self.publish_some(len(self._cluster.changed)):
            continue

    def publish_some(self, at_most: int) -> bool:
        """The same, of so many tasks. True while there is more."""
        changed = self._take(at_most)
        touched: set[str] = set()
        for key in sorted(changed):
            touched |= self._place(key)
        for hostname in sorted(touched):
            self._put_service(hostname)
        for key in sorted(changed - self._refused):
            self._put_task(key)
        return bool(self._cluster.changed)

    def _take(self, at_most: int) -> set[TaskKey]:
        waiting = self._cluster.changed
        if len(waiting) <= at_most:
            self._cluster.changed = set()
            return waiting
        return {waiting.pop() for _ in range(at_most)}

    def maintain(self, machines: Machines) -> None:
        """These machines and no others are in maintenance."""
        before, self._machines = self._machines, machines
        moved = (before.draining ^ machines.draining) | (before.down ^ machines.down)
        for key, found in self._cluster.tasks.items() if moved else ():
            agent = self._cluster.agent(found)
            if agent is not None and agent.agent_info.hostname in moved:
                self._cluster.changed.add(key)

    # Members

    def _place(self, key: TaskKey) -> set[str]:
        """Work out the task's member; the hostnames whose service this concerns."""
        before = self._members.get(key)
        after = self._member(key, before)
        if after is before:
            return set()
        if after is None:
            del self._members[key]
        else:
            self._members[key] = after
            self._keys[after.key].add(key)
        if before is not None and (after is None or after.key != before.key):
            self._leave(before.key, key)
        return self._take_part(key, before, after)

    def _take_part(self, key: TaskKey, before: Member | None, after: Member | None) -> set[str]:
        old = {part.hostname: part for part in before.parts} if before else {}
        new = {part.hostname: part for part in after.parts} if after else {}
        touched = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        for name in touched:
            if name in new:
                self._services.setdefault(name, {})[key] = new[name]
            else:
                del self._services[name][key]
        return touched

    def _member(self, key: TaskKey, before: Member | None) -> Member | None:
        found = self._cluster.tasks.get(key)
        if found is None or not found.is_serving:
            self._refused.discard(key)
            return None
        about = self._about(key)
        if about is None:
            # They come in any order: what was known of the task stays until they have.
            return before
        labels = convert.all_labels(found, about)
        service = naming.key(found.task, about.framework.name, labels)
        try:
            self._join(service)
        except naming.Unnamed as error:
            self._sink.warn(str(error), source=_task_source(key))
            return None
        names = self._hostnames.of(service)
        made = convert.member(found, service, names, about, self._config)
        if made.problems and not made.ports:
            self._refuse(key, made)
            self._forget_if_unused(service)
            return before
        self._refused.discard(key)
        if not made.ports and naming.SERVICE_LABEL not in labels:
            # It offers nothing: a job, or an executor.
            self._forget_if_unused(service)
            return None
        return made

    def _about(self, key: TaskKey) -> About | None:
        found = self._cluster.tasks[key]
        framework, agent = self._cluster.frameworks.get(key[0]), self._cluster.agent(found)
        if framework is None or agent is None:
            return None
        hostname = agent.agent_info.hostname
        return About(
            agent,
            framework,
            self._cluster.pod_labels(found),
            self._extra(key) or enrichment.NOTHING,
            is_machine_draining=hostname in self._machines.draining,
            is_machine_down=hostname in self._machines.down,
        )

    def _refuse(self, key: TaskKey, made: Member) -> None:
        """Nothing of it can be used: what was last said of it stays."""
        self._refused.add(key)
        self._sink.warn("; ".join(made.problems), source=_task_source(key))
        hostname = made.parts[0].hostname
        if hostname not in self._services:
            self._sink.warn("; ".join(made.problems), source=_service_source(hostname))

    # Names

    def _join(self, service: ServiceKey) -> None:
        if service not in self._keys:
            others = self._hostnames.join(service)
            self._keys[service] = set()
            self._look_again(others)

    def _leave(self, service: ServiceKey, key: TaskKey) -> None:
        self._keys[service].discard(key)
        self._forget_if_unused(service)

    def _forget_if_unused(self, service: ServiceKey) -> None:
        if not self._keys[service]:
            del self._keys[service]
            self._look_again(self._hostnames.leave(service))

    def _look_again(self, services: Iterable[ServiceKey]) -> None:
        """They may be called otherwise now."""
        for service in services:
            self._cluster.changed |= self._keys.get(service, set())

    # Records

    def _put_service(self, hostname: str) -> None:
        parts, source = self._services[hostname], _service_source(hostname)
        if not parts:
            del self._services[hostname]
            self._sink.drop(source)
            return
        self._sink.put(source, (convert.service(parts[task] for task in sorted(parts)),))
        keys = {self._members[task].key for task in parts}
        remarks = [remark for key in sorted(keys) for remark in self._hostnames.of(key).remarks]
        if remarks:
            self._sink.note("; ".join(remarks), source=source)

    def _put_task(self, key: TaskKey) -> None:
        source, member = _task_source(key), self._members.get(key)
        if member is None:
            found = self._cluster.tasks.get(key)
            if found is None or not found.is_serving:
                self._sink.drop(source)
            return
        endpoints = (member.endpoint,) if member.endpoint else ()
        origin = Origin(f"{key[1]} of {member.key.framework}")
        self._sink.put(
            source,
            [
                Endpoints(hostname=part.hostname, endpoints=endpoints, origin=origin)
                for part in member.parts
            ],
        )
        if problems := "; ".join(_reasons(member)):
            self._sink.warn(problems, source=source, origin=origin.place)
        if member.remarks:
            self._sink.note("; ".join(member.remarks), source=source, origin=origin.place)


def _reasons(member: Member) -> Iterable[str]:
    yield from member.problems
    if member.ports and member.endpoint is None:
        yield "no address that can be reached is known of this task"


def _task_source(key: TaskKey) -> str:
    return f"task/{key[0]}/{key[1]}"


def _service_source(hostname: str) -> str:
    return f"service/{hostname}"
