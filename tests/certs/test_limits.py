"""Token buckets: a burst, then a rate, and a bound on how many there are."""

from __future__ import annotations

from pilot_certs.limits import Buckets, Rate
from pilot_core.testing import FakeClock


async def test_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = FakeClock()
    buckets = Buckets(Rate(2, 3), clock)

    assert [True, True, True, False] == [buckets.take("a") for _ in range(4)]
    assert buckets.is_empty("a")
    await clock.advance(0.5)
    assert [True, False] == [buckets.take("a") for _ in range(2)]
    await clock.advance(100)
    assert [True, True, True, False] == [buckets.take("a") for _ in range(4)]


def test_names_do_not_share() -> None:
    buckets = Buckets(Rate(1, 1), FakeClock())

    assert [True, True, False] == [buckets.take("a"), buckets.take("b"), buckets.take("a")]


def test_there_are_never_more_buckets_than_fit() -> None:
    buckets = Buckets(Rate(1, 1), FakeClock(), names_at_most=10)
    for number in range(1000):
        buckets.take(str(number))

    assert 10 == len(buckets)
    assert not buckets.take("999")
