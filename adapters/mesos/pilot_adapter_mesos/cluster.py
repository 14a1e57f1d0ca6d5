"""What is known of a Mesos cluster: a snapshot, the events after it, and resyncs in between.

Rule 1: what one says of a task that is not known to be newer than what was heard, changes nothing.
Rule 2: a master that has just taken over knows no tasks and only the names of its agents. What was
known of tasks on such agents stays, until the agent is back or is given up.
Rule 3: tasks may come before their agent and their framework. They wait, nothing is made up.
Rule 4: an agent that comes back tells of its tasks just before it is added, and of those that ended
meanwhile nothing: what it does not tell of is doubtful, and goes a moment later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from pilot_adapter_mesos import instance
from pilot_adapter_mesos.instance import Instance
from pilot_adapter_mesos.messages import (
    Agent,
    AgentInfo,
    Event,
    FrameworkInfo,
    GetAgents,
    GetExecutors,
    GetState,
    GetTasks,
    Labels,
    Task,
)

TaskKey: TypeAlias = tuple[str, str]
"""(framework id, task id)"""

_NO_LABELS = Labels()
DOUBT = 2.0
"""Seconds after which a task goes that its agent did not bring back."""


class Cluster:
    """Mutable, on the event loop; `changed` collects the tasks that may look different now."""

    def __init__(self, *, hold: float) -> None:
        self.tasks: dict[TaskKey, Instance] = {}
        self.agents: dict[str, Agent] = {}
        self.frameworks: dict[str, FrameworkInfo] = {}
        self._pods: dict[TaskKey, Labels] = {}
        """Labels of executors, by framework and executor."""
        self.recovered: dict[str, AgentInfo] = {}
        """Agents of the last master, which this one has not heard from yet. One that shows no agent
        at all has forgotten them: then they are those of the tasks that are known."""
        self.changed: set[TaskKey] = set()
        self.heard = 0
        """Events so far; a resync compares with it."""
        self.is_suspicious = False
        """The newest snapshot hides what was there before: nothing is removed because of it."""
        self.hold = hold
        """Seconds for which a lost task or agent is waited for."""
        self._heard: dict[TaskKey, int] = {}
        """The number of the event that told of a task last."""
        self._ended: dict[TaskKey, int] = {}
        """The same of the event that a task was gone after: for lists asked for before."""
        self._began = 0
        self._sees_frameworks = False
        self._recovered_at = 0.0
        self._forgotten: set[str] = set()
        self._doubtful: dict[TaskKey, float] = {}

    # Reading

    def begin(self, state: GetState, now: float) -> None:
        """A subscription has begun: this is all that the master knows."""
        self.heard += 1
        frameworks = {
            f.framework_info.id.value: f.framework_info for f in state.get_frameworks.frameworks
        }
        self._began = self.heard
        self._take_agents(state.get_agents, now, is_first=True)
        self.take_executors(state.get_executors)
        known = self._take_tasks(state.get_tasks, self.heard, now)
        # An access list that hides frameworks looks like a cluster without them, and so does a
        # master that remembers nothing; one that has recovered agents says so itself.
        hides = bool(self.frameworks and self.tasks and not frameworks)
        self.is_suspicious = hides and not self.recovered
        self._sees_frameworks = bool(frameworks)
        for key, framework in frameworks.items():
            self._put_framework(key, framework)
        if not self.is_suspicious:
            self._drop_unknown(known, self.heard, set())
        used = {key[0] for key in self.tasks}
        for key in self.frameworks.keys() - frameworks.keys() - used:
            del self.frameworks[key]

    def resync(self, tasks: GetTasks, agents: GetAgents, asked_at: int, now: float) -> None:
        """The answers to GET_TASKS and GET_AGENTS, asked when `heard` was `asked_at`."""
        # Agents that are back since the tasks were listed: theirs are not in that list yet.
        held = set(self.recovered)
        self._take_agents(agents, now)
        known = self._take_tasks(tasks, asked_at, now)
        self._suspect_blindness()
        if not self.is_suspicious:
            self._drop_unknown(known, asked_at, held)

    def apply(self, event: Event, now: float) -> bool:
        """One event. False where this is none that is known here."""
        self.heard += 1
        if event.task_added is not None:
            self._put_task(event.task_added.task, now)
        elif event.task_updated is not None:
            update = event.task_updated
            before = self.tasks.get((update.framework_id.value, update.status.task_id.value))
            if before is not None:
                self._keep(instance.updated(before, update, now=now), self.heard)
        elif event.framework_added is not None or event.framework_updated is not None:
            said = event.framework_added or event.framework_updated
            assert said is not None
            info = said.framework.framework_info
            self.is_suspicious, self._sees_frameworks = False, True
            self._put_framework(info.id.value, info)
        elif event.framework_removed is not None:
            self._drop_framework(event.framework_removed.framework_info.id.value)
        elif event.agent_added is not None:
            self._agent_is_back(event.agent_added.agent, now)
        elif event.agent_removed is not None:
            self.agents.pop(event.agent_removed.agent_id.value, None)
        else:
            return bool(event.type == "HEARTBEAT")
        return True

    def expire(self, now: float) -> float | None:
        """Let go of what has been waited for long enough; seconds until there is more, or None."""
        if self.recovered and now - self._recovered_at >= self.hold:
            given_up, self.recovered = self.recovered, {}
            self._forgotten.clear()
            self._drop(k for k, i in self.tasks.items() if i.task.agent_id.value in given_up)
        over = [k for k, at in self._doubtful.items() if now >= at and not self.is_suspicious]
        for key in over:
            del self._doubtful[key]
        self._drop(over)
        self._drop([k for k, i in self.tasks.items() if self._is_given_up(i, now)])
        return self._next(now)

    def _is_given_up(self, found: Instance, now: float) -> bool:
        return found.lost_at is not None and now - found.lost_at >= self.hold

    def _next(self, now: float) -> float | None:
        times = [*self._doubtful.values()]
        times += [i.lost_at + self.hold for i in self.tasks.values() if i.lost_at is not None]
        if self.recovered:
            times.append(self._recovered_at + self.hold)
        return max(0.0, min(times) - now) if times else None

    # Agents and frameworks

    def agent(self, found: Instance) -> Agent | None:
        """The agent of a task; of one that has not come back, what is still known of it."""
        return self.agents.get(found.task.agent_id.value)

    def _take_agents(self, said: GetAgents, now: float, *, is_first: bool = False) -> None:
        agents = {a.agent_info.id.value: a for a in said.agents}
        recovered = {info.id.value: info for info in said.recovered_agents}
        needed = {found.task.agent_id.value for found in self.tasks.values()}
        if is_first:
            is_forgetful = not agents and not recovered
            self._forgotten = needed if is_forgetful else set()
        self._forgotten -= agents.keys()
        known = self.agents | agents
        for key in self._forgotten & known.keys():
            recovered.setdefault(key, known[key].agent_info)
        if recovered and not self.recovered:
            self._recovered_at = now
        self.recovered = recovered
        kept = {k: a for k, a in self.agents.items() if k not in agents and k in needed}
        fresh = {key for key, agent in agents.items() if self.agents.get(key) != agent}
        self.agents = kept | agents
        if fresh:
            self._touch(lambda found: found.task.agent_id.value in fresh)

    def take_executors(self, said: GetExecutors) -> None:
        """All pods that there are, and what they are labelled with."""
        infos = (each.executor_info for each in said.executors)
        pods = {(i.framework_id.value, i.executor_id.value): i.labels for i in infos}
        before, self._pods = self._pods, {key: said for key, said in pods.items() if said.labels}
        keys = before.keys() | self._pods.keys()
        moved = {key for key in keys if before.get(key) != self._pods.get(key)}
        if moved:
            self._touch(lambda found: found.pod in moved)

    def pod_labels(self, found: Instance) -> Labels:
        return self._pods.get(found.pod, _NO_LABELS)

    def _agent_is_back(self, agent: Agent, now: float) -> None:
        key = agent.agent_info.id.value
        was_recovered = self.recovered.pop(key, None) is not None
        self._forgotten.discard(key)
        self.agents[key] = agent
        for task_key, found in self.tasks.items():
            if found.task.agent_id.value != key:
                continue
            self.changed.add(task_key)
            if found.is_lost or (was_recovered and self._is_old(task_key)):
                self._doubtful[task_key] = now + DOUBT
        self._suspect_blindness()

    def _suspect_blindness(self) -> None:
        """All agents are back, and no framework is to be seen: rights have been taken away while
        the master was away, and that tasks are not told of means nothing."""
        if not self.recovered and not self._sees_frameworks and self.tasks:
            self.is_suspicious = True

    def _is_old(self, key: TaskKey) -> bool:
        """It was known before this subscription began, and has not been told of since."""
        return self._heard[key] < self._began

    def _put_framework(self, key: str, info: FrameworkInfo) -> None:
        if self.frameworks.get(key) != info:
            self.frameworks[key] = info
            self._touch(lambda found: found.task.framework_id.value == key)

    def _drop_framework(self, key: str) -> None:
        self.frameworks.pop(key, None)
        self._drop([task for task in self.tasks if task[0] == key])

    # Tasks

    def _take_tasks(self, said: GetTasks, asked_at: int, now: float) -> set[TaskKey]:
        """Take over what is not known better; the keys of all tasks that are told of."""
        self._ended = {key: at for key, at in self._ended.items() if at > asked_at}
        known: set[TaskKey] = set()
        for task in said.tasks:
            known.add(task.key)
            self._put_told(task, asked_at, now)
        for task in said.unreachable_tasks:
            known.add(task.key)
            self._put_told(task, asked_at, now)
            found = self.tasks.get(task.key)
            if found is not None and self._heard[task.key] <= asked_at:
                self._keep(instance.lost(found, now), asked_at)
        return known

    def _put_told(self, task: Task, asked_at: int, now: float) -> None:
        if self._heard.get(task.key, -1) <= asked_at and task.key not in self._ended:
            before = self.tasks.get(task.key)
            self._keep(instance.of(task, before, now=now), asked_at)

    def _put_task(self, task: Task, now: float) -> None:
        before = self.tasks.get(task.key)
        self._keep(instance.of(task, before, now=now), self.heard)

    def _keep(self, found: Instance, heard: int) -> None:
        key = found.task.key
        if not found.is_lost:
            self._doubtful.pop(key, None)
        if found.is_over:
            self._drop((key,))
            return
        self._heard[key] = heard
        self._ended.pop(key, None)
        if self.tasks.get(key) != found:
            self.tasks[key] = found
            self.changed.add(key)

    def _drop_unknown(self, known: set[TaskKey], asked_at: int, held: set[str]) -> None:
        held = held | self.recovered.keys()
        self._drop(
            [
                key
                for key, found in self.tasks.items()
                if key not in known
                and self._heard[key] <= asked_at
                and found.task.agent_id.value not in held
            ]
        )

    def _drop(self, keys: Iterable[TaskKey]) -> None:
        for key in tuple(keys):
            if self.tasks.pop(key, None) is not None:
                self.changed.add(key)
                del self._heard[key]
                self._ended[key] = self.heard
            self._doubtful.pop(key, None)

    def _touch(self, concerns: Callable[[Instance], bool]) -> None:
        self.changed.update(key for key, found in self.tasks.items() if concerns(found))
