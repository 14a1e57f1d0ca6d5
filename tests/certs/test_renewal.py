"""What the agent holds, and when it is renewed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import authorities
from authorities import DOMAIN, NOW, REVIEWS
from nodes import CLIENT, Source
from pilot_certs import chain, csr
from pilot_certs.agent import held
from pilot_certs.agent.held import Held
from pilot_certs.agent.renewal import Renewal
from pilot_certs.authority import Authority
from pilot_certs.chain import Untrusted
from pilot_core.testing import FakeClock

HOUR = 3600.0


class JumpingClock(FakeClock):
    """Its time of day can be set, as an operator sets it: nobody who sleeps wakes by that."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class Office:
    """A renewal on a clock that the test moves; its randomness is the middle."""

    def __init__(self, folder: Path) -> None:
        self.clock = JumpingClock(NOW)
        self.authority: Authority = authorities.started(folder, self.clock)
        self.source = Source(self.authority)
        self.held = Held(DOMAIN)
        self.renewal = Renewal(
            REVIEWS, self.source, self.held, self.clock, uniform=lambda a, b: (a + b) / 2
        )

    async def __aenter__(self) -> Office:
        self._task = asyncio.create_task(self.renewal.run())
        await self.clock.advance(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def advance(self, seconds: float) -> None:
        """In steps, as real time passes."""
        for _ in range(int(seconds // 60)):
            await self.clock.advance(60)

    @property
    def until(self) -> float:
        return self.held.svids[REVIEWS].not_after - self.clock.now()


async def test_a_certificate_is_renewed_at_half_of_its_life(tmp_path: Path) -> None:
    async with Office(tmp_path) as office:
        assert 1 == office.source.asked
        await office.advance(11 * HOUR)
        assert 1 == office.source.asked
        await office.advance(2 * HOUR)
        assert 2 == office.source.asked


async def test_while_it_cannot_be_renewed_it_is_kept_and_tried_again(tmp_path: Path) -> None:
    async with Office(tmp_path) as office:
        first = office.held.svids[REVIEWS]
        office.source.is_away = True
        await office.advance(20 * HOUR)
        asked = office.source.asked

        assert first is office.held.svids[REVIEWS]
        # Once in about two minutes, after a quick start.
        assert 150 < asked < 400
        office.source.is_away = False
        await office.advance(180)
        assert first is not office.held.svids[REVIEWS]


async def test_the_last_minutes_of_a_certificate_see_more_attempts(tmp_path: Path) -> None:
    async with Office(tmp_path) as office:
        office.source.is_away = True
        await office.advance(24 * HOUR - 60)
        before = office.source.asked
        for _ in range(60):
            await office.clock.advance(1)

        assert office.source.asked - before > 4
        office.source.is_away = False
        for _ in range(5):
            await office.clock.advance(1)
        assert office.until > 23 * HOUR


@pytest.mark.parametrize("ahead", [HOUR, 25 * HOUR, -HOUR, -24 * HOUR])
async def test_a_clock_that_jumps_costs_one_renewal_at_most(tmp_path: Path, ahead: float) -> None:
    async with Office(tmp_path) as office:
        office.clock.ahead = ahead
        await office.advance(180)

        assert 12 * HOUR < office.until
        assert (2 if ahead > 12 * HOUR else 1) == office.source.asked


async def test_who_asks_is_served_before_anything_is_due(tmp_path: Path) -> None:
    async with Office(tmp_path) as office:
        office.renewal.ask()
        await office.clock.advance(0)
        await office.clock.advance(0)

        assert 2 == office.source.asked


def test_an_answer_for_somebody_else_is_not_used(tmp_path: Path) -> None:
    authority = authorities.started(tmp_path, FakeClock(NOW))
    key = authorities.key()
    shown = authority.sign(key.public_key(), REVIEWS).chain

    assert REVIEWS == held.svid(REVIEWS, shown, key).name
    with pytest.raises(Untrusted, match="where spiffe"):
        held.svid(CLIENT, shown, key)
    with pytest.raises(Untrusted, match="without a certificate"):
        held.svid(REVIEWS, (), key)
    with pytest.raises(Untrusted):
        held.svid(REVIEWS, authority.roots, key)
    with pytest.raises(Untrusted):
        held.svid(REVIEWS, ("junk",), key)


def test_a_certificate_that_the_roots_do_not_vouch_for_is_not_taken(tmp_path: Path) -> None:
    ours = authorities.started(tmp_path / "ours", FakeClock(NOW))
    foreign = authorities.started(tmp_path / "foreign", FakeClock(NOW))
    key = authorities.key()
    kept = Held(DOMAIN)
    kept.trust(ours.roots)

    with pytest.raises(Untrusted):
        kept.take(held.svid(REVIEWS, foreign.sign(key.public_key(), REVIEWS).chain, key))

    assert {} == kept.svids


def test_a_certificate_for_another_key_is_not_taken(tmp_path: Path) -> None:
    authority = authorities.started(tmp_path, FakeClock(NOW))
    key = authorities.key()
    shown = authority.sign(key.public_key(), REVIEWS).chain
    kept = Held(DOMAIN)
    kept.trust(authority.roots)
    right = held.svid(REVIEWS, shown, key)
    kept.take(right)

    with pytest.raises(Untrusted, match="another key"):
        kept.take(held.svid(REVIEWS, shown, authorities.key()))

    assert right is kept.svids[REVIEWS]


@pytest.mark.parametrize("roots", [(), ("junk",), ("",)])
def test_roots_that_are_none_change_nothing(tmp_path: Path, roots: tuple[str, ...]) -> None:
    kept = Held(DOMAIN)
    kept.trust(authorities.started(tmp_path, FakeClock(NOW)).roots)
    before = kept.roots

    with pytest.raises(Untrusted):
        kept.trust(roots)

    assert before == kept.roots


def test_a_leaf_is_no_root(tmp_path: Path) -> None:
    authority = authorities.started(tmp_path, FakeClock(NOW))
    leaf = authority.sign(csr.from_pem(authorities.csr_pem()), REVIEWS).chain

    with pytest.raises(Untrusted):
        Held(DOMAIN).trust(leaf)


def test_a_held_certificate_does_not_show_its_key(tmp_path: Path) -> None:
    authority = authorities.started(tmp_path, FakeClock(NOW))
    key = authorities.key()
    shown = held.svid(REVIEWS, authority.sign(key.public_key(), REVIEWS).chain, key)

    assert "PRIVATE" not in repr(shown)
    assert str(key.private_numbers().private_value) not in repr(shown)


async def test_who_waits_hears_of_a_change_made_before_he_gets_to_wait(tmp_path: Path) -> None:
    kept = Held(DOMAIN)
    change = kept.change()
    kept.trust(authorities.started(tmp_path, FakeClock(NOW)).roots)

    await asyncio.wait_for(change, 1)
    assert chain.load(kept.roots[0])
