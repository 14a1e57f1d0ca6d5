"""What Marathon says of its tasks, as what is added to them: pure but for what it remembers.

Rule 1: checks that Marathon makes itself never reach Mesos. A task that has some counts as well
once all of them have succeeded, and not before.
Rule 2: a new leader has no results. Who was well before stays so until there is one that says not.
Rule 3: `alive` turns at the first failure, long before Marathon acts: until then it is degraded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pilot_adapter_mesos.enrichment import Extra
from pilot_adapter_mesos.marathon_messages import (
    App,
    ContainerSpec,
    HealthResult,
    Pod,
    PodContainer,
    Task,
)
from pilot_core.model import Health

_BY_MARATHON = frozenset(("HTTP", "HTTPS", "TCP"))
_APP, _POD = "marathon.app", "marathon.pod"


class MarathonView:
    """Of one Marathon. Remembers which tasks have been seen well."""

    def __init__(self, *, use_service_ports: bool) -> None:
        self._use_service_ports = use_service_ports
        self._was_well: set[str] = set()

    def read(self, apps: Iterable[App], pods: Iterable[Pod]) -> Mapping[str, Extra]:
        """What is added to each task, by its id."""
        found: dict[str, Extra] = {}
        for app in apps:
            found |= {task.id: self._of_app(app, task) for task in app.tasks}
        for pod in pods:
            specs = {spec.name: spec for spec in pod.spec.containers}
            for instance in pod.instances:
                for each in instance.containers:
                    spec = specs.get(each.name, ContainerSpec())
                    found[each.container_id] = self._of_pod(pod, spec, each)
        self._was_well &= found.keys()
        return found

    def _of_app(self, app: App, task: Task) -> Extra:
        return Extra(
            labels=tuple(sorted({**app.labels, _APP: app.id}.items())),
            health=Health.UNHEALTHY if _is_unready(app, task) else self._checked(app, task),
            service_ports=_service_ports(app, task, of_mappings=self._use_service_ports),
            version=task.version,
        )

    def _checked(self, app: App, task: Task) -> Health:
        if not any(check.protocol in _BY_MARATHON for check in app.health_checks):
            return Health.HEALTHY
        results = task.health_check_results or ()
        if any(not result.alive for result in results):
            return _failing(app, results)
        if len(results) >= len(app.health_checks):
            self._was_well.add(task.id)
        return Health.HEALTHY if task.id in self._was_well else Health.UNHEALTHY

    def _of_pod(self, pod: Pod, spec: ContainerSpec, container: PodContainer) -> Extra:
        labels = {**pod.spec.labels, **spec.labels, _POD: pod.id}
        return Extra(
            labels=tuple(sorted(labels.items())),
            health=self._pod_health(spec, container),
            version=pod.spec.version,
        )

    def _pod_health(self, spec: ContainerSpec, container: PodContainer) -> Health:
        said = [c.value == "true" for c in container.conditions if c.name == "healthy"]
        said += [e.healthy for e in container.endpoints if e.healthy is not None]
        if not all(said):
            return Health.UNHEALTHY
        if said or spec.health_check is None:
            self._was_well.add(container.container_id)
        is_well = container.container_id in self._was_well
        return Health.HEALTHY if is_well else Health.UNHEALTHY


def _failing(app: App, results: Iterable[HealthResult]) -> Health:
    """Results do not say of which check they are: the strictest one counts."""
    limit = max(1, min(check.max_consecutive_failures for check in app.health_checks))
    failing = [result for result in results if not result.alive]
    is_new = all(r.last_success and r.consecutive_failures < limit for r in failing)
    return Health.DEGRADED if is_new else Health.UNHEALTHY


def _is_unready(app: App, task: Task) -> bool:
    """There are results during a deployment only, and only of what it deploys."""
    if not (app.readiness_checks and app.deployments and task.version == app.version):
        return False
    return not any(r.ready for r in app.readiness_check_results if r.task_id == task.id)


def _service_ports(app: App, task: Task, *, of_mappings: bool) -> tuple[tuple[int, int], ...]:
    """By what the task's discovery says: host ports, and those of containers without one."""
    allocated = iter(task.ports)
    if not app.mappings:
        definitions = (each.port for each in app.port_definitions or ())
        pairs = [(number, next(definitions, 0)) for number in allocated]
    else:
        pairs = [
            (m.container_port if m.host_port is None else next(allocated, 0), m.service_port)
            for m in (app.mappings if of_mappings else ())
        ]
    return tuple((number, service) for number, service in pairs if number and service)
