"""The two forms in which a master speaks: what a session needs of either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from pilot_adapter_mesos.messages import (
    ClusterStatus,
    Event,
    GetAgents,
    GetExecutors,
    GetTasks,
    Schedule,
    Subscribed,
)

Unread: TypeAlias = Callable[[str, str], None]
"""Hears of an object that makes no sense: what it is, and why. The others stand."""


class NoMessage(Exception):
    """The bytes are none of the messages that a master sends."""


class Wire(Protocol):
    """All but `call` raise NoMessage."""

    content_type: str

    def call(self, kind: str) -> bytes:
        """The body of a call without arguments."""

    def record(self, data: bytes) -> Event | Subscribed:
        """One record of the stream of events."""

    def tasks(self, answer: bytes) -> GetTasks:
        """The answer to GET_TASKS."""

    def agents(self, answer: bytes) -> GetAgents:
        """The answer to GET_AGENTS."""

    def executors(self, answer: bytes) -> GetExecutors:
        """The answer to GET_EXECUTORS."""

    def maintenance(self, answer: bytes) -> ClusterStatus:
        """The answer to GET_MAINTENANCE_STATUS."""

    def schedule(self, answer: bytes) -> Schedule:
        """The answer to GET_MAINTENANCE_SCHEDULE."""
