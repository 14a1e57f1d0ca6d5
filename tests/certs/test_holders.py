"""What the fleet is known to trust, and what rotations conclude from it."""

from __future__ import annotations

from authorities import NOW, REVIEWS
from pilot_certs.holders import Following, Holders
from pilot_certs.ledger import Held, Holder, Ledger
from pilot_certs.validity import Window
from pilot_core.testing import FakeClock

DAY = 86400.0
HERE = Holder(REVIEWS, "10.0.0.1")
BOTH = frozenset({"A", "B"})


def given(*roots: str, at: float = NOW, signer: str = "aa") -> Holders:
    """Somebody has been told of these roots with his certificate, a day long."""
    clock = FakeClock(at)
    ledger = Ledger(clock)
    ledger.note(
        Held(
            holder=HERE,
            attestor="test",
            serial="1",
            signer=signer,
            window=Window(NOW, NOW + DAY),
            roots=frozenset(roots),
        )
    )
    return Holders(ledger, clock)


def test_who_has_not_been_told_of_a_root_is_named() -> None:
    assert (f"{REVIEWS} at 10.0.0.1",) == given("A").without_roots(BOTH)
    assert () == given("A", "B").without_roots(BOTH)


def test_who_shows_a_certificate_of_a_signer_is_named() -> None:
    assert (f"{REVIEWS} at 10.0.0.1",) == given("A").with_leaf_of("aa")
    assert () == given("A").with_leaf_of("bb")


def test_who_is_late_with_his_renewal_is_not_waited_for() -> None:
    assert () == given("A", at=NOW + 0.8 * DAY).without_roots(BOTH)


def test_an_agent_s_own_word_counts_more_than_what_it_was_told() -> None:
    holders = given("A")
    session = object()
    holders.heard(session, Following(agent="vm-1", holders=frozenset({HERE}), roots=BOTH))

    assert () == holders.without_roots(BOTH)
    holders.gone(session)
    assert 1 == len(holders.without_roots(BOTH))


def test_an_agent_whose_proxies_lack_a_root_holds_the_rotation() -> None:
    holders = given("A", "B")
    said = Following(agent="vm-1", roots=frozenset({"A"}), signers=frozenset({"aa"}))
    holders.heard(object(), said)

    assert ("vm-1",) == holders.without_roots(BOTH)
    assert "vm-1" in holders.with_leaf_of("aa")
