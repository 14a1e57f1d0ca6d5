"""What happens to instances, as a BBS tells it, and what is behind the names then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fake_bbs
import pytest
from bbs_lrps import (
    CELL,
    GROUP,
    Message,
    desired,
    http_route,
    mapping,
    process_guid,
    running,
    tcp_route,
)
from pilot_adapter_cloudfoundry.config import SegmentsConfig

from consul_tls import Authority
from foundation import Following, foundation, health, session

H, CART = "cart.example.com", process_guid("cart")
EP = [(f"{CELL}:61011", "i0")]


@pytest.fixture
async def cart(tmp_path: Path) -> AsyncIterator[Following]:
    """One process with one route, and two instances wanted."""
    async with foundation(tmp_path) as found:
        found.bbs.desire(desired(CART, http=[http_route(H)], instances=2))
        yield found


def second(guid: str = "i1", **more: Any) -> Message:
    return running(guid, CART, 1, port=61020, container="10.255.77.5", **more)


async def test_an_event_that_comes_before_an_older_list_holds(cart: Following) -> None:
    cart.bbs.run(running("i0", CART, routable=False))
    cart.bbs.hold.clear()
    stale = cart.bbs.answer(fake_bbs.ACTUALS)
    cart.bbs.answers[fake_bbs.ACTUALS] = lambda: stale
    async with session(cart.adapter, cart.sink):
        await cart.bbs.subscribed()
        cart.bbs.change("i0", routable=True)
        cart.bbs.hold.set()
        await cart.sink.until(lambda: cart.sink.is_synced)
        await cart.sees(H, EP)
        assert [f"http/{H}"] == cart.sink.puts[:1]


async def test_only_what_is_ready_takes_requests_and_the_name_stays(cart: Following) -> None:
    async with cart.session():
        cart.bbs.run(running("i0", CART, routable=False))
        await cart.sink.until(lambda: cart.sink.hostnames == [H])
        for is_ready in (True, False, True):
            cart.bbs.change("i0", routable=is_ready)
            await cart.sees(H, EP if is_ready else [])
            assert [H] == cart.sink.hostnames


async def test_an_instance_without_a_readiness_check_is_ready(cart: Following) -> None:
    cart.bbs.run(running("i0", CART, routable=None))
    async with cart.session():
        assert EP == cart.eps(H)


async def test_of_two_mappings_the_one_that_asks_for_certificates_is_taken(tmp_path: Path) -> None:
    ports = [
        mapping(8080, 61010, 61443, 61012),
        mapping(8080, 61010, 61001, 61011),
        mapping(2222, 61013, 61002, 61014),
    ]
    ca = Authority(tmp_path).file
    for where, expected in (("host", f"{CELL}:61011"), ("container", "10.255.77.4:61001")):
        async with foundation(tmp_path, addresses=where, instance_ca_file=ca) as found:
            lrp = desired(CART, http=[http_route(H)], internal=["cart.apps.internal"])
            found.bbs.desire(lrp)
            found.bbs.run(running("i0", CART, ports=ports))
            async with found.session():
                assert [(expected, "i0")] == found.eps(H)
                inside = found.eps("cart.apps.internal", "http-8080")
                assert [("10.255.77.4:61443", "i0")] == inside


async def test_without_authorities_to_trust_internal_routes_lead_to_the_plain_port(
    tmp_path: Path,
) -> None:
    async with foundation(tmp_path) as found:
        found.bbs.desire(desired(CART, internal=["cart.apps.internal"], ports=(8080, 9090, 2222)))
        found.bbs.run(running("i0", CART))
        async with found.session():
            [record] = found.sink.endpoints("cart.apps.internal")
            [endpoint] = record.endpoints
            assert ("10.255.77.4", (), "") == (endpoint.address, endpoint.ports, endpoint.tls_name)
            numbers = [port.number for port in found.sink.services["cart.apps.internal"].ports]
            assert [8080, 9090] == numbers


async def test_without_a_tls_port_the_plain_one_is_taken_and_without_both_nobody(
    cart: Following,
) -> None:
    cart.bbs.run(running("i0", CART, ports=[mapping(8080, 61010, 0, 0)]))
    cart.bbs.run(second(ports=[mapping(8080, 0, 0, 0)]))
    async with cart.session():
        assert [(f"{CELL}:61010", "")] == cart.eps(H)


async def test_a_port_that_is_used_again_is_never_known_under_two_names(cart: Following) -> None:
    cart.bbs.run(running("i0", CART))
    cart.bbs.run(second())
    seen: list[list[tuple[str, str]]] = []
    async with cart.session():
        successor = second("i1b")
        successor.since = 2
        cart.bbs.run(successor)
        await cart.sees(H, [*EP, (f"{CELL}:61021", "i1b")])
        seen.append(cart.eps(H))
        cart.bbs.remove("i1")
        cart.bbs.change("i1b", since=3)
        await cart.sees(H, [*EP, (f"{CELL}:61021", "i1b")])
        seen.append(cart.eps(H))
    for eps in seen:
        assert len(eps) == len({address for address, _ in eps})


async def test_a_crashed_instance_goes_and_its_successor_comes(cart: Following) -> None:
    cart.bbs.run(second())
    async with cart.session():
        assert [(f"{CELL}:61021", "i1")] == cart.eps(H)
        cart.bbs.remove("i1")
        await cart.sees(H, [])
        cart.bbs.run(second("i1b"))
        await cart.sees(H, [(f"{CELL}:61021", "i1b")])


async def test_a_cell_that_is_emptied_serves_until_its_instances_have_successors(
    cart: Following,
) -> None:
    cart.bbs.run(running("i0", CART))
    async with cart.session():
        before = cart.bbs.actual["i0"].modification_tag.epoch
        cart.bbs.change("i0", epoch="another", presence=1)
        # Nobody else is there: to call it draining would send its requests to nobody.
        await cart.sink.until(lambda: health(cart.sink, H) == {"i0": "degraded"})
        successor = running("i0b", CART, address="10.0.16.11", cell="cell-2")
        successor.since = 2
        cart.bbs.run(successor)
        await cart.sink.until(lambda: health(cart.sink, H) == {"i0": "draining", "i0b": "healthy"})

        late = running("i0", CART, routable=False)
        late.modification_tag.epoch, late.modification_tag.index = before, 9
        event = fake_bbs.MESSAGES["ActualLRPInstanceEvent"](actual_lrp=late)
        cart.bbs.emit("actual_lrp_instance_created", event)
        cart.bbs.remove("i0")
        await cart.sink.until(lambda: health(cart.sink, H) == {"i0b": "healthy"})


async def test_a_cell_that_is_lost_is_told_by_no_tag_and_its_instances_stay(
    cart: Following,
) -> None:
    cart.bbs.run(running("i0", CART))
    async with cart.session():
        cart.bbs.change("i0", is_tagged=False, presence=2)
        await cart.sink.until(lambda: health(cart.sink, H) == {"i0": "degraded"})
        cart.bbs.run(running("i0b", CART, address="10.0.16.11", cell="cell-2"))
        await cart.sink.until(lambda: "i0b" in health(cart.sink, H))
        cart.bbs.remove("i0")
        await cart.sink.until(lambda: health(cart.sink, H) == {"i0b": "healthy"})


async def test_routes_are_mapped_and_unmapped_without_a_word_of_instances(
    cart: Following,
) -> None:
    cart.bbs.run(running("i0", CART))
    async with cart.session():
        cart.bbs.desire(
            desired(CART, http=[http_route(H), http_route("cart2.example.com")], instances=2)
        )
        await cart.sees("cart2.example.com", EP)
        cart.sink.take_changes()
        cart.bbs.desire(desired(CART, http=[http_route(H)], instances=2))
        await cart.sink.until(lambda: cart.sink.hostnames == [H])
        assert {"cart2.example.com"} == {name for _, name in cart.sink.take_changes()}


async def test_what_is_said_twice_or_late_changes_nothing(cart: Following) -> None:
    cart.bbs.run(running("i0", CART))
    async with cart.session():
        older = fake_bbs.MESSAGES["DesiredLRPEvent"](desired_lrp=cart.bbs.desired[CART])
        cart.bbs.desire(desired(CART, http=[http_route("new.example.com")], instances=2))
        await cart.sees("new.example.com", EP)
        cart.sink.take_changes()
        cart.bbs.emit("desired_lrp_created", older)
        instance = fake_bbs.MESSAGES["ActualLRPInstanceEvent"](actual_lrp=cart.bbs.actual["i0"])
        cart.bbs.emit("actual_lrp_instance_created", instance)
        cart.bbs.run(second())
        await cart.sees("new.example.com", [*EP, (f"{CELL}:61021", "i1")])
        assert {("endpoints", "new.example.com")} == cart.sink.take_changes()


async def test_instances_beyond_what_is_desired_leave_before_they_end(cart: Following) -> None:
    cart.bbs.run(running("i0", CART))
    cart.bbs.run(second())
    async with cart.session():
        assert 2 == len(cart.eps(H))
        cart.bbs.desire(desired(CART, http=[http_route(H)], instances=1))
        await cart.sees(H, EP)
        assert "i1" in cart.bbs.actual


async def test_two_processes_of_one_application_share_a_name_while_one_replaces_the_other(
    cart: Following,
) -> None:
    newer = process_guid("cart-new", "v2")
    cart.bbs.run(running("i0", CART))
    async with cart.session():
        cart.bbs.desire(desired(newer, http=[http_route(H)]))
        cart.bbs.run(running("n0", newer, port=61030, container="10.255.77.9"))
        await cart.sees(H, [*EP, (f"{CELL}:61031", "n0")])
        [record] = cart.sink.endpoints(H)
        processes = [dict(e.labels)["cf.process.id"] for e in record.endpoints]
        assert [CART[:36], newer[:36]] == sorted(processes, key=[CART[:36], newer[:36]].index)
        cart.bbs.undesire(CART)
        await cart.sees(H, [(f"{CELL}:61031", "n0")])


async def test_ports_of_the_tcp_routers_lead_to_instances(cart: Following) -> None:
    cart.bbs.desire(desired(CART, tcp=[tcp_route(1030), tcp_route(1031, 9090)]))
    ports = [mapping(8080, 61010, 61001, 61011), mapping(9090, 61015, 0, 0)]
    cart.bbs.run(running("i0", CART, ports=ports))
    async with cart.session():
        hostname = f"tcp-{GROUP}"
        assert [1030, 1031] == [p.number for p in cart.sink.services[hostname].ports]
        assert EP == cart.eps(hostname, "tcp-1030")
        assert [(f"{CELL}:61015", "")] == cart.eps(hostname, "tcp-1031")


async def test_what_is_desired_and_came_too_late_is_asked_for(cart: Following) -> None:
    other = process_guid("other")
    async with cart.session():
        cart.bbs.desired[other] = desired(other, http=[http_route("other.example.com")])
        cart.bbs.run(running("o0", other, port=61040))
        await cart.sees("other.example.com", [(f"{CELL}:61041", "o0")])


async def test_routes_of_other_segments_are_not_read(tmp_path: Path) -> None:
    def routes(name: str) -> list[dict[str, object]]:
        return [http_route(f"{name or 'shared'}.example.com", isolation_segment=name or None)]

    expected = {
        "all": ["blue.example.com", "red.example.com", "shared.example.com"],
        "segments": ["blue.example.com"],
        "shared-and-segments": ["blue.example.com", "shared.example.com"],
    }
    for mode, hostnames in expected.items():
        async with foundation(tmp_path, segments=SegmentsConfig(mode=mode, names=("blue",))) as f:
            for name in ("", "blue", "red"):
                f.bbs.desire(desired(process_guid(name), http=routes(name), segment=name))
            async with f.session():
                assert hostnames == f.sink.hostnames
