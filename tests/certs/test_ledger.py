"""Who holds which certificate, as long as it is valid."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import authorities
from authorities import NOW, REVIEWS
from pilot_certs.audit import AuditLog
from pilot_certs.authority import Authority
from pilot_certs.caller import Call, Caller
from pilot_certs.issuing import Issuing, Request
from pilot_certs.ledger import Held, Holder, Ledger
from pilot_certs.refusal import Refused
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


def test_after_a_restart_it_is_what_the_audit_log_says(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    authority = authorities.started(tmp_path, clock)
    log = AuditLog(tmp_path / "audit.jsonl", clock)
    before = Ledger(clock)
    issuing = Issuing(authority, (Everybody(),), log, ledger=before)

    async def run() -> None:
        for peer in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
            await issuing.issue(Request(csr=authorities.csr_pem()), Call(peer=peer))
        await clock.advance(10)
        authority.prepare(who="test", why="a test")
        await issuing.issue(Request(csr=authorities.csr_pem()), Call(peer="10.0.0.3"))
        with pytest.raises(Refused):
            await issuing.issue(Request(csr=b"junk"), Call(peer="10.0.0.4"))

    asyncio.run(run())
    log.close()
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b"junk\n")
    after = Ledger(clock)
    after.restore(AuditLog(tmp_path / "audit.jsonl", clock).recent(), authority.signers)

    assert list(before) == list(after)
    assert [1, 1, 2] == [len(held.roots) for held in after]
    assert [] == list(_restored_at(tmp_path, NOW + 2 * DAY, authority))


def _restored_at(folder: Path, now: float, authority: Authority) -> Ledger:
    clock = FakeClock(now)
    made = Ledger(clock)
    made.restore(AuditLog(folder / "audit.jsonl", clock).recent(), authority.signers)
    return made


class Everybody:
    """An authenticator that takes anybody for the same one."""

    name = "everybody"

    async def authenticate(self, call: Call) -> Caller | None:
        return Caller(attestor=self.name, evidence="test", identities=(REVIEWS,))
