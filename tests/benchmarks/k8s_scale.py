"""What a large cluster costs to follow, beside the informer of the client for Python.

    python tests/benchmarks/k8s_scale.py [--objects 10000] [--soak 600]

One real API server with that many services, slices and pods. One after the other: our adapter
alone, the daemon with it, and `kubernetes.informer.SharedInformer` for the same kinds. Then the
server dies, and a port that hangs up on everybody counts who comes again. With `--soak`, the daemon
sees 500 changes a second for that many seconds before: its memory has to be flat.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in ("", "adapters/kubernetes", "tests/support", "tests/servers"):
    sys.path.insert(0, str(ROOT / folder))
sys.path.insert(0, str(ROOT / "tests/adapters/kubernetes/support"))

import aiohttp  # noqa: E402
from objects import Json, endpoint, endpoint_slice, pod, service  # noqa: E402

from kube_server import KubeApi  # noqa: E402

_WRITERS = 32
_PADDING = "x" * 4000
"""Pods are large: most of what is sent is nothing that anybody keeps."""
_RATE = 500
_DOWN = 10.0
_TARGETS = {"wall_s": 15.0, "cpu_s": 5.0, "rss_mb": 400.0, "longest_ms": 50.0}
_CORE, _DISCOVERY = "/api/v1/namespaces/shop", "/apis/discovery.k8s.io/v1/namespaces/shop"


class Writer:
    """Writes to the server on kept connections."""

    def __init__(self, server: KubeApi) -> None:
        self._server = server

    async def __aenter__(self) -> Writer:
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._server.tls or True, limit=_WRITERS),
            headers={"authorization": f"Bearer {self._server.token}"},
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._client.close()

    async def send(self, method: str, path: str, body: Json) -> None:
        patch = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"content-type": patch}
        url = self._server.url + path
        async with self._client.request(method, url, json=body, headers=headers) as answer:
            if answer.status >= 400:
                raise SystemExit(f"{method} {path}: {answer.status} {await answer.text()}")
            await answer.read()

    async def all(self, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        """A few at a time."""
        queue = iter(works)

        async def work() -> None:
            for one in queue:
                await one

        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(work())


def address(number: int) -> str:
    return f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


async def _one(writer: Writer, number: int) -> None:
    made = pod(f"p{number}", address(number))
    made["metadata"]["annotations"] = {"padding": _PADDING}
    del made["metadata"]["uid"], made["metadata"]["creationTimestamp"]
    slice_ = endpoint_slice(f"s{number}-1", f"s{number}", endpoint(address(number), f"p{number}"))
    await writer.send("POST", f"{_CORE}/services", service(f"s{number}"))
    await writer.send("POST", f"{_CORE}/pods", made)
    await writer.send("PATCH", f"{_CORE}/pods/p{number}/status", {"status": made["status"]})
    await writer.send("POST", f"{_DISCOVERY}/endpointslices", slice_)


class Subject:
    """A process that follows the cluster."""

    def __init__(self, who: str, server: KubeApi, objects: int) -> None:
        self.who = who
        script = str(HERE / "k8s_subjects.py")
        self._command = [sys.executable, script, who, str(server.kubeconfig), str(objects)]

    async def __aenter__(self) -> Subject:
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def figures(self) -> dict[str, float]:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.who} ended")
        found: dict[str, float] = json.loads(line)
        return found

    async def ask(self) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await self.figures()


class HangsUp:
    """Counts connections, and closes each at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.count = 0

    async def __aenter__(self) -> HangsUp:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()

    def _take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        writer.transport.abort()


def show(what: str, figures: dict[str, float], *, judged: bool = False) -> None:
    cells = [f"{key} {value:.1f}" for key, value in figures.items() if key != "objects"]
    missed = [k for k, most in _TARGETS.items() if judged and figures[k] > most]
    verdict = f"   MISSED: {', '.join(missed)}" if missed else "   met" if judged else ""
    print(f"{what:24} {'  '.join(cells)}{verdict}", flush=True)


async def soak(server: KubeApi, subject: Subject, objects: int, seconds: float) -> None:
    """Endpoints become ready and unready; memory after a tenth of the time, and at the end."""
    turns = itertools.count()

    async def change(writer: Writer) -> None:
        turn = next(turns)
        number = turn % objects
        ready = {"ready": (turn // objects) % 2 == 1}
        entry = endpoint(address(number), f"p{number}", conditions=ready)
        path = f"{_DISCOVERY}/endpointslices/s{number}-1"
        await writer.send("PATCH", path, {"endpoints": [entry]})

    async with Writer(server) as writer:
        began, first = time.monotonic(), None
        while (passed := time.monotonic() - began) < seconds:
            await writer.all(change(writer) for _ in range(_RATE // 10))
            if first is None and passed > seconds / 10:
                first = await subject.ask()
            await asyncio.sleep(max(0.0, began + next(turns) / _RATE - time.monotonic()))
    last = await subject.ask()
    rate = next(turns) / (time.monotonic() - began)
    show(f"soak, {rate:.0f}/s: at a tenth", first or last)
    show("soak: at the end", last)
    growth = last["rss_mb"] / (first or last)["rss_mb"] - 1
    print(f"memory grew by {growth:.1%}: {'met' if growth <= 0.05 else 'MISSED'} (at most 5 %)")


async def follow(server: KubeApi, who: str, objects: int, seconds: float) -> None:
    if not server.api.running:
        await server.api.start()
    async with Subject(who, server, objects) as subject:
        show(f"{who}: synced", await subject.figures(), judged=who == "adapter")
        if seconds and who == "daemon":
            await soak(server, subject, objects, seconds)
        before = await subject.ask()
        await server.api.kill()
        async with HangsUp(server.port) as down:
            await asyncio.sleep(_DOWN)
        after = await subject.ask()
    spent = after["cpu_s"] - before["cpu_s"]
    print(
        f"{who}: server down     {down.count / _DOWN:.1f} connections/s, {spent:.2f} s CPU", end=""
    )
    print(f" in {_DOWN:.0f} s", flush=True)


async def measure(objects: int, seconds: float) -> None:
    """`objects` of each kind, and a soak of that many seconds if there are any."""
    async with KubeApi(flags=["--max-mutating-requests-inflight=400"]) as server:
        await server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        began = time.monotonic()
        async with Writer(server) as writer:
            await writer.all(_one(writer, number) for number in range(objects))
        print(f"{objects} of each written in {time.monotonic() - began:.0f} s", flush=True)
        for who in ("adapter", "daemon", "informer"):
            await follow(server, who, objects, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the adapter on a real API server.")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--soak", type=float, default=0.0, help="seconds")
    options = parser.parse_args()
    asyncio.run(measure(options.objects, options.soak))


if __name__ == "__main__":
    main()
