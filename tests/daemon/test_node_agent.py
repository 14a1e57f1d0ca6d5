"""The node agent against a real daemon: joins, renews, follows, and lives through its absence."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

import authorities
from inside import Inside, inside
from joining import DOMAIN, RATINGS, REVIEWS, Site, secure_mesh
from mesh import until
from pilot_certs import chain
from pilot_certs.agent.cache import Cache
from pilot_certs.agent.held import Held
from pilot_certs.agent.node import Agent
from pilot_certs.agent.remote import Answered, Proof, Remote
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied, Unavailable
from pilot_core.testing import FakeClock
from tls_server import showing

BY = {"who": "test", "why": "a test"}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(secure_mesh(tmp_path)) as made:
        yield made


@pytest.fixture
def site(daemon: Inside, tmp_path: Path) -> Site:
    return Site(daemon, tmp_path)


async def test_a_token_is_worth_a_certificate_for_each_of_its_identities(site: Site) -> None:
    async with site.agent(proof=site.token(REVIEWS, RATINGS)) as agent:
        assert {REVIEWS, RATINGS} == agent.held.svids.keys()
        for name, svid in agent.held.svids.items():
            assert name == chain.check(svid.chain, agent.held.roots, time.time())
        shown = await site.daemon.items("/api/v1/certs")

    assert {str(REVIEWS): "join-token", str(RATINGS): "join-token"} == {
        c["name"]: c["attestor"] for c in shown if c["kind"] == "workload"
    }


async def test_a_token_is_good_once_and_its_second_user_is_told_no_more_than_that(
    site: Site,
) -> None:
    token = site.token(REVIEWS)
    async with site.agent(proof=token):
        pass
    with pytest.raises(Denied, match="request authenticate failure"):
        async with site.agent(proof=token):
            pass


async def test_a_token_used_by_twenty_at_once_is_worth_one_certificate(
    site: Site,
) -> None:
    token = site.token(REVIEWS)
    roots = site.identity.authority.roots
    # Each of them asks on a connection of its own; the limits are not what is tried here.
    attempts = [Remote(site.address, DOMAIN).join(token, roots) for _ in range(20)]
    done = await asyncio.gather(*attempts, return_exceptions=True)

    assert 1 == sum(not isinstance(result, BaseException) for result in done)
    assert {Denied, Unavailable} >= {type(r) for r in done if isinstance(r, BaseException)}


async def test_what_the_proof_is_not_worth_is_said_by_name(site: Site) -> None:
    with pytest.raises(Denied, match=str(RATINGS)):
        async with site.agent(proof=site.token(REVIEWS), users=site.mine(REVIEWS, RATINGS)):
            pass


async def test_without_a_proof_and_a_cache_an_agent_says_what_it_needs(site: Site) -> None:
    with pytest.raises(Denied, match="a join token is needed"):
        async with site.agent():
            pass


async def test_a_rotation_goes_through_an_agent_without_anybody_s_help(site: Site) -> None:
    authority, holders = site.identity.authority, site.identity.holders
    async with site.agent(proof=site.token(REVIEWS)) as agent:
        await until(_some(lambda: bool(holders.following)), "the agent to follow")
        old = authority.signers[0]
        new = authority.prepare(**BY)
        missing = holders.without_roots(frozenset(new.roots))
        assert (f"{REVIEWS} at 127.0.0.1",) == missing
        await until(_some(lambda: not holders.without_roots(frozenset(new.roots))), "the new root")
        assert set(authority.roots) == set(agent.held.roots)

        authority.activate(holders, force=True, **BY)
        assert (f"{REVIEWS} at 127.0.0.1",) == holders.with_leaf_of(old.id)
        authority.taint(old.id, **BY)
        await until(_some(lambda: not holders.with_leaf_of(old.id)), "the new certificate")
        assert new.id == agent.held.svids[REVIEWS].signer
        authority.drop(old.id, holders, force=True, **BY)
        await until(_some(lambda: agent.held.roots == authority.roots), "the old root gone")


def _some(look):
    async def seen() -> bool:
        return bool(look())

    return seen


async def test_an_agent_that_goes_is_followed_no_more(site: Site) -> None:
    holders = site.identity.holders
    async with site.agent(proof=site.token(REVIEWS)):
        await until(_some(lambda: len(holders.following) == 1), "the agent to follow")
    await until(_some(lambda: not holders.following), "the agent gone")


async def test_a_certificate_is_renewed_at_half_of_its_life(site: Site) -> None:
    clock = FakeClock(time.time())
    async with site.agent(clock, proof=site.token(REVIEWS)) as agent:
        first = agent.held.svids[REVIEWS]
        await clock.advance(10 * 3600)
        assert first is agent.held.svids[REVIEWS]
        await clock.advance(4 * 3600)
        await until(_some(lambda: agent.held.svids[REVIEWS] is not first), "a new certificate")


async def test_with_a_cache_an_agent_serves_at_once_though_everybody_is_away(
    site: Site, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    async with site.agent(proof=site.token(REVIEWS), cache=cache) as agent:
        before = agent.held.svids[REVIEWS]
    assert 0o600 == stat.S_IMODE((cache / "agent.json").stat().st_mode)
    assert 0o700 == stat.S_IMODE(cache.stat().st_mode)

    site.address = "127.0.0.1:1"
    async with site.agent(cache=cache) as again:
        assert before.chain == again.held.svids[REVIEWS].chain
        assert site.identity.authority.roots == again.held.roots


async def test_a_cache_that_is_open_to_others_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(0o755)

    with pytest.raises(Exception, match="chmod 700"):
        async with site.agent(cache=tmp_path / "cache"):
            pass


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9, 0.999])
async def test_a_damaged_cache_is_as_good_as_none(site: Site, tmp_path: Path, cut: float) -> None:
    cache = tmp_path / "cache"
    async with site.agent(proof=site.token(REVIEWS), cache=cache):
        pass
    path = cache / "agent.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])

    with pytest.raises(Denied, match="a join token is needed"):
        async with site.agent(cache=cache):
            pass
    async with site.agent(proof=site.token(REVIEWS), cache=cache) as agent:
        assert REVIEWS in agent.held.svids


async def test_what_has_ended_in_a_cache_is_left_out(site: Site, tmp_path: Path) -> None:
    async with site.agent(proof=site.token(REVIEWS), cache=tmp_path / "cache"):
        pass
    held = Held(DOMAIN)
    Cache(tmp_path / "cache").load(held, time.time() + 25 * 3600)

    assert {} == held.svids


async def test_nothing_is_sent_to_a_server_that_is_not_the_control_plane(
    site: Site, tmp_path: Path
) -> None:
    authority = site.identity.authority
    for name, words in (
        (SpiffeId(DOMAIN, "/ns/shop/sa/evil"), "the server is spiffe://cluster.local/ns/shop"),
        (SpiffeId(DOMAIN, "/pilot-core/control-plane/x"), "and not spiffe://cluster.local/pilot"),
    ):
        async with showing(authority, name) as (address, heard):
            remote = Remote(address, DOMAIN)
            with pytest.raises(Unavailable, match=words):
                await remote.join(site.token(REVIEWS), authority.roots)
        assert b"pilot-join" not in b"".join(heard)

    strange = authorities.unopened(tmp_path / "strange", FakeClock(time.time()))
    strange.start(DOMAIN, who="test")
    async with showing(strange, SpiffeId(DOMAIN, "/pilot-core/control-plane")) as (address, heard):
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await Remote(address, DOMAIN).join(site.token(REVIEWS), authority.roots)
    assert b"pilot-join" not in b"".join(heard)


class LateServer(Remote):
    """A control plane that is not there at first."""

    def __init__(self, address: str) -> None:
        super().__init__(address, DOMAIN)
        self.is_there = False

    async def join(self, proof: Proof, roots: Sequence[str]) -> Answered:
        if not self.is_there:
            raise Unavailable("not there yet")
        return await super().join(proof, roots)


async def test_an_agent_waits_for_a_control_plane_that_starts_later(
    site: Site, tmp_path: Path
) -> None:
    clock = FakeClock(time.time())
    late = LateServer(site.address)
    agent = Agent(site.node(proof=site.token(REVIEWS)), late, clock, on_ready=lambda: None)
    joining = asyncio.create_task(agent.join())
    await until(_some(lambda: clock.sleepers == 1), "the first attempt to fail")
    late.is_there = True
    await clock.advance(60)
    await joining

    assert REVIEWS in agent.held.svids
