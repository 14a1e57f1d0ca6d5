"""How a task is doing: the worst of what its state, its checks and its agent say."""

from __future__ import annotations

from pilot_adapter_mesos.instance import KILLING, RUNNING, Instance
from pilot_adapter_mesos.messages import Agent, CheckStatus
from pilot_core.model import Health

_ORDER = (Health.HEALTHY, Health.DEGRADED, Health.DRAINING, Health.UNHEALTHY)
_DRAINING = frozenset(("DRAINING", "DRAINED"))


def of(
    found: Instance,
    agent: Agent | None,
    *,
    is_machine_draining: bool = False,
    said: Health = Health.HEALTHY,
) -> Health | None:
    """None where the task serves nothing yet, or no more. `said` is its scheduler's word on it."""
    if found.is_lost:
        # It may be alive on the other side of a partition: known, and given no traffic.
        return Health.UNHEALTHY
    if found.state == KILLING:
        return Health.DRAINING
    if found.state != RUNNING:
        return None
    agent_state = agent.drain_info.state if agent and agent.drain_info else ""
    is_draining = is_machine_draining or agent_state in _DRAINING
    return worst(_checked(found), said, Health.DRAINING if is_draining else Health.HEALTHY)


def worst(*seen: Health) -> Health:
    return max(seen, key=_ORDER.index)


def _checked(found: Instance) -> Health:
    if found.healthy is not None:
        return Health.HEALTHY if found.healthy else Health.UNHEALTHY
    if found.task.health_check is not None and not found.was_healthy:
        # Checked, and never seen well: it is still starting.
        return Health.UNHEALTHY
    return Health.UNHEALTHY if found.check and _has_failed(found.check) else Health.HEALTHY


def _has_failed(check: CheckStatus) -> bool:
    if check.http.status_code is not None:
        return not 200 <= check.http.status_code < 400
    if check.tcp.succeeded is not None:
        return not check.tcp.succeeded
    return bool(check.command.exit_code)
