"""The daemon gives memory back once a burst is over."""

from __future__ import annotations

from pilot_core.daemon.memory import Memory, resident

_MB = 1 << 20


class Heap:
    """A process of some size, of which half of what it has grown by is free."""

    def __init__(self) -> None:
        self.size = self.needed = 100 * _MB
        self.trims = 0

    def grow(self, megabytes: int) -> None:
        self.size += megabytes * _MB
        self.needed += megabytes * _MB // 2

    def trim(self) -> None:
        self.trims += 1
        self.size = self.needed


def test_memory_is_given_back_when_the_process_has_stopped_growing() -> None:
    heap = Heap()
    memory = Memory(lambda: heap.size, heap.trim)
    heap.grow(100)
    assert (memory.look(), heap.size) == (False, 200 * _MB)
    assert (memory.look(), heap.size) == (True, 150 * _MB)


def test_what_is_needed_is_not_looked_for_again_and_again() -> None:
    heap = Heap()
    memory = Memory(lambda: heap.size, heap.trim)
    heap.grow(100)
    looks = [memory.look() for _ in range(10)]
    assert looks.count(True) == heap.trims == 1


def test_a_little_growth_is_not_worth_it() -> None:
    heap = Heap()
    memory = Memory(lambda: heap.size, heap.trim)
    heap.grow(8)
    assert [memory.look() for _ in range(5)] == [False] * 5


def test_the_resident_size_is_that_of_this_process() -> None:
    before = resident()
    ballast = b"x" * (64 * _MB)
    assert resident() - before > 32 * _MB, len(ballast)
