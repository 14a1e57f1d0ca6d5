"""A real agent that takes fewer connections than it is thought to."""

from __future__ import annotations

import logging

from consul_catalogue import register
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.model import Health
from pilot_core.testing import host, session
from server_process import wait_for

SERVICES = [f"svc-{number:03}" for number in range(90)]


async def test_too_many_connections_are_given_up_and_every_service_is_followed_all_the_same(caplog):
    caplog.set_level(logging.WARNING)
    limit = {"limits": {"http_max_conns_per_client": 60}}
    async with ConsulAgent(config=limit) as consul:
        for number, name in enumerate(SERVICES):
            await register(consul, name, f"10.1.0.{number}", checks={f"up-{name}": "passing"})
        adapter = Consul(ConsulConfig(address=consul.address, connections=300), host())
        async with session(adapter) as sink:
            await sink.until(lambda: sink.is_synced)
            assert len(SERVICES) + 1 == len(sink.hostnames)

            def said() -> bool:
                return "limits.http_max_conns_per_client" in caplog.text

            async def health(name: str, number: int, status: str, expected: Health) -> None:
                async def registered() -> bool:
                    # The test is one of those that the agent has no connection for.
                    checks = {f"up-{name}": status}
                    await register(consul, name, f"10.1.0.{number}", checks=checks)
                    return True

                await wait_for(registered, name)
                hostname = f"{name}.service.consul"
                await sink.until(
                    lambda: [expected] == [e.health for e in sink.endpoints(hostname)[0].endpoints]
                )

            # Refused connections are no news of the platform's: only the log is to be waited for.
            while not said():
                await health(SERVICES[0], 0, "critical", Health.UNHEALTHY)
                await health(SERVICES[0], 0, "passing", Health.HEALTHY)
            for name, number in ((SERVICES[-1], len(SERVICES) - 1), (SERVICES[40], 40)):
                await health(name, number, "critical", Health.UNHEALTHY)
                await health(name, number, "passing", Health.HEALTHY)
            assert [] == sink.problems
