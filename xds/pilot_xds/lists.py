"""Long lists recognized in whatever order they are written.

Every Envoy writes its thousands of names, and the versions of what it has, in the order of its own
hash tables: no two of them say it in the same bytes. To cut the bytes at the tags and look up the
pieces as a set costs a fifth of decoding them.

Rule 1: only what has been decoded before is recognized.
Rule 2: a list is kept only if each of its pieces is one whole field: such pieces say the same in
any order, so that nothing else can be taken for it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

_LENGTH_OF_ENTRY, _LENGTH_OF_KEY = b"\xff", b"\xfe"
"""Stand for a length that happens to be the tag's own number. Neither is a byte of UTF-8, nor a
length below 128."""


class Lists(Generic[T]):
    """What lists of fields with one tag meant. `remember` is in bytes of these fields; a map's
    fields are entries of a key and a value."""

    def __init__(self, tag: int, remember: int, *, is_map: bool = False) -> None:
        self._tag, self._is_map = bytes((tag,)), is_map
        self._is_escaped = False
        """Was the last list found one with lengths that are the tag's own number?"""
        self._known: dict[frozenset[bytes], tuple[T, int]] = {}
        self._free = self._remember = remember

    def find(self, data: bytes) -> T | None:
        """What these bytes mean, if they are a list that is known."""
        for is_escaped in (self._is_escaped, not self._is_escaped):
            found = self._known.get(self._pieces(data, is_escaped=is_escaped))
            if found is not None:
                self._is_escaped = is_escaped
                return found[0]
        return None

    def keep(self, data: bytes, meaning: T) -> None:
        """These bytes mean this; it is forgotten when there is no room for it."""
        if len(data) > self._remember:
            return
        forms = (self._pieces(data, is_escaped=is_escaped) for is_escaped in (False, True))
        pieces = next((form for form in forms if form and all(map(self._is_whole, form))), None)
        if pieces is None or pieces in self._known:
            return
        self._known[pieces] = (meaning, len(data))
        self._free -= len(data)
        while self._free < 0:
            # The oldest, not the least used: to move a key costs as much as to find it.
            _, size = self._known.pop(next(iter(self._known)))
            self._free += size

    def _pieces(self, data: bytes, *, is_escaped: bool) -> frozenset[bytes]:
        """The bytes between the tags; none where they cannot be told apart."""
        tag = self._tag
        if not data.startswith(tag) or _LENGTH_OF_ENTRY in data or _LENGTH_OF_KEY in data:
            return frozenset()
        if is_escaped:
            data = data.replace(tag + tag, tag + _LENGTH_OF_ENTRY)
            # The key of a map's entry is its field 1, which is a newline.
            data = data.replace(b"\n" + tag, b"\n" + _LENGTH_OF_KEY) if self._is_map else data
        return frozenset(data[1:].split(tag))

    def _is_whole(self, piece: bytes) -> bool:
        """Is it a length below 128, and that many bytes?"""
        length = piece[:1].replace(_LENGTH_OF_ENTRY, self._tag)
        return len(piece) > 1 and length[0] < 0x80 and length[0] == len(piece) - 1
