from __future__ import annotations

import pytest

from pilot_core.registry.guard import HELD, Guard
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock

TEN = [str(n) for n in range(10)]


class Guarded:
    def __init__(self, max_drop: float, size: int = 10) -> None:
        self.size, self.clock = size, FakeClock()
        self.problems = Problems(self.clock)
        self.guard = Guard(
            "dc1",
            max_drop=max_drop,
            problems=self.problems,
            clock=self.clock,
            size=lambda: self.size,
        )

    @property
    def is_shown(self) -> bool:
        return [HELD] == [problem.code for problem in self.problems]


@pytest.mark.parametrize(
    ("max_drop", "gone", "goes"),
    [(1.0, 10, 10), (0.5, 5, 5), (0.5, 6, 0), (0.0, 1, 0), (0.0, 0, 0)],
)
def test_a_sweep_goes_as_a_whole_or_not_at_all(max_drop, gone, goes):
    guarded = Guarded(max_drop)
    assert TEN[:goes] == guarded.guard.judge(TEN[:gone])
    assert (goes < gone) == guarded.is_shown


def test_what_is_held_says_how_much_and_since_when():
    guarded = Guarded(0.5)
    since = guarded.clock.now()
    guarded.guard.judge(TEN[:8])
    held = guarded.guard.held
    assert held is not None
    assert (0.8, tuple(TEN[:8]), since) == (held.share, held.sources, held.since)
    [problem] = guarded.problems
    assert "8 of 10 sources are gone from the registry, more than max_drop 0.5" in problem.message


def test_saying_it_again_confirms_nothing():
    guarded = Guarded(0.5)
    assert [[], []] == [guarded.guard.judge(TEN[:8]), guarded.guard.judge(TEN[:8])]


def test_a_held_source_is_free_once_the_adapter_has_put_or_dropped_it():
    guarded = Guarded(0.1)
    guarded.guard.judge(TEN[:2])
    guarded.guard.settled("0")
    assert guarded.is_shown
    guarded.guard.settled("1")
    assert (None, False) == (guarded.guard.held, guarded.is_shown)


def test_a_later_sweep_within_the_limit_takes_held_sources_along():
    guarded = Guarded(0.5)
    guarded.guard.judge(TEN[:8])
    for source in TEN[2:8]:
        guarded.guard.settled(source)
    assert TEN[:2] == guarded.guard.judge(TEN[:2])
    assert (None, False) == (guarded.guard.held, guarded.is_shown)


def test_a_raised_limit_lets_go_what_is_within_it():
    guarded = Guarded(0.5)
    guarded.guard.judge(TEN[:8])
    guarded.guard.max_drop = 0.7
    assert [] == guarded.guard.recheck()
    guarded.guard.max_drop = 0.8
    assert TEN[:8] == guarded.guard.recheck()
    assert (None, False) == (guarded.guard.held, guarded.is_shown)


def test_an_operator_may_let_go_everything():
    guarded = Guarded(0.0)
    guarded.guard.judge(TEN)
    assert TEN == guarded.guard.release()
    assert ([], False) == (guarded.guard.release(), guarded.is_shown)
