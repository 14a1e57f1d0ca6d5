"""Roots change while real proxies carry traffic and the daemon is killed: nothing fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

import secure_stage
from secure_shop import Shop, open_shop
from secure_stage import Load, SecureDaemon, Stage

pytestmark = [pytest.mark.envoy, pytest.mark.slow]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with secure_stage.stage() as made:
        yield made


STEPS = ("prepare", "activate", "taint", "drop")


async def _rotate(shop: Shop, load: Load, killed: tuple[str, ...]) -> None:
    """One whole rotation; the daemon is killed behind these steps."""
    daemon = shop.daemon
    [old] = (await daemon.ask("/api/v1/ca"))["signers"]
    new = await daemon.step("prepare")
    await _behind("prepare", daemon, killed)
    await shop.followed()
    await load.more(20)

    assert new["id"] == (await daemon.step("activate"))["id"]
    await _behind("activate", daemon, killed)
    await shop.followed()
    await load.more(20)

    await daemon.step("taint", old["id"])
    await _behind("taint", daemon, killed)
    await shop.certified_by(new["id"])
    await load.more(50)

    await daemon.step("drop", old["id"], force=True)
    await _behind("drop", daemon, killed)
    await shop.followed()
    await load.more(50)
    assert [new["id"]] == [s["id"] for s in (await daemon.ask("/api/v1/ca"))["signers"]]


async def _behind(step: str, daemon: SecureDaemon, killed: tuple[str, ...]) -> None:
    if step in killed:
        await daemon.restart()


async def test_three_rotations_with_the_daemon_killed_behind_each_step_lose_nothing(stage):
    shop = await open_shop(stage)
    started = time.monotonic()
    async with shop.load() as load:
        for killed in (STEPS, ("prepare", "taint"), ("activate", "drop")):
            await _rotate(shop, load, killed)
    took = time.monotonic() - started
    print(f"{load.total} requests, {load.total / took:.0f}/s, {load.served}")

    assert [] == load.failed[:5]
    assert [] == await shop.daemon.nacks()
    steps = [step["step"] for step in (await shop.daemon.ask("/api/v1/ca"))["steps"]]
    assert ["init", *["prepare", "activate", "taint", "drop"] * 3] == steps
