"""Who an instance is: its certificate, its key, and Diego's word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bbs_lrps import CELL, desired, http_route, process_guid, running
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig

from foundation import Following, foundation
from instance_identity import UNITS, Held, IdentityAuthority
from pilot_certs.caller import Call
from pilot_certs.platforms import Platform
from pilot_certs.possession import Possession
from pilot_certs.refusal import NotReady, Unauthenticated
from pilot_core.adapter import Attestor, Denied, Unavailable
from pilot_core.clock import SystemClock
from pilot_core.model import Evidence
from pilot_core.testing import FakeClock
from pilot_core.testing.session import host

CART = process_guid("cart")
PATH = "/cf/org/org-1/space/space-2/app/app-1/process/web"


@pytest.fixture(scope="module")
def authority() -> IdentityAuthority:
    return IdentityAuthority()


@pytest.fixture(scope="module")
def held(authority: IdentityAuthority) -> Held:
    return authority.issue("i0")


@pytest.fixture
async def cart(tmp_path: Path) -> AsyncIterator[Following]:
    async with foundation(tmp_path) as found:
        tags = {"process_type": "web", "app_name": "shop"}
        found.bbs.desire(desired(CART, http=[http_route("cart.example.com")], tags=tags))
        found.bbs.run(running("i0", CART))
        async with found.session():
            yield found


async def test_an_instance_that_runs_is_its_process(cart: Following, held: Held) -> None:
    assert isinstance(cart.adapter, Attestor)
    workload = await cart.adapter.attest(held.evidence)
    assert PATH == workload.path
    assert {CELL, "10.255.77.4"} == set(workload.addresses)
    selectors = dict(workload.selectors)
    assert ("shop", "i0", "0") == (
        selectors["cf.app.name"],
        selectors["cf.instance.id"],
        selectors["cf.instance.index"],
    )


async def refused(cart: Following, proof: Evidence) -> str:
    with pytest.raises(Denied) as caught:
        await cart.adapter.attest(proof)
    return str(caught.value)


async def test_a_task_of_the_same_application_is_nobody(
    cart: Following, authority: IdentityAuthority
) -> None:
    task = authority.issue("task-guid-1")
    assert "is no instance that runs: a task, staging, or gone" in await refused(
        cart, task.evidence
    )


async def test_an_instance_of_another_application_is_nobody(
    cart: Following, authority: IdentityAuthority
) -> None:
    other = authority.issue("i0", [*UNITS[:2], "app:app-2"])
    assert "runs another application" in await refused(cart, other.evidence)


@pytest.mark.parametrize(
    ("units", "words"),
    [
        (UNITS[:2], "names 0 of app"),
        (UNITS[1:], "names 0 of organization"),
        ((*UNITS, "app:app-2"), "names 2 of app"),
        ((*UNITS[:2], "app:"), "names 1 of app"),
        ((), "names 0 of organization"),
    ],
)
async def test_every_part_of_the_subject_has_to_be_there_once(
    cart: Following, authority: IdentityAuthority, units: tuple[str, ...], words: str
) -> None:
    assert words in await refused(cart, authority.issue("i0", units).evidence)


async def test_a_certificate_for_servers_alone_is_refused(
    cart: Following, authority: IdentityAuthority
) -> None:
    proof = authority.issue("i0", is_client=False).evidence
    assert "is not meant for clients" in await refused(cart, proof)


async def test_a_name_that_is_not_among_the_alternative_names_is_refused(
    cart: Following, authority: IdentityAuthority
) -> None:
    proof = authority.issue("i0", dns="i1").evidence
    assert "is none of its DNS names" in await refused(cart, proof)


@pytest.mark.parametrize("payload", [b"", b"{}", b"0" * 40000])
async def test_what_is_no_certificate_at_all_is_refused(cart: Following, payload: bytes) -> None:
    assert await refused(cart, Evidence(kind="x509", payload=payload))
    assert "is none of an instance" in await refused(cart, Evidence(kind="token", payload=b"x"))


class Door:
    """The certificate service's door for instances: authorities, keys, and this adapter behind."""

    def __init__(self, cart: Following, *authorities: IdentityAuthority) -> None:
        shown = Possession(
            "cf",
            [authority.pem for authority in authorities],
            SystemClock(),
            foreign_to=lambda: (),
            check_address=False,
        )
        self._platform = Platform(
            "cf", lambda: cart.adapter, "mesh.example", "/cf", possession=shown
        )

    async def lets_in(self, held: Held, *, signer: Held | None = None) -> str:
        """The identity that the caller gets."""
        call = Call(peer="127.0.0.1")
        caller = await self._platform.attest(held.pem, call, (signer or held).sign)
        [identity] = caller.identities
        return str(identity)


async def test_who_proves_the_key_of_an_instance_gets_the_identity_of_its_process(
    cart: Following, authority: IdentityAuthority, held: Held
) -> None:
    assert f"spiffe://mesh.example{PATH}" == await Door(cart, authority).lets_in(held)


async def test_certificates_that_have_ended_begin_later_or_are_a_strangers_are_refused(
    cart: Following, authority: IdentityAuthority
) -> None:
    door = Door(cart, authority)
    wrong = [
        authority.issue("i0", hours=0.5),
        authority.issue("i0", age=-1),
        IdentityAuthority().issue("i0"),
    ]
    for held in wrong:
        with pytest.raises(Unauthenticated, match="no authority of cf vouches for it"):
            await door.lets_in(held)


async def test_while_one_authority_replaces_another_both_count(
    cart: Following, authority: IdentityAuthority, held: Held
) -> None:
    newer = IdentityAuthority("instanceIdentityCA-2")
    door = Door(cart, authority, newer)
    for one in (held, newer.issue("i0")):
        assert f"spiffe://mesh.example{PATH}" == await door.lets_in(one)


async def test_without_the_key_a_certificate_proves_nothing(
    cart: Following, authority: IdentityAuthority, held: Held
) -> None:
    # So it is too for the instance itself, while one of its two files has been replaced: it tries
    # again with both.
    newer, door = authority.issue("i0"), Door(cart, authority)
    with pytest.raises(Unauthenticated, match="not signed by that key"):
        await door.lets_in(held, signer=newer)
    assert f"spiffe://mesh.example{PATH}" == await door.lets_in(newer)


async def test_a_task_is_refused_at_the_door(cart: Following, authority: IdentityAuthority) -> None:
    with pytest.raises(Unauthenticated, match="is no instance that runs"):
        await Door(cart, authority).lets_in(authority.issue("task-guid-1"))


async def test_an_instance_that_has_gone_is_nobody(cart: Following, held: Held) -> None:
    cart.bbs.remove("i0")
    await cart.sees("cart.example.com", [])
    assert "is no instance that runs" in await refused(cart, held.evidence)


class MovedClock(FakeClock):
    """Real time of day, and a monotonic clock that tests move."""

    def now(self) -> float:
        return SystemClock().now()


async def test_the_word_of_a_bbs_that_is_away_counts_for_a_while(
    tmp_path: Path, authority: IdentityAuthority, held: Held
) -> None:
    clock = MovedClock()
    async with foundation(tmp_path, clock=clock) as found:
        found.bbs.desire(desired(CART))
        found.bbs.run(running("i0", CART))
        with pytest.raises(Unavailable, match="has not been read"):
            await found.adapter.attest(held.evidence)
        async with found.session():
            pass
        await clock.advance(299)
        assert PATH == (await found.adapter.attest(held.evidence)).path
        with pytest.raises(Unavailable, match="is not known"):
            await found.adapter.attest(authority.issue("i9").evidence)
        await clock.advance(2)
        with pytest.raises(NotReady, match="has not been read for 301 s"):
            await Door(found, authority).lets_in(held)
        with pytest.raises(Unavailable, match="has not been read for 301 s"):
            await found.adapter.attest(held.evidence)


async def test_where_nothing_vouches_for_instances_nobody_is_proved(held: Held) -> None:
    nats = NatsConfig(servers=("nats://127.0.0.1:4222",))
    adapter = CloudFoundry(CloudFoundryConfig(nats=nats), host())
    with pytest.raises(Denied, match="known by `bbs`"):
        await adapter.attest(held.evidence)
