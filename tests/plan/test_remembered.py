"""What is worked out once, and how long it is kept."""

from __future__ import annotations

from pilot_core.plan.remembered import remembered, trim


def counted():
    """A function that is remembered, and what it has been called with."""
    calls = []

    @remembered
    def work(value):
        calls.append(value)
        return -value

    return work, calls


def test_equal_values_are_worked_out_once():
    work, calls = counted()
    assert [-1000, -1000, -7] == [work(1000), work(1000), work(7)]
    assert [1000, 7] == calls


def test_what_the_world_holds_is_kept_whatever_else_changes():
    work, calls = counted()
    for value in range(5000):
        work(value)
    trim(5000)
    work(0)
    assert 5000 == len(calls)


def test_results_for_what_has_gone_are_forgotten():
    work, calls = counted()
    for turn in range(10):
        for value in range(1000):
            work(turn * 1000 + value)
        trim(100)
    work(0)
    assert 10_001 == len(calls)
