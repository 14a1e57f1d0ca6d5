"""Messages as protobuf: read by the protobuf library, and handed on as the structs that JSON gives.

Rule 1: each task, agent and framework of a list is read on its own, as in JSON.
Rule 2: a number without a name here is an empty text, as JSON has an empty object for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
from google.protobuf.message import DecodeError

from pilot_adapter_mesos import protobuf_schema as schema
from pilot_adapter_mesos.messages import (
    ClusterStatus,
    Event,
    GetAgents,
    GetExecutors,
    GetState,
    GetTasks,
    Schedule,
    Subscribed,
)
from pilot_adapter_mesos.wire import NoMessage, Unread

T = TypeVar("T", bound=msgspec.Struct)
_Read = Callable[[Any, Unread], Any]
_BAD = (DecodeError, UnicodeDecodeError, TypeError)
"""The last where a field is missing that has to be there."""


class ProtobufWire:
    """`unread` hears of an object that makes no sense: what it is, and why."""

    content_type = "application/x-protobuf"

    def __init__(self, unread: Unread) -> None:
        self._unread = unread

    def call(self, kind: str) -> bytes:
        made = schema.message(schema.Call)(type=schema.CALLS[kind])
        return cast(bytes, made.SerializeToString())

    def record(self, data: bytes) -> Event | Subscribed:
        found = self._read(data, schema.Record)
        return found.subscribed or found

    def tasks(self, answer: bytes) -> GetTasks:
        return self._read(answer, schema.Answer).get_tasks

    def agents(self, answer: bytes) -> GetAgents:
        return self._read(answer, schema.Answer).get_agents

    def maintenance(self, answer: bytes) -> ClusterStatus:
        found = self._read(answer, schema.Answer).get_maintenance_status
        return found.status if found else ClusterStatus()

    def executors(self, answer: bytes) -> GetExecutors:
        return self._read(answer, schema.Answer).get_executors

    def schedule(self, answer: bytes) -> Schedule:
        found = self._read(answer, schema.Answer).get_maintenance_schedule
        return found.schedule if found else Schedule()

    def state(self, answer: bytes) -> GetState:
        """The answer to GET_STATE."""
        return self._read(answer, schema.Answer).get_state

    def _read(self, data: bytes, kind: type[T]) -> T:
        try:
            return _parsed(data, kind, self._unread)
        except _BAD as error:
            raise NoMessage(str(error)) from None


def _parsed(data: bytes, kind: type[T], unread: Unread) -> T:
    return cast(T, _reader(kind)(schema.message(kind).FromString(data), unread))


@functools.cache
def _reader(kind: type[msgspec.Struct]) -> _Read:
    """What makes a struct of a message: fields that are not set keep the struct's defaults."""
    fields = {name: _field(kind, name) for name in schema.NUMBERS[kind]}

    def read(message: Any, unread: Unread) -> Any:
        said = message.ListFields()
        return kind(**{field.name: fields[field.name](value, unread) for field, value in said})

    return read


def _field(kind: type[msgspec.Struct], name: str) -> _Read:
    member = schema.members(kind)[name]
    if (kind, name) in schema.APART:
        return functools.partial(_apart, member.kind)
    if (kind, name) in schema.NAMES:
        names = schema.NAMES[kind, name]
        return lambda value, unread: names.get(value, "")
    if not (isinstance(member.kind, type) and issubclass(member.kind, msgspec.Struct)):
        return lambda value, unread: tuple(value) if member.is_list else value
    read = _reader(member.kind)
    if member.is_list:
        return lambda value, unread: tuple([read(each, unread) for each in value])
    return read


def _apart(kind: type[msgspec.Struct], values: Any, unread: Unread) -> tuple[Any, ...]:
    found = []
    for data in values:
        try:
            found.append(_parsed(data, kind, unread))
        except _BAD as error:
            unread(kind.__name__.lower(), str(error))
    return tuple(found)
