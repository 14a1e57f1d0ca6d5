"""The recorded stream of a real BBS, through the adapter end: each step ends with the table that
a real router had."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import fake_bbs
import pytest
from bbs_lrps import GROUP

from consul_tls import Authority
from foundation import RECORDINGS, Following, foundation, recorded, recorded_frames, session

EVENTS_OF_STEP = (3, 2, 1, 2, 1, 1, 3, 2, 1, 1, 2, 3, 1, 1, 1, 1, 0)
"""How many events each step brought."""
UNTIL = (0, *accumulate(EVENTS_OF_STEP))
HOSTS = ("cart.example.com", "cart2.example.com")
A3, B8 = "a3f6c9d2-1b7e-4c55-7f10-0c1e", "b81d20aa-52c3-4d0f-6a77-91fe"


def table(record: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """What the router had, by hostname; all of it spoke TLS under the instance's guid."""
    had = record["gorouter_routes_before"]
    assert all(is_tls for found in had.values() for _, _, is_tls in found)
    return {host: sorted((a, guid) for a, guid, _ in had.get(host, ())) for host in HOSTS}


async def test_each_step_ends_with_the_table_that_the_router_had(tmp_path: Path) -> None:
    steps, frames = recorded("steps.jsonl"), recorded_frames()
    assert len(frames) == UNTIL[-1]
    async with foundation(tmp_path) as found, found.session():
        await found.bbs.subscribed()
        for number, record in enumerate(steps):
            expected = table(record)
            await found.sink.until(lambda e=expected: {h: found.eps(h) for h in HOSTS} == e)
            for kind, payload in frames[UNTIL[number] : UNTIL[number + 1]]:
                found.bbs.emit(kind, payload)


async def test_an_internal_route_and_a_tcp_route_follow_the_same_instances(tmp_path: Path) -> None:
    ca = Authority(tmp_path).file
    async with foundation(tmp_path, instance_ca_file=ca) as found, found.session():
        await found.bbs.subscribed()
        for kind, payload in recorded_frames()[: UNTIL[4]]:
            found.bbs.emit(kind, payload)
        inside = [("10.255.77.4:61443", A3), ("10.255.77.5:61443", B8)]
        await found.sees("cart.apps.internal", inside, "http-8080")
        await found.sees("1.cart.apps.internal", inside[1:], "http-8080")
        outside = [("10.0.16.10:61011", A3), ("10.0.16.10:61021", B8)]
        await found.sees(f"tcp-{GROUP}", outside, "tcp-1030")
        for kind, payload in recorded_frames()[UNTIL[4] :]:
            found.bbs.emit(kind, payload)
        await found.sink.until(lambda: found.sink.view == {})


def _lists(found: Following, moment: str) -> None:
    names = {
        fake_bbs.ACTUALS: "actual",
        fake_bbs.ROUTING: "routing_infos",
        fake_bbs.DOMAINS: "domains",
    }
    for path, name in names.items():
        body = (RECORDINGS / f"{moment}.{name}.pb").read_bytes()
        found.bbs.answers[path] = lambda body=body: (200, body)  # type: ignore[misc]
        # mypy: a default is how a lambda keeps the value of this turn.


@pytest.mark.parametrize(("moment", "step"), [("s1_two_running", 4), ("s2_evacuating", 11)])
async def test_who_comes_later_has_the_same_table_from_the_lists(
    tmp_path: Path, moment: str, step: int
) -> None:
    expected = table(recorded("steps.jsonl")[step])
    async with foundation(tmp_path) as found:
        _lists(found, moment)
        async with session(found.adapter, found.sink):
            await found.sink.until(lambda: found.sink.is_synced)
            assert expected == {host: found.eps(host) for host in HOSTS}
