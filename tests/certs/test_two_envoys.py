"""Mutual TLS between two real Envoys, by what agents hand out: nothing fails while it changes."""

from __future__ import annotations

import asyncio

import pytest

import nodes
from mesh import http_get, until
from nodes import Load, Pair, shows
from pilot_certs import rotation
from pilot_certs.authority import Authority

pytestmark = pytest.mark.envoy
BY = {"who": "test", "why": "a test"}


class Agents:
    """What both agents have been told by their Envoys: `rotation.Fleet`."""

    def __init__(self, pair: Pair) -> None:
        self.nodes = (pair.client_node, pair.server_node)

    def without_roots(self, roots: frozenset[str]) -> list[str]:
        return [
            name
            for node in self.nodes
            for name in (
                node.server.lacking(node.held.roots) if roots <= set(node.held.roots) else ["agent"]
            )
        ]

    def with_leaf_of(self, signer_id: str) -> list[str]:
        return []


async def _hand_out(pair: Pair, authority: Authority) -> None:
    """Give the roots to both agents one after the other, as networks do."""
    for node in (pair.client_node, pair.server_node):
        node.held.trust(authority.roots)
        await asyncio.gather(*(_seen(pair) for _ in range(5)))


async def _seen(pair: Pair) -> None:
    assert await _seen_well(pair)


async def _seen_well(pair: Pair) -> bool:
    return (await http_get(pair.address))[0] == 200


async def _rotate(pair: Pair, authority: Authority, load: Load) -> None:
    fleet = Agents(pair)
    new = authority.prepare(**BY)
    with pytest.raises(rotation.NotYet):
        rotation.check_activation(authority.signers, fleet, 2e10, authority.thresholds)
    await _hand_out(pair, authority)

    async def acknowledged() -> bool:
        return not fleet.without_roots(frozenset(new.roots))

    await until(acknowledged, "both Envoys to have the new root")
    rotation.check_activation(authority.signers, fleet, 2e10, authority.thresholds)
    authority.activate(fleet, force=True, **BY)
    for node in (pair.client_node, pair.server_node):
        await node.renew()
        await load.more(30)
        await until(lambda n=node: shows(pair.envoy_of(n), n), "the new certificate in use")
    authority.drop(authority.signers[0].id, fleet, force=True, **BY)
    await _hand_out(pair, authority)
    await load.more(30)


@pytest.mark.parametrize("is_pooled", [False, True], ids=["new connections", "a pool"])
async def test_leaves_and_roots_change_under_load_without_a_failed_request(
    is_pooled: bool,
) -> None:
    async with nodes.pair(is_pooled=is_pooled) as (pair, authority), Load(pair.address) as load:
        for _ in range(5):
            await pair.client_node.renew()
            await pair.server_node.renew()
            await load.more(10)
        for _ in range(3):
            await _rotate(pair, authority, load)
        await load.more(50)

        assert [] == load.failed
        assert 0 == await pair.client.rejected() + await pair.server.rejected()
        for envoy, node in ((pair.client, pair.client_node), (pair.server, pair.server_node)):
            await until(lambda e=envoy, n=node: shows(e, n), "the last certificate in use")


async def test_the_short_cut_fails_requests_so_the_gate_is_worth_having() -> None:
    async with nodes.pair() as (pair, authority), Load(pair.address) as load:
        authority.prepare(**BY)
        authority.activate(Agents(pair), force=True, **BY)
        # Bundle and leaf together, one node after the other: what the gate does not allow.
        await pair.server_node.renew()

        async def fails() -> bool:
            return len(load.failed) > 10

        await until(fails, "requests to fail")
        # The other node follows, and all is well again.
        await pair.client_node.renew()
        await until(lambda: _seen_well(pair), "a request to be served")


async def test_an_agent_that_is_away_costs_nothing_and_is_found_again() -> None:
    async with nodes.pair() as (pair, _), Load(pair.address) as load:
        node = pair.server_node
        await node.server.stop()
        await load.more(100)
        before = node.held.svids[nodes.REVIEWS]
        await node.server.start()
        await node.renew()
        await until(lambda: shows(pair.server, node), "the new certificate in use")

        assert before is not node.held.svids[nodes.REVIEWS]
        assert [] == load.failed


async def test_an_authority_that_is_away_costs_nothing() -> None:
    async with nodes.pair() as (pair, _), Load(pair.address) as load:
        source = pair.client_node.source
        source.is_away = True
        pair.client_node.renewals[0].ask()

        async def tried() -> bool:
            return source.asked >= 2

        await until(tried, "an attempt to renew")
        await load.more(50)
        source.is_away = False
        await until(lambda: shows(pair.client, pair.client_node), "the certificate in use")

        assert [] == load.failed
