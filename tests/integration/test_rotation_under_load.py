"""Roots change while real proxies carry traffic and the daemon is killed: nothing fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

import secure_stage
from secure_shop import Shop, open_shop
from secure_stage import Load, Stage

pytestmark = [pytest.mark.envoy, pytest.mark.slow]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with secure_stage.stage() as made:
        yield made


async def _rotate(shop: Shop, load: Load) -> None:
    """One whole rotation; the daemon is killed behind every step."""
    daemon = shop.daemon
    [old] = (await daemon.ask("/api/v1/ca"))["signers"]
    new = await daemon.step("prepare")
    await daemon.restart()
    await shop.followed()
    await load.more(20)

    assert new["id"] == (await daemon.step("activate"))["id"]
    await daemon.restart()
    await shop.followed()
    await load.more(20)

    await daemon.step("taint", old["id"])
    await daemon.restart()
    await shop.certified_by(new["id"])
    await load.more(50)

    await daemon.step("drop", old["id"], force=True)
    await daemon.restart()
    await shop.followed()
    await load.more(50)
    assert [new["id"]] == [s["id"] for s in (await daemon.ask("/api/v1/ca"))["signers"]]


async def test_three_rotations_with_the_daemon_killed_behind_each_step_lose_nothing(stage):
    shop = await open_shop(stage)
    started = time.monotonic()
    async with shop.load() as load:
        for _ in range(3):
            await _rotate(shop, load)
    took = time.monotonic() - started
    print(f"{load.total} requests, {load.total / took:.0f}/s, {load.served}")

    assert [] == load.failed[:5]
    assert [] == await shop.daemon.nacks()
    steps = [step["step"] for step in (await shop.daemon.ask("/api/v1/ca"))["steps"]]
    assert ["init", *["prepare", "activate", "taint", "drop"] * 3] == steps
