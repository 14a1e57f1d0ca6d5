"""How long a real Envoy takes to see a change, and how soon it serves its first request.

    python tests/benchmarks/envoy_visible.py --services 1000 --changes 100

Targets: first request ≤ 2 s after daemon and Envoy start together; a changed catalogue file visible
in Envoy's /clusters p50 ≤ 100 ms and p99 ≤ 300 ms at 1,000 services, median ≤ 45 ms aimed for. One
read of /clusters takes about 30 ms at 1,000 services by itself; it is printed beside the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from mesh import Daemon, Envoy, Mesh, document, free_port, http_get, mesh, service, until

CHANGING = "changing.bench.mesh"


def catalogue(services: int) -> str:
    return document(
        *(
            service(f"s{n}.bench.mesh", [f"10.{n >> 8}.{n & 255}.{e}:8080" for e in range(1, 6)])
            for n in range(services - 1)
        )
    )


async def first_request(stage: Mesh, options: tuple[str, ...]) -> tuple[float, Daemon, Envoy]:
    """Seconds from starting the daemon and then an Envoy to the first 200."""
    backend = await stage.backend("one")
    stage.write("changing.yaml", document(service(CHANGING, [f"127.0.0.1:{backend.port}"])))
    listener = f"127.0.0.1:{free_port()}"
    started = time.monotonic()
    daemon = await stage.daemon()
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *options)

    async def served() -> bool:
        return (await http_get(listener, host=CHANGING))[0] == 200

    await until(served, "the first 200")
    return time.monotonic() - started, daemon, envoy


async def one_change(stage: Mesh, envoy: Envoy, number: int) -> float:
    """Seconds from the file's rename into place to its address in /clusters."""
    address = f"10.250.{number >> 8}.{number & 255}"
    text = document(service(CHANGING, [f"{address}:8080"]))
    started = time.monotonic()
    stage.write("changing.yaml", text)
    while f"{address}:8080::" not in await envoy.clusters():
        if time.monotonic() - started > 20:
            raise SystemExit(f"change {number} has not become visible within 20 s")
    return time.monotonic() - started


async def read_cost(envoy: Envoy) -> float:
    started = time.monotonic()
    for _ in range(10):
        await envoy.clusters()
    return (time.monotonic() - started) / 10


async def measure(services: int, changes: int, options: tuple[str, ...]) -> None:
    async with mesh() as stage:
        stage.write("catalogue.yaml", catalogue(services))
        first, daemon, envoy = await first_request(stage, options)
        times = []
        for number in range(changes):
            times.append(await one_change(stage, envoy, number))
            await asyncio.sleep(0.05)
        times.sort()
        cost = await read_cost(envoy)
        print(
            f"S={services:<6} {'sotw' if options else 'delta':<6}"
            f" first request {first:5.2f} s   visible p50 {statistics.median(times) * 1e3:4.0f} ms"
            f" p99 {times[int(len(times) * 0.99) - 1] * 1e3:4.0f} ms max {times[-1] * 1e3:4.0f} ms"
            f"   one /clusters {cost * 1e3:3.0f} ms   nacks {len(await daemon.nacks())}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--services", type=int, nargs="+", default=[100, 1_000])
    options.add_argument("--changes", type=int, default=100)
    given = options.parse_args()
    for services in given.services:
        for variant in ((), ("--sotw",)):
            asyncio.run(measure(services, given.changes, variant))


if __name__ == "__main__":
    main()
