"""A leader that is killed: Consul frees its lock by itself, and the next one has a higher fence."""

from __future__ import annotations

import asyncio
import sys

from consul_lock import KEY, Replica, running

HOLDER = f"""
import asyncio, sys
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.lock import ConsulLock, LockSettings
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import host

async def lead(term):
    print(term.fence, flush=True)
    await asyncio.Event().wait()

async def main():
    settings = LockSettings(key="{KEY}", holder="killed", ttl=10, lock_delay=1)
    async with Agent(ConsulConfig(address=sys.argv[1])) as agent:
        await ConsulLock(agent, settings, host()).run(lead)

asyncio.run(main())
"""


async def test_a_killed_leader_s_lock_goes_to_the_next_with_a_higher_fence(consul):
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, consul.url, stdout=asyncio.subprocess.PIPE
    )
    assert killed.stdout is not None
    fence = int(await killed.stdout.readline())
    successor = Replica("successor")
    async with running(consul, successor):
        [session] = [
            s for s in await consul.call("GET", "/v1/session/list") if s["Name"] == "killed"
        ]
        killed.kill()
        await killed.wait()
        [key] = await consul.call("GET", f"/v1/kv/{KEY}")
        assert session["ID"] == key["Session"]
        assert [] == successor.terms
        term = await successor.led()

    assert fence < term.fence
