"""Protobuf's wire format, as far as discovery requests and responses need it.

Responses are put together from finished bytes: concatenated fields are one message, in any order.
Requests are read by hand, because a state-of-the-world acknowledgement repeats every name that the
client is subscribed to: comparing these bytes with those of the last request is a hundred times
cheaper than decoding them. Large requests that many proxies send alike are decoded once.

Sources: protobuf.dev "Encoding"; envoy/service/discovery/v3/discovery.proto.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from pilot_xds.names import NO_NAMES, Names, Versions
from pilot_xds.names import of as names_of

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LARGE = 2048
_ERROR_LIMIT = 4096
"""Characters of a client's error message that are kept: some are as long as the configuration."""
_SOTW_NAME = 0x1A
"""The tag of a name in a DiscoveryRequest: field 3, bytes."""


class Malformed(Exception):
    """The bytes are not a discovery request."""


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One discovery request of either variant; what a variant does not have is empty.

    `subscribe` holds all names in the state-of-the-world variant, and the new ones in delta.
    `error` is None in an acknowledgement, and the client's words in a refusal.
    """

    type_url: str = ""
    version: str = ""
    nonce: str = ""
    subscribe: Names = NO_NAMES
    unsubscribe: Names = NO_NAMES
    versions: Versions | None = None
    error: str | None = None


A = TypeVar("A")
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


def sotw_response(body: bytes, type_url: str, version: str, nonce: str) -> bytes:
    """A DiscoveryResponse around finished `resources` fields."""
    tail = (field(1, version.encode()), field(4, type_url.encode()), field(5, nonce.encode()))
    return b"".join((body, *tail))


def delta_response(body: bytes, type_url: str, version: str, nonce: str) -> bytes:
    """A DeltaDiscoveryResponse around finished `resources` and `removed_resources` fields."""
    tail = (field(1, version.encode()), field(4, type_url.encode()), field(5, nonce.encode()))
    return b"".join((body, *tail))


def removed_fields(names: tuple[str, ...]) -> bytes:
    """The `removed_resources` fields of a DeltaDiscoveryResponse."""
    return b"".join(field(6, name.encode()) for name in names)


class Reader:
    """Reads requests; what many proxies say in the same bytes is decoded once."""

    def __init__(self, remember: int = 64) -> None:
        self._seen: OrderedDict[tuple[bool, bytes], Request] = OrderedDict()
        self._remember = remember

    def sotw(self, data: bytes, known: Names = NO_NAMES) -> tuple[Request, bytes | None]:
        """A DiscoveryRequest, and its node if it has one; `known` are names that this client sent
        before. Raises Malformed."""
        rest, node = _guarded(_without_node, data, 2)
        if len(rest) < _LARGE or (known.raw and known.raw in rest):
            return _guarded(_read_sotw, rest, known), node
        return self._shared(rest, _read_sotw), node

    def delta(self, data: bytes) -> tuple[Request, bytes | None]:
        """A DeltaDiscoveryRequest, and its node if it has one. Raises Malformed."""
        rest, node = _guarded(_without_node, data, 1)
        if len(rest) < _LARGE:
            return _guarded(_read_delta, rest, NO_NAMES), node
        return self._shared(rest, _read_delta), node

    def _shared(self, data: bytes, read: Callable[[bytes, Names], Request]) -> Request:
        key = (read is _read_delta, data)
        found = self._seen.get(key)
        if found is not None:
            self._seen.move_to_end(key)
            return found
        found = self._seen[key] = _guarded(read, data, NO_NAMES)
        if len(self._seen) > self._remember:
            self._seen.popitem(last=False)
        return found


def _without_node(data: bytes, number: int) -> tuple[bytes, bytes | None]:
    """The message without its node, which is the first field, or the second behind the version.

    Everything else of a first message is what other proxies say too, and is decoded once.
    """
    at = 0
    for _ in range(number):
        if at >= len(data):
            break
        found, wire, start, end = _next(data, at)
        if found == number and wire == _BYTES:
            return data[:at] + data[end:], data[start:end]
        at = end
    return data, None


def _guarded(read: Callable[[bytes, A], T], data: bytes, more: A) -> T:
    try:
        return read(data, more)
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        raise Malformed(f"not a discovery request: {error}") from None


def _read_sotw(data: bytes, known: Names) -> Request:
    """Fields of DiscoveryRequest: 1 version, 3 names, 4 type, 5 nonce, 6 error."""
    said: dict[int, bytes] = {}
    names: list[str] = []
    block = (0, 0)
    same = False
    at = 0
    while at < len(data):
        if data[at] == _SOTW_NAME and not names and _repeats(data, at, known.raw):
            same, at = True, at + len(known.raw)
            continue
        number, wire, start, end = _next(data, at)
        if number == 3 and wire == _BYTES:
            names.append(data[start:end].decode())
            block = (block[0] if len(names) > 1 else at, end)
        elif wire == _BYTES:
            said[number] = data[start:end]
        at = end
    subscribe = known if same else names_of(names, data[block[0] : block[1]])
    return Request(
        type_url=said.get(4, b"").decode(),
        version=said.get(1, b"").decode(),
        nonce=said.get(5, b"").decode(),
        subscribe=subscribe,
        error=_error(said.get(6)),
    )


def _repeats(data: bytes, at: int, block: bytes) -> bool:
    """Does the block of names stand here, whole, and with no further name behind it?"""
    if not block or not data.startswith(block, at):
        return False
    end = at + len(block)
    return end == len(data) or data[end] != _SOTW_NAME


def _read_delta(data: bytes, known: Names) -> Request:
    """Fields of DeltaDiscoveryRequest: 2 type, 3 subscribe, 4 unsubscribe, 5 versions, 6 nonce,
    7 error."""
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
        subscribe=names_of(subscribe),
        unsubscribe=names_of(unsubscribe),
        versions=Versions(versions) if versions else None,
        error=_error(said.get(7)),
    )


def _error(status: bytes | None) -> str | None:
    """The text of a google.rpc.Status: field 1 is the code, field 2 the message."""
    if status is None:
        return None
    text = dict(_fields(status)).get(2, b"").decode(errors="replace")
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
