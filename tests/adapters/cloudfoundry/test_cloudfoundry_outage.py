"""A BBS that is away for five minutes, by the clock of everything that could run out meanwhile."""

from __future__ import annotations

from pathlib import Path

import fake_bbs
import pytest
from bbs_lrps import CELL, desired, http_route, process_guid, running
from fake_bbs import FakeBbs
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from route_emitter import RouteEmitter

from consul_tls import Authority
from foundation import Following, bbs_config
from nats_server import NatsServer
from pilot_core.testing import FakeClock, RecordingSink
from pilot_core.testing.session import host, session

MINUTE = 60
H, CART, OTHER = "cart.example.com", process_guid("cart"), process_guid("other")
API, OLD = "api.sys.example.com", "10.0.1.5"
SHOWN = [(f"{CELL}:61011", "i0"), ("10.0.16.11:61011", "i1")]
SPOKEN = [(f"{OLD}:9022", "")]


class Outage(Following):
    """One foundation of both sources, and the clock of the adapter that follows it."""

    clock: FakeClock

    async def synced(self) -> None:
        """Let no more time pass than it listens to NATS before it takes that to be all."""
        emitters = self.adapter.parts.emitters
        while self.age() or API not in emitters.router.table.names:
            await self.bbs.turn()
        # Patience, the next list, orphans, settling, what expires; and what was put, if it was.
        await self.clock.until_sleepers(5 + emitters.is_complete)
        await self.clock.advance(30)
        while not self.sink.is_synced:
            await self.clock.advance(0.1)
            await self.bbs.turn()

    async def fails(self, words: str) -> None:
        """One more session, as the core tries: it ends, and takes nothing along."""
        with self.ends(words):
            async with session(self.adapter, self.sink):
                await self.over()
        self.sink.next_session()
        assert (SHOWN, SPOKEN) == (self.eps(H), self.eps(API))

    def age(self) -> float:
        cells = self.adapter.parts.cells
        assert cells is not None
        return cells.age()


@pytest.mark.parametrize("gracefully", [True, False])
async def test_a_bbs_that_is_away_for_five_minutes_takes_nothing_along(
    tmp_path: Path, gracefully: bool
) -> None:
    authority, clock = Authority(tmp_path), FakeClock()
    async with FakeBbs(authority) as bbs, NatsServer() as server:
        nats = NatsConfig(servers=(server.url,))
        config = CloudFoundryConfig(bbs=bbs_config(authority, bbs), nats=nats)
        found = Outage(bbs, CloudFoundry(config, host(clock)), RecordingSink())
        found.clock = clock
        bbs.desire(desired(CART, http=[http_route(H)], instances=2))
        bbs.run(running("i0", CART))
        bbs.run(running("i1", CART, 1, address="10.0.16.11", cell="cell-2"))
        async with RouteEmitter(server.url) as emitter:
            more = {"tags": {"component": "api"}, "app": "", "tls_port": 0}
            emitter.register(API, OLD, id="registrar-1", port=9022, **more)
            with found.ends():
                async with session(found.adapter, found.sink):
                    await found.synced()
                    assert (SHOWN, SPOKEN) == (found.eps(H), found.eps(API))
                    await bbs.stop(gracefully=gracefully)
                    await found.over()
        found.sink.next_session()
        # Nobody speaks over NATS either: what it told has a lifetime of two minutes.
        found.sink.take_changes()
        await _away(found)

        bbs.actual.pop("i1")
        bbs.desire(desired(CART, http=[http_route(H)], instances=1))
        async with session(found.adapter, found.sink):
            await found.synced()
            assert [SHOWN[0]] == found.eps(H)
            assert SPOKEN == found.eps(API)
            assert {("endpoints", H)} == found.sink.take_changes()
            assert 0 == found.age()


async def _away(found: Outage) -> None:
    """Five minutes: it refuses connections, and then answers that it is not ready."""
    began = found.age()
    for _ in range(3):
        await found.fails("All connection attempts failed")
        await found.clock.advance(MINUTE)
    await found.bbs.start()
    found.bbs.answers[fake_bbs.EVENTS] = fake_bbs.status(503)
    for _ in range(2):
        await found.fails("is not ready yet")
        await found.clock.advance(MINUTE)
    del found.bbs.answers[fake_bbs.EVENTS]
    assert 5 * MINUTE == found.age() - began
    assert set() == found.sink.take_changes()
