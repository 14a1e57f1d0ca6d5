"""Cuts bytes that lie in several pieces into runs of a given length, without copying them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Pieces = Sequence[bytes | memoryview]


def cut(parts: Pieces, size: int, limit: int) -> Iterator[tuple[int, list[bytes | memoryview]]]:
    """Runs of `limit` bytes, the last one of what is left; `size` is that of all parts."""
    length = room = min(limit, size)
    run: list[bytes | memoryview] = []
    for part in parts:
        at, end = 0, len(part)
        while end - at >= room > 0:
            run.append(memoryview(part)[at : at + room])
            yield length, run
            at, size, run = at + room, size - length, []
            length = room = min(limit, size)
        if at < end:
            run.append(memoryview(part)[at:] if at else part)
            room -= end - at


def split(parts: Pieces, length: int) -> tuple[list[bytes | memoryview], list[bytes | memoryview]]:
    """The first `length` bytes, and what is behind them."""
    run: list[bytes | memoryview] = []
    for place, part in enumerate(parts):
        if len(part) > length:
            view = memoryview(part)
            if length:
                run.append(view[:length])
            return run, [view[length:], *parts[place + 1 :]]
        run.append(part)
        length -= len(part)
    return run, []
