"""Mesos' own protobuf messages, from the descriptors that lie in its library.

Generated C++ code registers each file's descriptor, in its wire form, as a constant: it begins with
the file's name, and its fields come in ascending order.
"""

from __future__ import annotations

import functools
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from server_cache import BuildError

_FILE = "descriptors.pb"
_WANTED = "messages/messages.proto"
"""What agents and masters say to each other; it imports the rest that is needed."""
_NAME = re.compile(rb"\n([\x07-\x7f])([a-z][a-z0-9_/]{1,120}\.proto)")
_NUMBERS = (10, 11)
"""The fields of a FileDescriptorProto that are numbers; all others have a length."""


def extract(library: Path, folder: Path) -> None:
    """Write the descriptors for `message` into the folder. Raises BuildError."""
    found = descriptors(library)
    result = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        if name not in found:
            raise BuildError(f"the library of mesos has no descriptor of {name}")
        for imported in found[name].dependency:
            add(imported)
        result.file.append(found[name])

    add(_WANTED)
    (folder / _FILE).write_bytes(result.SerializeToString())


def descriptors(library: Path) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """All files of descriptors in the library, by their names."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return {each.name: each for each in _descriptors(data)}


@functools.cache
def message(folder: Path, name: str) -> Any:
    """The class of a message such as `mesos.internal.RegisterSlaveMessage`."""
    return message_factory.GetMessageClass(_pool(folder).FindMessageTypeByName(name))


@functools.cache
def _pool(folder: Path) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    said = descriptor_pb2.FileDescriptorSet.FromString((folder / _FILE).read_bytes())
    for file in said.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _descriptors(data: mmap.mmap) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    for match in _NAME.finditer(data):
        if match[1][0] != len(match[2]):
            continue
        made = descriptor_pb2.FileDescriptorProto()
        try:
            made.ParseFromString(data[match.start() : _end(data, match.start())])
        except DecodeError:
            continue  # a text that looks like the name of a file
        if made.message_type or made.enum_type or made.dependency:
            yield made


def _end(data: mmap.mmap, start: int) -> int:
    """Where the descriptor that begins here ends."""
    at, last = start, 1
    while at < len(data):
        tag, after = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if not last <= field <= 12 or (field == 1 and at != start):
            break
        if kind != (0 if field in _NUMBERS else 2):
            break
        value, after = _varint(data, after)
        at, last = (after if kind == 0 else after + value), field
    return min(at, len(data))


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
