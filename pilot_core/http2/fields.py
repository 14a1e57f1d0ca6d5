"""Header fields: what may stand in a request, and how those of a response are written.

Responses are written without the peer's having to remember anything (RFC 7541, 6.2.2), so one
block of bytes is the same for everybody. Requests are decoded by `hpack`, which bounds what they
expand to; what they may say is RFC 9113, 8.2 and 8.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pilot_core.http2.events import Fields

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"[^\x00\r\n \t](?:[^\x00\r\n]*[^\x00\r\n \t])?|")
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_NEEDED = (b":method", b":scheme", b":path")
_OF_ANOTHER_VERSION = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_ENTRY_OVERHEAD = 32
"""RFC 9113, 6.5.2: what each field counts beside its own bytes."""

NOTHING_REMEMBERED = b"\x20"
"""Says that our dynamic table has no room (RFC 7541, 6.3): owed to who asks for a smaller one."""
STATUS_200 = b"\x88"
"""`:status: 200`, by its place in the static table."""
_STATUS_NAME = b"\x08"
"""A literal whose name is that of the static table's eighth entry, `:status`."""


class Malformed(Exception):
    """A request that breaks RFC 9113, 8: a fault of its stream."""


def literal(name: bytes, value: bytes) -> bytes:
    """A field that nobody is to remember, in plain text."""
    return b"\x00" + _text(name) + _text(value)


def status(code: int) -> bytes:
    return STATUS_200 if code == 200 else _STATUS_NAME + _text(b"%d" % code)


def _text(text: bytes) -> bytes:
    """RFC 7541, 5.2, with the length as in 5.1."""
    length = len(text)
    if length < 0x7F:
        return bytes((length,)) + text
    out = bytearray(b"\x7f")
    length -= 0x7F
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + text


def size(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """As SETTINGS_MAX_HEADER_LIST_SIZE counts."""
    return sum(len(name) + len(value) + _ENTRY_OVERHEAD for name, value in fields)


def check_request(fields: Fields) -> None:
    """Raises Malformed."""
    seen: set[bytes] = set()
    is_regular = False
    for name, value in fields:
        if name.startswith(b":"):
            if is_regular or name not in _PSEUDO or name in seen:
                raise Malformed(f"a field {name!r} that may not stand there")
            seen.add(name)
        else:
            is_regular = True
            _check_name(name, value)
        _check_value(name, value)
    lacking = [name.decode() for name in _NEEDED if name not in seen]
    if lacking or dict(fields)[b":path"] == b"":
        raise Malformed(f"a request without {' '.join(lacking) or ':path'}")


def check_trailers(fields: Fields) -> None:
    """Raises Malformed."""
    for name, value in fields:
        _check_name(name, value)
        _check_value(name, value)


def content_length(fields: Fields) -> int | None:
    """What the body is said to be long. Raises Malformed."""
    said = {value for name, value in fields if name == b"content-length"}
    if not said:
        return None
    value = said.pop()
    if said or not value.isdigit() or len(value) > 18:
        raise Malformed("a content-length that is none")
    return int(value)


def _check_name(name: bytes, value: bytes) -> None:
    if _NAME.fullmatch(name) is None:
        raise Malformed(f"a field cannot be called {name[:100]!r}")
    if name in _OF_ANOTHER_VERSION or (name == b"te" and value != b"trailers"):
        raise Malformed(f"a field {name!r} means nothing in HTTP/2")


def _check_value(name: bytes, value: bytes) -> None:
    if _VALUE.fullmatch(value) is None:
        raise Malformed(f"the value of {name!r} has a character that may not be in it")
