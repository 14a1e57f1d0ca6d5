"""Tokens for workloads from a real daemon, through a real agent, to the `spiffe` client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from spiffe import SpiffeId as TheirId
from spiffe import WorkloadApiClient
from spiffe.workloadapi.errors import WorkloadApiError

from inside import Inside, inside
from joining import DOMAIN, RATINGS, REVIEWS, Site, secure_mesh
from mesh import until
from pilot_certs import audit, jwt_svids
from pilot_certs.agent.node import Agent


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(secure_mesh(tmp_path)) as made:
        yield made


@pytest.fixture
def site(daemon: Inside, tmp_path: Path) -> Site:
    return Site(daemon, tmp_path)


@pytest.fixture
async def agent(site: Site) -> AsyncIterator[Agent]:
    async with site.agent(proof=site.token(REVIEWS, RATINGS)) as made:

        async def has_keys() -> bool:
            return bool(made.held.jwt_keys)

        await until(has_keys, "the keys that verify tokens")
        yield made


def _client(site: Site) -> WorkloadApiClient:
    return WorkloadApiClient(f"unix:{site.folder / 'agent.sock'}")


async def test_the_spiffe_client_gets_a_token_that_it_can_verify(site: Site, agent: Agent) -> None:
    def ask() -> tuple[str, str, set[str]]:
        with _client(site) as client:
            svid = client.fetch_jwt_svid(audience={"bank"}, subject=TheirId(str(REVIEWS)))
            bundles = client.fetch_jwt_bundles()
            validated = client.validate_jwt_svid(token=svid.token, audience="bank")
            [bundle] = bundles.bundles
            return svid.token, str(validated.spiffe_id), set(bundle.jwt_authorities)

    token, name, kids = await asyncio.to_thread(ask)
    assert str(REVIEWS) == name
    keys = site.identity.authority.jwt_keys
    assert {key.kid for key in keys} == kids
    assert REVIEWS == jwt_svids.validate(token, "bank", keys, DOMAIN, time.time())[0]
    records = (site.folder / "state" / "audit.jsonl").read_text().splitlines()
    minted = [json.loads(line) for line in records if '"minted"' in line]
    assert [(str(REVIEWS), "bank")] == [(r["granted"], r["requested"]) for r in minted]
    assert token not in "".join(records)
    assert len(records) == audit.verify(site.folder / "state" / "audit.jsonl")


async def test_somebody_else_s_token_is_not_to_be_had(site: Site, agent: Agent) -> None:
    def ask() -> None:
        with _client(site) as client:
            client.fetch_jwt_svid(audience={"bank"}, subject=TheirId(f"spiffe://{DOMAIN}/other"))

    with pytest.raises(WorkloadApiError, match="not authorized"):
        await asyncio.to_thread(ask)


async def test_a_token_is_kept_for_half_of_its_life_and_outlasts_the_server_for_the_rest(
    site: Site, agent: Agent
) -> None:
    first = await agent.mint(REVIEWS, ("bank",))

    assert first == await agent.mint(REVIEWS, ("bank",))
    assert first != await agent.mint(REVIEWS, ("shop",))
    assert first != await agent.mint(RATINGS, ("bank",))
    assert 3 == site.identity.issuing.counts["minted"]
