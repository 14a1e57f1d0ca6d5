"""TCP routes from the Routing API: what does not run on Diego, and what does only once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from bbs_lrps import CELL, GROUP, desired, process_guid, running, tcp_route
from fake_cloud_controller import SECRET, FakeCloudController
from fake_routing_api import FakeRoutingApi
from pilot_adapter_cloudfoundry.config import RoutingApiConfig, UaaConfig
from pilot_adapter_cloudfoundry.tcp_table import ModificationTag, TcpMapping, TcpTable

from consul_tls import Authority
from foundation import Following, foundation
from pilot_core.document import Duration

CART, HOST = process_guid("cart"), f"tcp-{GROUP}"
DB = (GROUP, 1040, "10.0.2.7", 5432)


class Routed(Following):
    api: FakeRoutingApi
    uaa: FakeCloudController


@pytest.fixture
async def found(tmp_path: Path) -> AsyncIterator[Routed]:
    authority = Authority(tmp_path)
    (tmp_path / "uaa.secret").write_text(SECRET)
    async with AsyncExitStack() as stack:
        uaa = await stack.enter_async_context(FakeCloudController(authority))
        api = await stack.enter_async_context(FakeRoutingApi(authority, uaa.tokens))
        client = UaaConfig(
            client_id="pilot-core",
            client_secret_file=tmp_path / "uaa.secret",
            url=f"{uaa.url}/uaa",
            ca_file=authority.file,
        )
        over = RoutingApiConfig(url=api.url, ca_file=authority.file, resync=Duration(0.2))
        made = await stack.enter_async_context(foundation(tmp_path, uaa=client, routing_api=over))
        made.__class__ = Routed
        assert isinstance(made, Routed)
        made.api, made.uaa = api, uaa
        yield made


async def listed(found: Routed, times: int = 2) -> None:
    begin = found.api.lists
    while found.api.lists < begin + times:
        await found.bbs.turn()


async def test_what_others_register_is_there_and_goes(found: Routed) -> None:
    found.api.upsert(*DB)
    async with found.session():
        assert [("10.0.2.7:5432", "")] == found.eps(HOST, "tcp-1040")
        await found.api.subscribed()
        found.api.upsert(
            GROUP, 1041, "10.0.2.8", 6379, backend_tls_port=6380, instance_id="redis-0"
        )
        await found.sees(HOST, [("10.0.2.8:6380", "redis-0")], "tcp-1041")
        found.api.delete(*DB)
        await found.sees(HOST, [], "tcp-1040")
        found.api.vanish(GROUP, 1041, "10.0.2.8", 6379)
        await found.sink.until(lambda: found.sink.hostnames == [])


async def test_a_heartbeat_puts_nothing(found: Routed) -> None:
    found.api.upsert(*DB)
    async with found.session():
        await found.api.subscribed()
        found.sink.puts.clear()
        for _ in range(5):
            found.api.upsert(*DB)
        await listed(found)
        assert [] == found.sink.puts


async def test_of_what_runs_on_diego_the_bbs_tells(found: Routed) -> None:
    found.bbs.desire(desired(CART, tcp=[tcp_route(1030)]))
    found.bbs.run(running("i0", CART))
    # The Routing API keeps the instance that registered the address first.
    found.api.upsert(GROUP, 1030, CELL, 61010, backend_tls_port=61011, instance_id="old-guid")
    found.api.upsert(*DB)
    async with found.session():
        assert [(f"{CELL}:61011", "i0")] == found.eps(HOST, "tcp-1030")
        assert [("10.0.2.7:5432", "")] == found.eps(HOST, "tcp-1040")
        assert [HOST] == found.sink.hostnames


async def test_a_stream_that_ends_is_opened_again_and_what_was_told_stays(found: Routed) -> None:
    found.api.upsert(*DB)
    async with found.session():
        await found.api.subscribed()
        found.api.end_streams()
        await found.sink.until(lambda: found.sink.problems)
        assert [("10.0.2.7:5432", "")] == found.eps(HOST, "tcp-1040")
        await found.sink.until(lambda: not found.sink.problems)
        assert [("10.0.2.7:5432", "")] == found.eps(HOST, "tcp-1040")


async def test_a_token_that_is_refused_is_renewed(found: Routed) -> None:
    found.api.upsert(*DB)
    async with found.session():
        await found.api.subscribed()
        found.uaa.tokens.clear()
        await found.sink.until(lambda: found.sink.problems)
        assert "refuses our token (401)" in str(found.sink.problems)
        await found.sink.until(lambda: not found.sink.problems)
        assert 2 == found.uaa.given


def mapping(index: int, backend: str = "10.0.0.1", *, guid: str = "g1", tls: int = 0) -> TcpMapping:
    return TcpMapping(
        router_group_guid="group",
        port=1030,
        backend_ip=backend,
        backend_port=80,
        backend_tls_port=tls,
        instance_id=f"i{tls}" if tls else "",
        modification_tag=ModificationTag(guid, index),
    )


def test_of_two_versions_the_later_holds_and_one_made_anew_in_any_case() -> None:
    table = TcpTable()
    table.upsert(mapping(5, tls=443))
    table.upsert(mapping(4))
    assert "i443" == table.pools("group")["1030"][0].id
    table.upsert(mapping(0, guid="g2"))
    assert "" == table.pools("group")["1030"][0].id
    table.delete(mapping(9, guid="g1"))
    table.delete(mapping(0, guid="g2"))
    assert {} == table.pools("group")


def test_a_backend_that_no_proxy_could_use_is_told() -> None:
    table = TcpTable()
    table.upsert(mapping(0, "db.example.com"))
    assert {} == table.pools("group")
    [reason] = table.reasons("group")
    assert "backend db.example.com:80 of port 1030 has no address" in reason


def test_a_list_ends_what_is_not_in_it_unless_it_was_heard_of_since() -> None:
    table = TcpTable()
    table.upsert(mapping(0))
    table.ask()
    table.upsert(mapping(0, "10.0.0.2"))
    table.listed([])
    assert ["10.0.0.2"] == [route.host for route in table.pools("group")["1030"]]
    table.changed.clear()
    table.ask()
    table.listed([mapping(7, "10.0.0.2")])
    assert set() == table.changed
