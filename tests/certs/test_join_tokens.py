"""Join tokens: once, soon, and for one identity."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import authorities
from authorities import DOMAIN
from pilot_certs.caller import Call, Caller
from pilot_certs.join import JoinTokens
from pilot_certs.refusal import InvalidRequest, Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(tmp_path: Path, clock: FakeClock) -> JoinTokens:
    return JoinTokens(authorities.started(tmp_path, clock).journal, DOMAIN, clock)


async def _refusal(tokens: JoinTokens, token: str, peer: str = "") -> str:
    with pytest.raises(Unauthenticated) as refused:
        await tokens.authenticate(Call(token=token, peer=peer))
    assert token not in str(refused.value)
    return refused.value.reason


async def test_a_token_is_worth_its_identity_once(tokens: JoinTokens) -> None:
    token = tokens.create("/node/n1")

    caller = await tokens.authenticate(Call(token=token))

    assert caller is not None
    assert (SpiffeId(DOMAIN, "/node/n1"),) == caller.identities
    assert "join-token" == await _refusal(tokens, token)


async def test_of_two_hundred_who_present_one_token_one_gets_through(tokens: JoinTokens) -> None:
    token = tokens.create("/node/n1")

    async def attempt() -> Caller | None:
        try:
            return await tokens.authenticate(Call(token=token))
        except Unauthenticated:
            return None

    found = await asyncio.gather(*(attempt() for _ in range(200)))

    assert 1 == len([caller for caller in found if caller])


async def test_a_token_counts_for_ten_minutes(tokens: JoinTokens, clock: FakeClock) -> None:
    late, later = tokens.create("/node/n1"), tokens.create("/node/n2", seconds=3600)
    await clock.advance(600)

    assert "join-token-expired" == await _refusal(tokens, late)
    assert await tokens.authenticate(Call(token=later))


async def test_a_token_can_be_bound_to_an_address(tokens: JoinTokens) -> None:
    token, other = (tokens.create("/node/n1", peer="10.0.0.1") for _ in range(2))

    assert await tokens.authenticate(Call(token=token, peer="10.0.0.1"))
    assert "join-token-peer" == await _refusal(tokens, other, "10.0.0.2")


async def test_a_token_nobody_made_is_worth_nothing(tokens: JoinTokens) -> None:
    token = tokens.create("/node/n1")

    assert "join-token" == await _refusal(tokens, token + "x")
    assert "join-token" == await _refusal(tokens, "pilot-join-")
    assert None is await tokens.authenticate(Call(token="something else"))
    assert None is await tokens.authenticate(Call())


async def test_a_token_outlives_a_restart_and_is_not_in_the_file(
    tmp_path: Path, clock: FakeClock
) -> None:
    token = JoinTokens(authorities.started(tmp_path, clock).journal, DOMAIN, clock).create("/n")

    files = b"".join(path.read_bytes() for path in (tmp_path / "ca").glob("ca.sqlite*"))
    again = JoinTokens(authorities.started(tmp_path, clock).journal, DOMAIN, clock)

    assert token.encode() not in files
    assert token.removeprefix("pilot-join-").encode() not in files
    assert await again.authenticate(Call(token=token))


@pytest.mark.parametrize("path", ["", "node", "/", "/a/", "/a/../b", "/a b"])
def test_a_token_for_no_legal_identity_is_not_made(tokens: JoinTokens, path: str) -> None:
    with pytest.raises(InvalidRequest):
        tokens.create(path)


@pytest.mark.parametrize("seconds", [0, -1, 86401, float("nan"), float("inf")])
def test_a_token_has_a_sensible_lifetime(tokens: JoinTokens, seconds: float) -> None:
    with pytest.raises(InvalidRequest):
        tokens.create("/node/n1", seconds=seconds)


def test_every_token_is_another_one_and_long(tokens: JoinTokens) -> None:
    made = {tokens.create("/node/n1") for _ in range(50)}

    assert 50 == len(made)
    assert min(map(len, made)) >= len("pilot-join-") + 43
