"""The authority and the agents go and come back while real proxies carry traffic."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator

import pytest

import secure_stage
from mesh import until
from secure_shop import Shop, open_shop
from secure_stage import Stage

pytestmark = [pytest.mark.envoy, pytest.mark.slow]

LIFETIME = 20.0
SHORT = f"identity: {{settle: 0s, leaf_lifetime: {LIFETIME:.0f}s}}\n"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with secure_stage.stage() as made:
        yield made


async def _serials(shop: Shop) -> dict[str, str]:
    items = await shop.daemon.items("/api/v1/certs")
    return {c["name"]: c["serial"] for c in items if c["kind"] == "workload"}


async def _renewed(shop: Shop, before: dict[str, str]) -> None:
    """Until both have certificates that they did not have before."""

    async def all_new() -> bool:
        now = await _serials(shop)
        return len(now) == 2 and not set(now.values()) & set(before.values())

    await until(all_new, "both certificates renewed")


async def test_an_authority_that_is_away_for_half_of_a_lifetime_costs_no_request(stage):
    shop = await open_shop(stage, identity=SHORT)
    async with shop.load() as load:
        before = await _serials(shop)
        await _renewed(shop, before)
        before = await _serials(shop)
        child = shop.daemon.child
        assert child is not None
        # Both have a fresh certificate: what is left of it is more than the time away.
        await child.kill()
        gone = time.monotonic()

        async def long_enough() -> bool:
            return time.monotonic() - gone > LIFETIME / 2

        await until(long_enough, "half of a lifetime to pass")
        await shop.daemon.start()
        await _renewed(shop, before)
        await load.more(50)

    assert [] == load.failed[:5]


async def test_agents_that_are_killed_at_any_time_cost_no_request(stage):
    shop = await open_shop(stage, identity=SHORT, are_agents_apart=True)

    async def kill_and_return(account: str) -> None:
        await stage.agents[account].kill()
        await load.more(20)
        await stage.agent(shop.daemon, account)
        await load.more(20)

    async with shop.load() as load:
        # Idle.
        for account in ("reviews", "web"):
            await kill_and_return(account)
        # In the middle of renewals, which come all the time.
        for account in ("web", "reviews", "web"):
            before = await _serials(shop)
            await _one_renewed(shop, before)
            await kill_and_return(account)
        # In the middle of a push of roots.
        await asyncio.gather(shop.daemon.step("prepare"), kill_and_return("reviews"))
        await shop.followed()
        await load.more(50)

    assert [] == load.failed[:5]
    for account in ("reviews", "web"):
        cache = stage.mesh.folder / f"{account}.cache"
        modes = [stat.S_IMODE(p.stat().st_mode) for p in (cache, *cache.iterdir())]
        assert [0o700, 0o600] == modes


async def _one_renewed(shop: Shop, before: dict[str, str]) -> None:
    async def one_new() -> bool:
        return bool(set((await _serials(shop)).values()) - set(before.values()))

    await until(one_new, "a renewal")
