"""How long it takes from Consul to a real Envoy: an instance is registered, and takes traffic; its
check turns critical, and it takes none.

    python tests/benchmarks/consul_traffic.py [--rounds 20]

Target: <= 1 s each. A real Consul, a real daemon, a real Envoy; a request every few milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("", "xds", "certs", "adapters/consul", "tests/support", "tests/servers"):
    sys.path.insert(0, str(ROOT / folder))

from consul_catalogue import register  # noqa: E402
from consul_server import ConsulAgent  # noqa: E402
from mesh import Backend, free_port, http_get, mesh, until  # noqa: E402

WEB = "web.service.consul"
_PAUSE = 1.0
"""Seconds between rounds: a service that changes more than twice a second, on and on, is read twice
a second."""
_REQUESTS = 6
"""Requests in a row that have to agree before an instance is taken to be out."""


async def _register(consul: ConsulAgent, backend: Backend, status: str) -> None:
    ip = "127.0.0.1" if backend.name == "one" else "127.0.0.2"
    checks = {f"up-{backend.name}": status}
    meta = {"protocol": "http"}
    await register(consul, "web", ip, Port=backend.port, Meta=meta, checks=checks)


async def _seconds(
    act: Callable[[], Awaitable[None]], seen: Callable[[], Awaitable[bool]]
) -> float:
    began = time.monotonic()
    await act()
    while not await seen():
        await asyncio.sleep(0.002)
    return time.monotonic() - began


def _say(what: str, taken: list[float]) -> None:
    taken = sorted(taken)
    print(
        f"{what:44} median {statistics.median(taken) * 1e3:6.0f} ms   "
        f"p90 {taken[int(len(taken) * 0.9)] * 1e3:6.0f} ms   longest {taken[-1] * 1e3:6.0f} ms"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description="Measure from Consul to traffic.")
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(f"load {Path('/proc/loadavg').read_text().split()[0]}")
    async with ConsulAgent() as consul, mesh() as stage:
        one, two = await stage.backend("one"), await stage.backend("two", "127.0.0.2")
        await _register(consul, one, "passing")
        daemon = await stage.daemon(
            f'- {{name: dc1, kind: consul, config: {{address: "{consul.address}"}}}}\n'
        )
        listener = f"127.0.0.1:{free_port()}"
        await stage.envoy(daemon, "caller", "--http-listener", listener)

        async def answers(count: int) -> set[bytes]:
            return {(await http_get(listener, host=WEB))[1] for _ in range(count)}

        async def is_in() -> bool:
            return b"two" in await answers(2)

        async def is_out() -> bool:
            return await answers(_REQUESTS) == {b"one"}

        await until(lambda: is_out(), "the first instance")
        come, gone = [], []
        for _ in range(rounds):
            come.append(await _seconds(lambda: _register(consul, two, "passing"), is_in))
            gone.append(await _seconds(lambda: _register(consul, two, "critical"), is_out))
            await asyncio.sleep(_PAUSE)
        _say("registered, to the first request", come)
        _say("critical, to the last request", gone)


if __name__ == "__main__":
    asyncio.run(main())
