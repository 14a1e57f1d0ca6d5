"""A term of leading, by the leader's own clock."""

from __future__ import annotations

from pilot_core.leader import Term
from pilot_core.testing import FakeClock


async def test_a_term_holds_until_its_time_is_up():
    clock = FakeClock()
    term = Term(clock, 7, clock.monotonic() + 12)
    await clock.advance(11.9)
    assert term.holds()

    await clock.advance(0.2)
    assert not term.holds()
    assert 7 == term.fence


async def test_a_term_that_is_prolonged_holds_longer_and_never_shorter():
    clock = FakeClock()
    start = clock.monotonic()
    term = Term(clock, 7, start + 12)
    term.prolong(start + 17)
    term.prolong(start + 13)

    assert 17 == term.remaining()


async def test_a_term_that_is_over_stays_over():
    clock = FakeClock()
    slept, ended = (Term(clock, fence, clock.monotonic() + 12) for fence in (7, 8))
    await clock.advance(12)
    for term in (slept, ended):
        term.end()
        term.prolong(clock.monotonic() + 100)

    assert [False, False] == [slept.holds(), ended.holds()]


async def test_a_renewal_that_comes_too_late_does_not_bring_a_term_back():
    clock = FakeClock()
    term = Term(clock, 7, clock.monotonic() + 12)
    await clock.advance(12)
    term.prolong(clock.monotonic() + 100)

    assert not term.holds()
