"""Issuing: who gets what, what is refused, and what is written down about it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import authorities
from authorities import DOMAIN, REVIEWS, Fleet
from pilot_certs import audit, caller, chain
from pilot_certs.audit import AuditLog
from pilot_certs.authority import Authority, Issued
from pilot_certs.caller import ByCertificate, Call, Caller
from pilot_certs.issuing import Issuing, Limits, Request
from pilot_certs.limits import Rate
from pilot_certs.refusal import InvalidRequest, NotAuthorized, RateLimited, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.model import Workload
from pilot_core.testing import FakeClock

RATINGS = SpiffeId(DOMAIN, "/ns/shop/sa/ratings")


class Passwords:
    """An authenticator for tests: the token says who calls, if it starts with `i-am-`."""

    name = "passwords"

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def authenticate(self, call: Call) -> Caller | None:
        self.asked += 1
        await self.gate.wait()
        known = {"i-am-reviews": (REVIEWS,), "i-am-node": (REVIEWS, RATINGS), "i-am-nobody": ()}
        if call.token not in known:
            return None
        return Caller(attestor=self.name, evidence=call.token, identities=known[call.token])


class Desk:
    """An issuing office with all its parts in a folder."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.clock = FakeClock()
        self.path = folder / "audit.jsonl"
        self.authority: Authority = authorities.started(folder, self.clock)
        self.passwords = Passwords()
        self.log = AuditLog(self.path, self.clock)
        proofs = (ByCertificate(self.authority, self.clock), self.passwords)
        self.issuing = Issuing(self.authority, proofs, self.log, limits=Limits(**limits))

    async def issue(
        self, token: str = "i-am-reviews", *, peer: str = "10.0.0.1", **fields: Any
    ) -> Issued:
        request = Request(**{"csr": authorities.csr_pem(), **fields})
        return await self.issuing.issue(request, Call(token=token, peer=peer))

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_caller_gets_its_own_identity_for_its_own_key(desk: Desk) -> None:
    key = authorities.key()

    issued = await desk.issue(csr=authorities.csr_pem(key))

    leaf = chain.load(issued.chain[0])
    shown = leaf.public_key()
    assert isinstance(shown, ec.EllipticCurvePublicKey)
    assert key.public_key().public_numbers() == shown.public_numbers()
    assert REVIEWS == chain.check(issued.chain, issued.roots, desk.clock.now())


async def test_a_caller_with_several_identities_chooses(desk: Desk) -> None:
    assert REVIEWS == (await desk.issue("i-am-node")).name
    assert RATINGS == (await desk.issue("i-am-node", wanted=RATINGS)).name


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        ("i-am-reviews", RATINGS),
        ("i-am-reviews", SpiffeId("other.example", REVIEWS.path)),
        ("i-am-reviews", SpiffeId(DOMAIN, REVIEWS.path + "/more")),
        ("i-am-nobody", None),
        ("i-am-nobody", REVIEWS),
    ],
)
async def test_nobody_gets_an_identity_that_is_not_his(
    desk: Desk, token: str, wanted: SpiffeId | None
) -> None:
    with pytest.raises(NotAuthorized):
        await desk.issue(token, wanted=wanted)

    assert {"requests": 1, "NotAuthorized": 1} == desk.issuing.counts
    assert {"identity": 1} == desk.issuing.refusals


@pytest.mark.parametrize("token", ["", "i-am-somebody", "\0", "x" * (16 << 10)])
async def test_who_proves_nothing_gets_nothing(desk: Desk, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await desk.issue(token)


async def test_a_token_that_is_too_long_is_not_even_looked_at(desk: Desk) -> None:
    with pytest.raises(Unauthenticated):
        await desk.issue("x" * (16 << 20))

    assert 0 == desk.passwords.asked


async def test_a_request_that_is_too_long_costs_no_question_to_a_platform(desk: Desk) -> None:
    with pytest.raises(InvalidRequest):
        await desk.issue(csr=b"x" * (1 << 20))

    assert 0 == desk.passwords.asked


async def test_a_certificate_is_renewed_by_itself(desk: Desk) -> None:
    first = await desk.issue()

    call = Call(certificates=first.chain, peer="10.0.0.1")
    second = await desk.issuing.issue(Request(csr=authorities.csr_pem()), call)

    assert REVIEWS == second.name
    assert first.serial != second.serial


async def test_a_certificate_of_a_root_that_was_dropped_renews_nothing(desk: Desk) -> None:
    issued = await desk.issue()
    old = desk.authority.signers[0]
    by = {"who": "test", "why": "a test"}
    desk.authority.prepare(**by)
    desk.authority.activate(Fleet(), force=True, **by)
    desk.authority.drop(old.id, Fleet(), force=True, **by)

    with pytest.raises(Unauthenticated) as refused:
        await desk.issuing.issue(
            Request(csr=authorities.csr_pem()), Call(certificates=issued.chain)
        )

    assert "certificate" == refused.value.reason


async def test_a_certificate_that_has_ended_renews_nothing(desk: Desk) -> None:
    issued = await desk.issue(seconds=700)
    await desk.clock.advance(701)

    with pytest.raises(Unauthenticated):
        await desk.issuing.issue(
            Request(csr=authorities.csr_pem()), Call(certificates=issued.chain)
        )


async def test_the_authority_itself_is_no_caller(desk: Desk) -> None:
    with pytest.raises(Unauthenticated):
        await desk.issuing.issue(
            Request(csr=authorities.csr_pem()), Call(certificates=desk.authority.roots)
        )


async def test_a_foreign_authority_of_our_trust_domain_is_no_authority(
    desk: Desk, tmp_path: Path
) -> None:
    foreign = authorities.started(tmp_path / "foreign", desk.clock)
    made = foreign.sign(authorities.key().public_key(), REVIEWS)

    with pytest.raises(Unauthenticated):
        await desk.issuing.issue(Request(csr=authorities.csr_pem()), Call(certificates=made.chain))


async def test_one_identity_does_not_take_all_there_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, identity=Rate(1, 3))
    for _ in range(3):
        await desk.issue("i-am-node")

    with pytest.raises(RateLimited):
        await desk.issue("i-am-node")

    assert RATINGS == (await desk.issue("i-am-node", wanted=RATINGS)).name
    await desk.clock.advance(1)
    await desk.issue("i-am-node")


async def test_failures_from_one_address_stop_neither_others_nor_renewals(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failures=Rate(1, 5))
    issued = await desk.issue()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await desk.issue("wrong")
    asked = desk.passwords.asked

    with pytest.raises(RateLimited):
        await desk.issue()

    assert asked == desk.passwords.asked
    await desk.issue(peer="10.0.0.2")
    renewal = Call(certificates=issued.chain, peer="10.0.0.1")
    assert await desk.issuing.issue(Request(csr=authorities.csr_pem()), renewal)


async def test_calls_do_not_pile_up_before_a_slow_platform(tmp_path: Path) -> None:
    desk = Desk(tmp_path, waiting=3)
    known = await desk.issue()
    desk.passwords.asked = 0
    desk.passwords.gate.clear()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(desk.issue()) for _ in range(3)]
        while desk.passwords.asked < 3:
            await asyncio.sleep(0)
        with pytest.raises(RateLimited):
            await desk.issue()
        # However many strangers wait: who has a certificate is renewed.
        renewal = Call(certificates=known.chain, peer="10.0.0.1")
        assert await desk.issuing.issue(Request(csr=authorities.csr_pem()), renewal)
        desk.passwords.gate.set()

    assert [REVIEWS] * 3 == [task.result().name for task in waiting]
    assert await desk.issue()


async def test_every_decision_is_written_down_without_what_was_secret(desk: Desk) -> None:
    issued = await desk.issue()
    with pytest.raises(Unauthenticated):
        await desk.issue("hunter2")
    with pytest.raises(NotAuthorized):
        await desk.issue(wanted=RATINGS)
    with pytest.raises(InvalidRequest):
        await desk.issue(csr=b"junk")

    first, *others = desk.records()

    assert ["issued"] + ["denied"] * 3 == [first["event"], *(r["event"] for r in others)]
    assert str(REVIEWS) == first["granted"]
    assert (f"{issued.serial:x}", issued.sha256) == (first["serial"], first["sha256"])
    assert issued.window.not_after == first["not_after"]
    assert issued.signer == first["signer"]
    reasons = [record["reason"].partition(":")[0] for record in others]
    assert ["no-credentials", "identity", "csr-pem"] == reasons
    assert "hunter2" not in desk.path.read_text()
    assert 4 == audit.verify(desk.path, desk.log.head)


def test_a_call_does_not_show_its_token() -> None:
    assert "hunter2" not in repr(Call(token="hunter2", peer="10.0.0.1"))


def test_a_platform_speaks_for_workloads_below_its_prefix_only() -> None:
    ours = Workload(path="/dc1/ns/shop/sa/reviews")

    assert SpiffeId(DOMAIN, ours.path) == caller.confined(ours, DOMAIN, "/dc1")
    for prefix in ("/dc2", "/dc", "/dc1/ns/other", "/dc1/ns/shop/sa/reviews"):
        with pytest.raises(NotAuthorized):
            caller.confined(ours, DOMAIN, prefix)
    with pytest.raises(InvalidRequest):
        caller.confined(Workload(path="/dc1/../dc2/x"), DOMAIN, "/dc1")
