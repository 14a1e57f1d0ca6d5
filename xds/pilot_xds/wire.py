"""Protobuf's wire format, as far as discovery requests and responses need it.

Responses are put together from finished bytes: concatenated fields are one message, in any order.
Small requests are read by hand: that is cheaper than making a message. So are the acknowledgements
of state-of-the-world clients, which repeat every name that the client is subscribed to: comparing
these bytes with those of the last request is a hundred times cheaper than decoding them. What is
large and unfamiliar is decoded by protobuf, and once for all who say the same, in whatever order.

Sources: protobuf.dev "Encoding"; envoy/service/discovery/v3/discovery.proto.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
from google.protobuf.message import DecodeError

from pilot_xds import names
from pilot_xds.lists import Lists
from pilot_xds.names import NO_NAMES, NOT_SPELLED, Names, Spelling, Versions
from pilot_xds.protos import DeltaDiscoveryRequest, DiscoveryRequest

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LARGE = 2048
_ERROR_LIMIT = 4096
"""Characters of a client's error message that are kept: some are as long as the configuration."""
_SOTW_NAME = 0x1A
"""The tag of a name in a DiscoveryRequest: field 3, bytes."""
_DELTA_TYPE, _DELTA_NONCE = 0x12, 0x32
"""The tags of a DeltaDiscoveryRequest's type and nonce: an acknowledgement has nothing else."""
_DELTA_NAME, _DELTA_VERSION = 0x1A, 0x2A
"""The tags of a DeltaDiscoveryRequest's new names and of its versions, which follow them."""
_REMEMBERED = 4 << 20
"""Bytes of large requests that are kept, in case another client says the same."""


class Malformed(Exception):
    """The bytes are not a discovery request."""


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One discovery request of either variant; what a variant does not have is empty.

    `subscribe` holds all names in the state-of-the-world variant, and the new ones in delta.
    `error` is None in an acknowledgement, and the client's words in a refusal; `node` is
    serialized.
    """

    type_url: str = ""
    version: str = ""
    nonce: str = ""
    subscribe: Names = NO_NAMES
    spelling: Spelling = NOT_SPELLED
    """How a state-of-the-world client wrote its names: `subscribe`, to be recognized next time."""
    unsubscribe: Names = NO_NAMES
    versions: Versions | None = None
    error: str | None = None
    node: bytes | None = None


T = TypeVar("T")


def varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field: text, bytes, or a message."""
    return varint(number << 3 | _BYTES) + varint(len(data)) + data


def response_tail(type_url: str, version: str, nonce: str) -> bytes:
    """What makes finished `resources` and `removed_resources` fields a response.

    It stands behind them, in a DiscoveryResponse as in a DeltaDiscoveryResponse.
    """
    return _known_tail(type_url, version) + field(5, nonce.encode())


@functools.lru_cache(maxsize=256)
def _known_tail(type_url: str, version: str) -> bytes:
    """What is the same for everybody who is sent the same."""
    return field(1, version.encode()) + field(4, type_url.encode())


def removed_fields(names: tuple[str, ...]) -> bytes:
    """The `removed_resources` fields of a DeltaDiscoveryResponse."""
    return b"".join(field(6, name.encode()) for name in names)


class Reader:
    """Reads requests; what many proxies say in the same bytes is decoded once."""

    def __init__(self, remember: int = _REMEMBERED) -> None:
        self._seen: OrderedDict[tuple[bool, bytes], Request] = OrderedDict()
        self._free = self._remember = remember
        self._names: Lists[Names] = Lists(_DELTA_NAME, remember)
        self._versions: Lists[Versions] = Lists(_DELTA_VERSION, remember, is_map=True)

    def sotw(self, data: bytes, known: Spelling = NOT_SPELLED) -> tuple[Request, bytes | None]:
        """A DiscoveryRequest, and its node if it has one; `known` is how this client wrote names
        before. Raises Malformed."""
        rest, node = _guarded(lambda: _without_node(data, 2))
        request = _guarded(lambda: _read_sotw(rest, known))
        if request is None:
            request = self._shared(rest, _decode_sotw)
        return request, request.node if node is None else node

    def delta(self, data: bytes) -> tuple[Request, bytes | None]:
        """A DeltaDiscoveryRequest, and its node if it has one. Raises Malformed."""
        rest, node = _guarded(lambda: _without_node(data, 1))
        if len(rest) < _LARGE:
            request = _guarded(lambda: _delta_ack(rest) or _read_delta(rest))
        else:
            request = self._recognized(rest) or self._learned(rest)
        return request, request.node if node is None else node

    def _recognized(self, data: bytes) -> Request | None:
        """A type, names to add and versions, as somebody has said them before in some order."""
        if not _begins_with_type(data):
            return None
        start, middle = _lists(data)
        found, versions = NO_NAMES, None
        if start < middle:
            said = self._names.find(data[start:middle])
            if said is None:
                return None
            found = said
        if middle < len(data):
            versions = self._versions.find(data[middle:])
            if versions is None:
                return None
        return _guarded(
            lambda: Request(type_url=data[2:start].decode(), subscribe=found, versions=versions)
        )

    def _learned(self, data: bytes) -> Request:
        """Decoded, and recognized when it is said again."""
        request = self._shared(data, _decode_delta)
        if not _begins_with_type(data):
            # What looks like a list may stand inside another field, and mean nothing.
            return request
        if not (request.unsubscribe or request.nonce or request.node or request.error is not None):
            start, middle = _lists(data)
            self._names.keep(data[start:middle], request.subscribe)
            if request.versions is not None:
                self._versions.keep(data[middle:], request.versions)
        return request

    def _shared(self, data: bytes, decode: Callable[[bytes], Request]) -> Request:
        key = (decode is _decode_delta, data)
        found = self._seen.get(key)
        if found is not None:
            self._seen.move_to_end(key)
            return found
        found = _guarded(lambda: decode(data))
        if len(data) <= self._remember:
            self._seen[key] = found
            self._free -= len(data)
        while self._free < 0:
            (_, oldest), _ = self._seen.popitem(last=False)
            self._free += len(oldest)
        return found


def _begins_with_type(data: bytes) -> bool:
    return data[0] == _DELTA_TYPE and data[1] < 0x80


def _lists(data: bytes) -> tuple[int, int]:
    """Where the names of a DeltaDiscoveryRequest that begins with its type start, and where its
    versions do, if it has any: a tag, a length, and the tag of the key."""
    start = at = 2 + data[1]
    while (at := data.find(_DELTA_VERSION, at)) >= 0:
        if data[at + 2 : at + 3] == b"\n":
            return start, at
        at += 1
    return start, len(data)


def _without_node(data: bytes, number: int) -> tuple[bytes, bytes | None]:
    """The message without its node, which is the first field, or the second behind the version.

    Everything else of a first message is what other proxies say too, and is decoded once. A node
    elsewhere is found as any other field is.
    """
    if len(data) < _LARGE:
        return data, None
    at = 0
    for _ in range(number):
        found, wire, start, end = _next(data, at)
        if found == number and wire == _BYTES:
            return data[:at] + data[end:], data[start:end]
        at = end
        if at == len(data):
            break
    return data, None


def _guarded(read: Callable[[], T]) -> T:
    try:
        return read()
    except (IndexError, ValueError, DecodeError) as error:
        # ValueError includes UnicodeDecodeError.
        raise Malformed(f"not a discovery request: {error}") from None


def _read_sotw(data: bytes, known: Spelling) -> Request | None:
    """Fields of DiscoveryRequest: 1 version, 2 node, 3 names, 4 type, 5 nonce, 6 error. None where
    there is too much to read in it by hand."""
    said: dict[int, bytes] = {}
    found: list[str] = []
    block = (0, 0)
    spelling = NOT_SPELLED
    at = 0
    while at < len(data):
        if data[at] == _SOTW_NAME and not found:
            if spelling is NOT_SPELLED and known.stands_at(data, at):
                spelling, at = known, at + known.length
                continue
            if spelling is not NOT_SPELLED:
                # More names than last time: they are to be read from the start.
                return _read_sotw(data, NOT_SPELLED)
            if len(data) > _LARGE:
                return None
        number, wire, start, end = _next(data, at)
        if number == 3 and wire == _BYTES:
            found.append(data[start:end].decode())
            block = (block[0] if len(found) > 1 else at, end)
        elif wire == _BYTES:
            said[number] = data[start:end]
        at = end
    if found:
        spelling = _spelling(found, data, block[0])
    return _sotw_request(said, spelling)


def _sotw_request(said: dict[int, bytes], spelling: Spelling) -> Request:
    return Request(
        type_url=said.get(4, b"").decode(),
        version=said.get(1, b"").decode(),
        nonce=said.get(5, b"").decode(),
        subscribe=spelling.names,
        spelling=spelling,
        error=_error(said.get(6)),
        node=said.get(2),
    )


def _spelling(found: list[str], data: bytes, at: int) -> Spelling:
    """The names that start here. They may be scattered over the message, or written in more bytes
    than need be: then there is no block of bytes to recognize them by."""
    raw: bytes = DiscoveryRequest(resource_names=found).SerializeToString()
    if not data.startswith(raw, at):
        return Spelling(names.of(found))
    return names.spelled(found, raw)


def _decode_sotw(data: bytes) -> Request:
    message = DiscoveryRequest.FromString(data)
    found = list(message.resource_names)
    return Request(
        type_url=message.type_url,
        version=message.version_info,
        nonce=message.response_nonce,
        subscribe=(spelling := _spelling(found, data, _first_name(data))).names,
        spelling=spelling,
        error=_words(message.error_detail.message) if message.HasField("error_detail") else None,
        node=message.node.SerializeToString() if message.HasField("node") else None,
    )


def _first_name(data: bytes) -> int:
    at = 0
    while data[at] != _SOTW_NAME:
        at = _next(data, at)[3]
    return at


def _delta_ack(data: bytes) -> Request | None:
    """A type and a nonce, and nothing else: what most requests are."""
    if len(data) < 4 or data[0] != _DELTA_TYPE or data[1] > 0x7F:
        return None
    end = 2 + data[1]
    if end + 2 > len(data) or data[end] != _DELTA_NONCE or data[end + 1] != len(data) - end - 2:
        return None
    if data[end + 1] > 0x7F:
        return None
    return Request(type_url=data[2:end].decode(), nonce=data[end + 2 :].decode())


def _read_delta(data: bytes) -> Request:
    """Fields of DeltaDiscoveryRequest: 1 node, 2 type, 3 subscribe, 4 unsubscribe, 5 versions,
    6 nonce, 7 error."""
    said: dict[int, bytes] = {}
    subscribe: list[str] = []
    unsubscribe: list[str] = []
    versions: dict[str, str] = {}
    for number, value in _fields(data):
        if number == 3:
            subscribe.append(value.decode())
        elif number == 4:
            unsubscribe.append(value.decode())
        elif number == 5:
            entry = dict(_fields(value))
            versions[entry.get(1, b"").decode()] = entry.get(2, b"").decode()
        else:
            said[number] = value
    return Request(
        type_url=said.get(2, b"").decode(),
        nonce=said.get(6, b"").decode(),
        subscribe=names.of(subscribe),
        unsubscribe=names.of(unsubscribe),
        versions=Versions(versions) if versions else None,
        error=_error(said.get(7)),
        node=said.get(1),
    )


def _decode_delta(data: bytes) -> Request:
    message = DeltaDiscoveryRequest.FromString(data)
    versions = dict(message.initial_resource_versions)
    return Request(
        type_url=message.type_url,
        nonce=message.response_nonce,
        subscribe=names.of(message.resource_names_subscribe),
        unsubscribe=names.of(message.resource_names_unsubscribe),
        versions=Versions(versions) if versions else None,
        error=_words(message.error_detail.message) if message.HasField("error_detail") else None,
        node=message.node.SerializeToString() if message.HasField("node") else None,
    )


def _error(status: bytes | None) -> str | None:
    """The text of a google.rpc.Status: field 1 is the code, field 2 the message."""
    if status is None:
        return None
    return _words(dict(_fields(status)).get(2, b"").decode(errors="replace"))


def _words(text: str) -> str:
    return text[:_ERROR_LIMIT] if text else "refused without a word"


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; others are skipped."""
    at = 0
    while at < len(data):
        number, wire, start, end = _next(data, at)
        if wire == _BYTES:
            yield number, data[start:end]
        at = end


def _next(data: bytes, at: int) -> tuple[int, int, int, int]:
    """The field at this place: number, wire type, and where its value starts and ends."""
    tag, at = _varint_at(data, at)
    number, wire = tag >> 3, tag & 7
    if number == 0:
        raise ValueError("a field without a number")
    if wire == _BYTES:
        length, at = _varint_at(data, at)
        end = at + length
    elif wire == _VARINT:
        _, end = _varint_at(data, at)
    elif wire in (_FIXED64, _FIXED32):
        end = at + (8 if wire == _FIXED64 else 4)
    else:
        raise ValueError(f"wire type {wire}")
    if end > len(data):
        raise ValueError("a field that ends behind the message")
    return number, wire, at, end


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
