"""Who holds which certificate, as long as it is valid."""

from __future__ import annotations

from authorities import NOW, REVIEWS
from pilot_certs.ledger import Held, Holder, Ledger
from pilot_certs.validity import Window
from pilot_core.testing import FakeClock

DAY = 86400.0


def held(peer: str = "10.0.0.1", *, begins: float = NOW, life: float = DAY, **more: object) -> Held:
    fields = {"attestor": "test", "serial": "1", "signer": "aa", "roots": frozenset({"A"}), **more}
    return Held(holder=Holder(REVIEWS, peer), window=Window(begins, begins + life), **fields)


def ledger(*entries: Held, at: float = NOW, most: int = 100) -> Ledger:
    made = Ledger(FakeClock(at), most=most)
    for entry in entries:
        made.note(entry)
    return made


def test_only_the_newest_certificate_of_a_holder_counts() -> None:
    made = ledger(held(serial="1"), held(serial="2"), held("10.0.0.2", serial="3"))

    assert ["2", "3"] == sorted(h.serial for h in made)


def test_what_has_ended_is_forgotten() -> None:
    made = ledger(held(life=10), held("10.0.0.2"), at=NOW + 10)

    assert ["10.0.0.2"] == [h.holder.peer for h in made]
    assert 1 == len(made)


def test_a_certificate_with_little_of_its_life_left_is_late() -> None:
    assert () == ledger(held(), at=NOW + 0.7 * DAY).late()
    assert 1 == len(ledger(held(), at=NOW + 0.8 * DAY).late())


def test_the_longest_known_is_forgotten_when_there_are_too_many() -> None:
    made = ledger(*(held(f"10.0.0.{n}") for n in range(5)), most=3)

    assert ["10.0.0.2", "10.0.0.3", "10.0.0.4"] == [h.holder.peer for h in made]
