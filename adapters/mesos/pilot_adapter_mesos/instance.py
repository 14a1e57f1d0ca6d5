"""One task, as all that has been heard of it makes it out: pure values.

Rule 1: addresses come from the newest status that has a container's status: what the master itself
says of a task never has one, and must not erase them.
Rule 2: a task that may still run behind a partition is `lost`, not gone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pilot_adapter_mesos.messages import CheckStatus, NetworkInfo, Task, TaskStatus, TaskUpdated

RUNNING, KILLING = "TASK_RUNNING", "TASK_KILLING"
_ENDED = frozenset(
    (
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_LOST",
        "TASK_ERROR",
        "TASK_DROPPED",
        "TASK_GONE",
        "TASK_GONE_BY_OPERATOR",
    )
)


class Instance(msgspec.Struct, frozen=True):
    """`task` is what does not change while it runs, so without its state and its statuses.
    `lost_at` is in the caller's seconds."""

    task: Task
    state: str
    reason: str = ""
    healthy: bool | None = None
    was_healthy: bool = False
    check: CheckStatus | None = None
    networks: tuple[NetworkInfo, ...] = ()
    container: str = ""
    lost_at: float | None = None

    @property
    def pod(self) -> tuple[str, str]:
        """Framework and executor: that of a pod, if it has one."""
        return self.task.framework_id.value, self.task.executor_id.value

    @property
    def is_lost(self) -> bool:
        return self.lost_at is not None

    @property
    def is_over(self) -> bool:
        """It has ended, and no partition can make that untrue."""
        return self.state in _ENDED and not self.is_lost

    @property
    def is_serving(self) -> bool:
        return self.state in (RUNNING, KILLING) or self.is_lost


def of(task: Task, before: Instance | None, *, now: float) -> Instance:
    """The instance that a task in full describes; `before` is what was known of it."""
    lasting = msgspec.structs.replace(task, state="", statuses=())
    found = _from_statuses(Instance(lasting, task.state), task.statuses)
    if before is not None:
        found = msgspec.structs.replace(
            found,
            was_healthy=found.was_healthy or before.was_healthy,
            networks=found.networks or before.networks,
            container=found.container or before.container,
        )
    last = max(task.statuses, key=lambda status: status.timestamp, default=None)
    lost_at = before.lost_at if before else None
    return _with_loss(found, last, now if lost_at is None else lost_at)


def updated(before: Instance, update: TaskUpdated, *, now: float) -> Instance:
    """The instance after a TASK_UPDATED; its `state` is the newest, not that of its status."""
    status = update.status
    state = update.state or status.state
    found = msgspec.structs.replace(_heard(before, status), state=state)
    return _with_loss(found, status, now if before.lost_at is None else before.lost_at)


def lost(before: Instance, now: float) -> Instance:
    """Its agent cannot be reached."""
    return before if before.is_lost else msgspec.structs.replace(before, lost_at=now)


def _from_statuses(instance: Instance, statuses: Iterable[TaskStatus]) -> Instance:
    for status in sorted(statuses, key=lambda status: status.timestamp):
        instance = _heard(instance, status)
    return instance


def _heard(before: Instance, status: TaskStatus) -> Instance:
    networks, container = before.networks, before.container
    if status.container_status is not None:
        networks = status.container_status.network_infos or networks
        container = status.container_status.container_id.value or container
    return msgspec.structs.replace(
        before,
        reason=status.reason,
        healthy=before.healthy if status.healthy is None else status.healthy,
        was_healthy=before.was_healthy or bool(status.healthy),
        check=status.check_status or before.check,
        networks=networks,
        container=container,
    )


def _with_loss(instance: Instance, last: TaskStatus | None, at: float) -> Instance:
    return msgspec.structs.replace(instance, lost_at=at if _is_lost(instance, last) else None)


def _is_lost(instance: Instance, last: TaskStatus | None) -> bool:
    if instance.state == "TASK_UNREACHABLE":
        return True
    if instance.state != "TASK_LOST" or last is None:
        return False
    # Frameworks that know nothing of partitions hear "lost", and may see the task run again.
    return last.unreachable_time is not None or last.reason == "REASON_AGENT_DISCONNECTED"
