"""What a large foundation costs: the first view, a storm of events, and a list that says the same.

    .venv/bin/python tests/benchmarks/cloudfoundry_scale.py [--processes 2500] [--events 17500]

The BBS runs in a process of its own. Times are in seconds; CPU seconds are those of the adapter
alone, with the sink and the mirror of production behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

TESTS = Path(__file__).parents[1]
for folder in ("fakes", "support", "servers", "../adapters/cloudfoundry"):
    sys.path.insert(0, str(TESTS / folder))

from bbs_lrps import desired, http_route, process_guid, running  # noqa: E402
from fake_bbs import ACTUALS, DOMAINS, ROUTING, FakeBbs  # noqa: E402
from pilot_adapter_cloudfoundry import CloudFoundry  # noqa: E402
from pilot_adapter_cloudfoundry.config import BbsConfig, CloudFoundryConfig  # noqa: E402
from pilot_adapter_cloudfoundry.https import Https  # noqa: E402
from pilot_adapter_cloudfoundry.tls import TlsFiles  # noqa: E402

from consul_tls import Authority  # noqa: E402
from pilot_core.document import Duration  # noqa: E402
from pilot_core.testing import RecordingSink  # noqa: E402
from pilot_core.testing.session import host, session  # noqa: E402

_PER_PROCESS = 2
_MARKER = "marker.example.com"
_SECONDS = 14.0
_TICK = 0.01


async def serve(folder: Path, processes: int, events: int) -> None:
    """The BBS: it prints its port, and with every line that it reads, something happens."""
    async with FakeBbs(Authority(folder)) as bbs:
        bbs.authority.issue("mesh")
        for number in range(processes):
            process = process_guid(f"p{number}")
            route = http_route(f"app-{number}.example.com")
            bbs.desire(desired(process, http=[route], instances=_PER_PROCESS))
            for index in range(_PER_PROCESS):
                place = number * _PER_PROCESS + index
                address = f"10.{place // 50000}.{place // 250 % 200}.{place % 250}"
                lrp = running(f"i{place}", process, index, address=address, cell=f"c{place}")
                bbs.run(lrp)
        print(bbs.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await storm(bbs, events)
        print(len([s for s in bbs.subscribers if not s.is_closed]), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


async def storm(bbs: FakeBbs, events: int) -> None:
    """As many changes as a whole foundation makes in a deployment, spread evenly."""
    loop, guids = asyncio.get_running_loop(), list(bbs.actual)
    began, sent = loop.time(), 0
    while sent < events:
        due = min(events, int((loop.time() - began) / _SECONDS * events) + 1)
        for number in range(sent, due):
            guid = guids[number % len(guids)]
            bbs.change(guid, routable=not bbs.actual[guid].routable)
        sent = due
        await asyncio.sleep(_TICK)
    bbs.desire(desired(process_guid("marker"), http=[http_route(_MARKER)]))


@asynccontextmanager
async def longest_gap() -> AsyncIterator[Callable[[], float]]:
    """How long nobody else got a turn, in CPU seconds; asking begins anew."""
    longest = [0.0]

    async def look() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0)
            longest[0] = max(longest[0], time.process_time() - before)
            await asyncio.sleep(0.001)

    def take() -> float:
        found, longest[0] = longest[0], 0.0
        return found

    task = asyncio.create_task(look())
    try:
        yield take
    finally:
        task.cancel()


async def lists_alone(bbs: BbsConfig) -> float:
    """How long the three lists take, of which nobody reads anything."""
    https = Https(bbs.url, TlsFiles(bbs.ca_file, bbs.cert_file, bbs.key_file), timeout=60)
    began = time.monotonic()
    await asyncio.gather(*(https.ask("POST", path) for path in (ACTUALS, ROUTING, DOMAINS)))
    took = time.monotonic() - began
    await https.close()
    return took


async def measure(folder: Path, processes: int, events: int) -> None:
    command = [sys.executable, __file__, "--serve", str(folder)]
    sizes = ["--processes", str(processes), "--events", str(events)]
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(*command, *sizes, stdin=pipe, stdout=pipe)
    assert server.stdout is not None
    port = int(await server.stdout.readline())
    bbs = BbsConfig(
        url=f"https://127.0.0.1:{port}",
        ca_file=folder / "ca.pem",
        cert_file=folder / "mesh.pem",
        key_file=folder / "mesh.key",
    )
    before = time.process_time()
    alone = await lists_alone(bbs)
    print(f"lists alone: {alone:.2f} s, {time.process_time() - before:.2f} CPU-s of the reader")
    await views(bbs)
    await followed(bbs, server, events)
    await server.wait()


async def views(bbs: BbsConfig) -> None:
    """The first view, and lists that come often and say the same."""
    often = replace(bbs, resync=Duration(3))
    adapter, sink = CloudFoundry(CloudFoundryConfig(bbs=often), host()), RecordingSink()
    began, cpu = time.monotonic(), time.process_time()
    async with session(adapter, sink), longest_gap() as gap:
        await sink.until(lambda: sink.is_synced)
        print(
            f"first view: {time.monotonic() - began:.2f} s, {time.process_time() - cpu:.2f} CPU-s"
        )
        print(f"  longest the event loop was away: {gap() * 1000:.0f} ms")
        print(f"  {len(sink.services)} services, {sum(map(len, sink.view.values()))} endpoints")
        sink.puts.clear()
        cpu = time.process_time()
        await asyncio.sleep(7)
        print(
            f"two lists of the same: {len(sink.puts)} puts, {time.process_time() - cpu:.2f} CPU-s"
        )
        print(f"  longest the event loop was away: {gap() * 1000:.0f} ms")


async def followed(bbs: BbsConfig, server: Process, events: int) -> None:
    """The storm alone: no list falls into it, and no watch over the event loop costs anything."""
    assert server.stdin is not None
    assert server.stdout is not None
    adapter, sink = CloudFoundry(CloudFoundryConfig(bbs=bbs), host()), RecordingSink()
    async with session(adapter, sink):
        await sink.until(lambda: sink.is_synced)
        sink.puts.clear()
        server.stdin.write(b"go\n")
        began, cpu = time.monotonic(), time.process_time()
        followers = int(await server.stdout.readline())
        ended = time.monotonic()
        await sink.until(lambda: _MARKER in sink.services)
        used = time.process_time() - cpu
        print(f"{events} events in {ended - began:.1f} s: {time.monotonic() - ended:.2f} s behind,")
        print(f"  {used:.2f} CPU-s, {followers} of 1 streams whole, {len(sink.puts)} puts")
        server.stdin.write(b"end\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2500)
    parser.add_argument("--events", type=int, default=17500)
    parser.add_argument("--serve", type=Path)
    chosen = parser.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.serve, chosen.processes, chosen.events))
        return
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), chosen.processes, chosen.events))


if __name__ == "__main__":
    main()
