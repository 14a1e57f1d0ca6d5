"""Messages as JSON. Each task, agent and framework of a list is read on its own: one that makes no
sense harms no other. What does not say which agent it is about is looked at for old names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from pilot_adapter_mesos import old_names
from pilot_adapter_mesos.messages import (
    Agent,
    AgentInfo,
    ClusterStatus,
    Event,
    Executor,
    Framework,
    GetAgents,
    GetExecutors,
    GetFrameworks,
    GetState,
    GetTasks,
    Schedule,
    Subscribed,
    Task,
)
from pilot_adapter_mesos.wire import NoMessage, Unread

T = TypeVar("T")
_Raws = tuple[msgspec.Raw, ...]


class _Tasks(msgspec.Struct, frozen=True):
    tasks: _Raws = ()
    unreachable_tasks: _Raws = ()


class _Agents(msgspec.Struct, frozen=True):
    agents: _Raws = ()
    recovered_agents: _Raws = ()


class _Frameworks(msgspec.Struct, frozen=True):
    frameworks: _Raws = ()


class _Executors(msgspec.Struct, frozen=True):
    executors: _Raws = ()


class _State(msgspec.Struct, frozen=True):
    get_tasks: _Tasks = _Tasks()
    get_agents: _Agents = _Agents()
    get_frameworks: _Frameworks = _Frameworks()
    get_executors: _Executors = _Executors()


class _Subscribed(msgspec.Struct, frozen=True):
    get_state: _State = _State()
    heartbeat_interval_seconds: float = 15.0


class _Record(Event, frozen=True):
    subscribed: _Subscribed | None = None


class _Status(msgspec.Struct, frozen=True):
    status: ClusterStatus = ClusterStatus()


class _Planned(msgspec.Struct, frozen=True):
    schedule: Schedule = Schedule()


class _Answer(msgspec.Struct, frozen=True):
    get_tasks: _Tasks = _Tasks()
    get_agents: _Agents = _Agents()
    get_executors: _Executors = _Executors()
    get_maintenance_status: _Status = _Status()
    get_maintenance_schedule: _Planned = _Planned()


_record = msgspec.json.Decoder(_Record)
_answer = msgspec.json.Decoder(_Answer)
_state = msgspec.json.Decoder(_State)


class JsonWire:
    """`unread` hears of an object that makes no sense: what it is, and why. All that reads raises
    `old_names.OldNames` besides."""

    content_type = "application/json"

    def __init__(self, unread: Unread) -> None:
        self._unread = unread

    def call(self, kind: str) -> bytes:
        return msgspec.json.encode({"type": kind})

    def record(self, data: bytes) -> Event | Subscribed:
        found = _decoded(_record.decode, data)
        if found.subscribed is None:
            if _is_odd(found):
                old_names.refuse(data)
            return found
        state = self._state(found.subscribed.get_state)
        _look_for_agents(state.get_agents, data)
        return Subscribed(state, found.subscribed.heartbeat_interval_seconds)

    def tasks(self, answer: bytes) -> GetTasks:
        return self._tasks(_decoded(_answer.decode, answer).get_tasks)

    def agents(self, answer: bytes) -> GetAgents:
        found = self._agents(_decoded(_answer.decode, answer).get_agents)
        _look_for_agents(found, answer)
        return found

    def maintenance(self, answer: bytes) -> ClusterStatus:
        return _decoded(_answer.decode, answer).get_maintenance_status.status

    def executors(self, answer: bytes) -> GetExecutors:
        return self._executors(_decoded(_answer.decode, answer).get_executors)

    def schedule(self, answer: bytes) -> Schedule:
        return _decoded(_answer.decode, answer).get_maintenance_schedule.schedule

    def state(self, said: bytes) -> GetState:
        """What GET_STATE answers, and what a stream begins with."""
        return self._state(_decoded(_state.decode, said))

    def _state(self, said: _State) -> GetState:
        return GetState(
            self._tasks(said.get_tasks),
            self._agents(said.get_agents),
            GetFrameworks(self._read(said.get_frameworks.frameworks, Framework)),
            self._executors(said.get_executors),
        )

    def _executors(self, said: _Executors) -> GetExecutors:
        return GetExecutors(self._read(said.executors, Executor))

    def _tasks(self, said: _Tasks) -> GetTasks:
        return GetTasks(self._read(said.tasks, Task), self._read(said.unreachable_tasks, Task))

    def _agents(self, said: _Agents) -> GetAgents:
        return GetAgents(
            self._read(said.agents, Agent), self._read(said.recovered_agents, AgentInfo)
        )

    def _read(self, raws: Iterable[msgspec.Raw], kind: type[T]) -> tuple[T, ...]:
        """Those that make sense; the others are told of."""
        found = []
        for raw in raws:
            try:
                read = msgspec.json.decode(raw, type=kind)
            except msgspec.MsgspecError as error:
                old_names.refuse(raw)
                self._unread(kind.__name__.lower(), str(error))
                continue
            if _is_nowhere(read):
                old_names.refuse(raw)
            found.append(read)
        return tuple(found)


def _decoded(decode: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decode(data)
    except msgspec.MsgspecError as error:
        old_names.refuse(data)
        raise NoMessage(str(error)) from None


def _is_odd(event: Event) -> bool:
    """It is none that is known here, or says of no agent."""
    if event.task_added is not None:
        return _is_nowhere(event.task_added.task)
    if event.task_updated is not None:
        return not event.task_updated.status.agent_id.value
    if event.agent_added is not None:
        return _is_nowhere(event.agent_added.agent)
    if event.agent_removed is not None:
        return not event.agent_removed.agent_id.value
    return bool(event.type != "HEARTBEAT")


def _is_nowhere(found: object) -> bool:
    if isinstance(found, Task):
        return not found.agent_id.value
    return isinstance(found, Agent) and not found.agent_info.id.value


def _look_for_agents(found: GetAgents, data: bytes) -> None:
    """Where there are none, they may be there under their old name."""
    if not found.agents and not found.recovered_agents:
        old_names.refuse(data)
