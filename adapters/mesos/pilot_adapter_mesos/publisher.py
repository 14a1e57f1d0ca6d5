"""Brings a sink up to date with a cluster, at the cost of the tasks that have changed."""

from __future__ import annotations

from collections.abc import Iterable

from pilot_adapter_mesos import convert, naming
from pilot_adapter_mesos.cluster import Cluster, TaskKey
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.convert import Member
from pilot_adapter_mesos.naming import ServiceKey
from pilot_core.adapter import Sink
from pilot_core.model import Endpoints, Origin


class Publisher:
    """For one session. `draining` are the hostnames of machines in maintenance."""

    def __init__(self, cluster: Cluster, config: MesosConfig, sink: Sink) -> None:
        self.draining: frozenset[str] = frozenset()
        self._cluster, self._config, self._sink = cluster, config, sink
        self._members: dict[TaskKey, Member] = {}
        self._services: dict[ServiceKey, set[TaskKey]] = {}
        self._refused: set[TaskKey] = set()
        cluster.changed.update(cluster.tasks)

    def publish(self, at_most: int | None = None) -> bool:
        """Put whatever looks different now, of so many tasks. True while there is more."""
        changed = self._take(at_most)
        touched: set[ServiceKey] = set()
        for key in changed:
            touched |= self._place(key)
        for service in sorted(touched):
            self._put_service(service)
        for key in sorted(changed - self._refused):
            self._put_task(key)
        return bool(self._cluster.changed)

    def _take(self, at_most: int | None) -> set[TaskKey]:
        waiting = self._cluster.changed
        if at_most is None or len(waiting) <= at_most:
            self._cluster.changed = set()
            return waiting
        return {waiting.pop() for _ in range(at_most)}

    def drain(self, hostnames: frozenset[str]) -> None:
        """Maintenance has begun or ended on these machines and no others."""
        if hostnames == self.draining:
            return
        moved, self.draining = hostnames ^ self.draining, hostnames
        for key, found in self._cluster.tasks.items():
            agent = self._cluster.agent(found)
            if agent is not None and agent.agent_info.hostname in moved:
                self._cluster.changed.add(key)

    def _place(self, key: TaskKey) -> set[ServiceKey]:
        """Work out the task's member; the services that this concerns."""
        before = self._members.get(key)
        after = self._member(key, before)
        if before is not None and after is not None and before.says_as_much_as(after):
            self._members[key] = after
            return set()
        touched = {member.key for member in (before, after) if member is not None}
        if before is not None:
            self._services[before.key].discard(key)
            del self._members[key]
        if after is not None:
            self._members[key] = after
            self._services.setdefault(after.key, set()).add(key)
        return touched

    def _member(self, key: TaskKey, before: Member | None) -> Member | None:
        found = self._cluster.tasks.get(key)
        if found is None or not found.is_serving:
            self._refused.discard(key)
            return None
        framework = self._cluster.frameworks.get(key[0])
        agent = self._cluster.agent(found)
        if framework is None or agent is None:
            # They come in any order: what was known of the task stays until they have.
            return before
        try:
            made = convert.member(
                found,
                agent,
                framework,
                self._config,
                is_machine_draining=agent.agent_info.hostname in self.draining,
            )
        except naming.Unnamed as error:
            self._sink.warn(str(error), source=_task_source(key))
            return None
        if made.problems and not made.ports:
            self._refuse(key, made)
            return before
        self._refused.discard(key)
        return made

    def _refuse(self, key: TaskKey, made: Member) -> None:
        """Nothing of it can be used: what was last said of it stays."""
        self._refused.add(key)
        self._sink.warn("; ".join(made.problems), source=_task_source(key))
        if made.key not in self._services:
            self._sink.warn("; ".join(made.problems), source=_service_source(made.key))

    def _put_service(self, key: ServiceKey) -> None:
        tasks = self._services.get(key)
        source = _service_source(key)
        if not tasks:
            self._services.pop(key, None)
            self._sink.drop(source)
            return
        self._sink.put(source, (convert.service(self._members[task] for task in sorted(tasks)),))

    def _put_task(self, key: TaskKey) -> None:
        source, member = _task_source(key), self._members.get(key)
        if member is None:
            if key not in self._cluster.tasks or not self._cluster.tasks[key].is_serving:
                self._sink.drop(source)
            return
        endpoints = (member.endpoint,) if member.endpoint else ()
        origin = Origin(f"{key[1]} of {member.key.framework}")
        self._sink.put(
            source, (Endpoints(hostname=member.hostname, endpoints=endpoints, origin=origin),)
        )
        for problem in _reasons(member):
            self._sink.warn(problem, source=source, origin=origin.place)


def _reasons(member: Member) -> Iterable[str]:
    yield from member.problems
    if member.ports and member.endpoint is None:
        yield "no address that can be reached is known of this task"


def _task_source(key: TaskKey) -> str:
    return f"task/{key[0]}/{key[1]}"


def _service_source(key: ServiceKey) -> str:
    return f"service/{key.framework}/{key.service}"
