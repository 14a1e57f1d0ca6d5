"""What goes wrong between an authority, agents and real Envoys, and what it costs."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

import authorities
import nodes
from authorities import DOMAIN, Fleet
from mesh import http_get, until
from nodes import CLIENT, REVIEWS, Load, Pair
from pilot_certs import chain, serving
from pilot_certs.agent.held import svid
from pilot_certs.authority import Authority
from pilot_certs.public_key import allowed
from pilot_certs.rotation import NotYet
from pilot_certs.validity import Lifetimes
from pilot_core.clock import SystemClock

pytestmark = pytest.mark.envoy
BY = {"who": "test", "why": "a test"}


class Ahead(SystemClock):
    """A machine whose clock is nearly two minutes ahead of everybody's."""

    def now(self) -> float:
        return super().now() + 110


async def _served(pair: Pair) -> bool:
    return (await http_get(pair.address))[0] == 200


async def test_a_root_in_use_is_not_dropped_and_by_force_costs_new_connections() -> None:
    async with nodes.pair() as (pair, authority), Load(pair.address) as load:
        authority.prepare(**BY)
        for node in (pair.client_node, pair.server_node):
            node.held.trust(authority.roots)
        await load.more(20)
        authority.activate(Fleet(), force=True, **BY)
        old = authority.signers[0].id
        with pytest.raises(NotYet, match="are valid for another"):
            authority.drop(old, Fleet(), **BY)
        assert [] == load.failed

        # The server forgets the root of a certificate that its caller still shows.
        authority.drop(old, Fleet(), force=True, **BY)
        pair.server_node.held.trust(authority.roots)

        async def fails() -> bool:
            return len(load.failed) > 10

        await until(fails, "requests to fail")
        await pair.client_node.renew()
        await pair.server_node.renew()
        await until(lambda: _served(pair), "a request to be served")


async def test_dropping_a_root_by_force_costs_a_pool_nothing() -> None:
    async with nodes.pair(is_pooled=True) as (pair, authority), Load(pair.address) as load:
        authority.prepare(**BY)
        authority.activate(Fleet(), force=True, **BY)
        authority.drop(authority.signers[0].id, Fleet(), force=True, **BY)
        pair.server_node.held.trust(authority.roots)
        await load.more(100)

        assert [] == load.failed


async def test_a_key_that_does_not_belong_and_roots_that_are_none_never_reach_a_proxy() -> None:
    async with nodes.pair() as (pair, authority), Load(pair.address) as load:
        held = pair.server_node.held
        before = held.svids[REVIEWS]
        shown = authority.sign(allowed(authorities.key().public_key()), REVIEWS).chain
        with pytest.raises(chain.Untrusted, match="another key"):
            held.take(svid(REVIEWS, shown, authorities.key()))
        for roots in ((), ("garbage",), (before.chain[0],)):
            with pytest.raises(chain.Untrusted):
                held.trust(roots)
        await load.more(100)

        assert before is held.svids[REVIEWS]
        assert [] == load.failed
        assert 0 == await pair.server.rejected() + await pair.client.rejected()


async def test_an_authority_that_is_away_costs_nothing_before_certificates_end() -> None:
    async with nodes.pair() as (pair, authority), Load(pair.address) as load:
        authority.lifetimes = Lifetimes(leaf=8.0)
        await pair.client_node.renew()
        await pair.server_node.renew()
        await load.more(20)
        for node in (pair.client_node, pair.server_node):
            node.source.is_away = True
        ends = min(
            node.held.svids[name].not_after
            for node, name in ((pair.client_node, CLIENT), (pair.server_node, REVIEWS))
        )
        await until(_some_failed(load), "the first request to fail")
        assert time.time() >= ends

        for node in (pair.client_node, pair.server_node):
            node.source.is_away = False
        await until(lambda: _served(pair), "a request to be served")


def _some_failed(load: Load):  # type: ignore[no-untyped-def]
    async def some() -> bool:
        return bool(load.failed)

    return some


async def test_a_clock_that_is_nearly_two_minutes_ahead_costs_nothing() -> None:
    async with nodes.pair() as (pair, authority), Load(pair.address) as load:
        authority.clock = Ahead()
        for node in (pair.client_node, pair.server_node, pair.client_node):
            await node.renew()
            await load.more(30)

        assert [] == load.failed


async def test_another_authority_of_the_same_trust_domain_opens_no_door(tmp_path: Path) -> None:
    async with nodes.pair() as (pair, authority):
        strange = authorities.started(tmp_path, SystemClock())
        assert (DOMAIN, False) == (strange.trust_domain, strange.roots == authority.roots)
        port = await _inbound(pair)

        assert await _is_let_in(port, authority, authority)
        assert not await _is_let_in(port, authority, strange)


async def _inbound(pair: Pair) -> int:
    """The port on which the server's Envoy listens."""
    for line in (await pair.server.listeners()).splitlines():
        return int(line.rpartition(":")[2])
    raise AssertionError("no listener")


async def _is_let_in(port: int, trusted: Authority, shows: Authority) -> bool:
    """Whether the server answers a client with a certificate of that authority's."""
    context = ssl.create_default_context(cadata="".join(trusted.roots))
    context.check_hostname = False
    key = authorities.key()
    serving.load(context, shows.sign(allowed(key.public_key()), CLIENT).chain, key)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = await reader.read(100)
        writer.close()
    except (ssl.SSLError, ConnectionError):
        return False
    return answer.startswith(b"HTTP/1.1 200")
