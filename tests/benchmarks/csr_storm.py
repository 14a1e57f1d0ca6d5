"""How many certificates a second a daemon issues, over its port for mutual TLS, with everything
that belongs to it.

    python tests/benchmarks/csr_storm.py [--requests 10000] [--in-flight 1000] [--connections 20]

Server and client share the machine. Every request is Istio's call with a platform's token of its
own (JWT, verified by its keys) for an identity of its own, and is audited. Meanwhile `/livez` is
asked again and again: how long that takes is how long a push waits for its turn. Then one identity
asks for far more than it may have, while others renew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from grpc import aio

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import authorities
from mesh import Child, mesh
from pilot_certs.istio_service import SERVICE
from pilot_certs.messages import CertificateRequest, CertificateResponse
from secure_stage import SecureDaemon
from service_tokens import Issuer

NAME = "pilot.test"
METHOD = f"/{SERVICE}/CreateCertificate"
_TICKS = os.sysconf("SC_CLK_TCK")


class Said(NamedTuple):
    """What one phase has seen: latencies in seconds, sorted, and how calls ended."""

    took: list[float]
    codes: Counter[str]
    wall: float

    def line(self) -> str:
        count = len(self.took)
        at = [self.took[int(count * share)] for share in (0.5, 0.99)] if count else [0.0, 0.0]
        ended = ", ".join(f"{n} {code}" for code, n in sorted(self.codes.items()))
        return (
            f"{ended} in {self.wall:.1f} s: {count / self.wall:.0f}/s, "
            f"p50 {at[0]:.3f} s, p99 {at[1]:.3f} s"
        )


class Clients:
    """Connections to one daemon."""

    def __init__(self, daemon: SecureDaemon, connections: int, pair: Any = (None, None)) -> None:
        credentials = grpc.ssl_channel_credentials(daemon.ca.read_bytes(), *pair)
        options = [("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            aio.secure_channel(daemon.secure, credentials, options) for _ in range(connections)
        ]
        self._key = authorities.key()
        csr = authorities.csr_pem(self._key).decode()
        self._data = CertificateRequest(csr=csr).SerializeToString()

    async def one(self, number: int = 0, token: str = "") -> tuple[str, bytes]:
        headers = (("authorization", f"Bearer {token}"),) if token else ()
        call = self._channels[number % len(self._channels)].unary_unary(METHOD)
        try:
            return "OK", await call(self._data, metadata=headers)
        except aio.AioRpcError as error:
            return error.code().name, b""

    async def storm(self, tokens: list[str], flight: int) -> Said:
        room, took, codes = asyncio.Semaphore(flight), [], Counter[str]()

        async def asked(number: int, token: str) -> None:
            async with room:
                start = time.perf_counter()
                code, _ = await self.one(number, token)
                codes[code] += 1
                if code == "OK":
                    took.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(asked(number, token) for number, token in enumerate(tokens)))
        return Said(sorted(took), codes, time.perf_counter() - start)

    async def pair(self, token: str) -> tuple[bytes, bytes]:
        """A key and a certificate."""
        code, data = await self.one(token=token)
        assert code == "OK", code
        chain = CertificateResponse.FromString(data).cert_chain
        return authorities.private_pem(self._key), "".join(chain[:-1]).encode()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


_PROBE = """
import http.client, json, sys, time
took = []
connection = http.client.HTTPConnection(sys.argv[1])
while not sys.stdin.closed and time.monotonic() < float(sys.argv[2]):
    start = time.perf_counter()
    connection.request("GET", "/livez")
    connection.getresponse().read()
    took.append(time.perf_counter() - start)
    time.sleep(0.02)
    print(json.dumps(took[-1]), flush=True)
"""


class Probe:
    """A process that asks again and again what costs nothing, and how long each answer took."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, daemon: SecureDaemon) -> Probe:
        command = (sys.executable, "-c", _PROBE, daemon.admin, str(time.monotonic() + 300))
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def stop(self) -> list[float]:
        """Seconds, sorted."""
        self._process.terminate()
        out, _ = await self._process.communicate()
        return sorted(float(line) for line in out.split())


def cpu(child: Child) -> float:
    fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mb(child: Child) -> float:
    lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def run(requests: int, flight: int, connections: int) -> None:
    async with mesh() as made:
        issuer = Issuer()
        (made.folder / "jwks.json").write_bytes(issuer.jwks)
        attestor = f"{{name: accounts, prefix: '', jwks_file: jwks.json, issuer: {Issuer.URL}}}"
        said = f"identity: {{dns_names: [{NAME}], attestors: [{attestor}]}}\n"
        made.write("empty.yaml", "services: []\n")
        files = f"- {{name: files, kind: file, config: {{paths: [{made.catalogue}]}}}}\n"
        daemon = SecureDaemon(made.folder, files, identity=said)
        made.at_end(daemon.stop)
        await daemon.start()
        assert daemon.child is not None
        tokens = [issuer.token("shop", f"a{number}") for number in range(requests)]
        await storm(daemon, tokens, flight, connections)
        await beyond(daemon, issuer, flight, connections)


async def storm(daemon: SecureDaemon, tokens: list[str], flight: int, connections: int) -> None:
    assert daemon.child is not None
    clients = Clients(daemon, connections)
    idle = await Probe.start(daemon)
    await asyncio.sleep(2)
    quiet = await idle.stop()
    before = cpu(daemon.child)
    probe = await Probe.start(daemon)
    said = await clients.storm(tokens, flight)
    probes = await probe.stop()
    await clients.close()
    spent = (cpu(daemon.child) - before) / len(tokens) * 1000
    print(f"storm: {said.line()}")
    print(f"server: {spent:.2f} ms CPU each, {peak_mb(daemon.child):.0f} MB RSS at most")
    for when, took in (("idle", quiet), ("meanwhile", probes)):
        at = [took[int(len(took) * share)] * 1000 for share in (0.5, 0.99)]
        print(
            f"/livez {when}: p50 {at[0]:.0f} ms, p99 {at[1]:.0f} ms, max {took[-1] * 1000:.0f} ms"
        )


async def beyond(daemon: SecureDaemon, issuer: Issuer, flight: int, connections: int) -> None:
    """One identity asks for 5,000 certificates; another one renews by its own all the while."""
    greedy = Clients(daemon, connections)
    pairs = [await greedy.pair(issuer.token("shop", f"renewing-{n}")) for n in range(20)]
    renewing = [Clients(daemon, 1, pair) for pair in pairs]
    over = asyncio.create_task(greedy.storm([issuer.token("shop", "greedy")] * 5000, flight))
    renewed = Counter[str]()
    while not over.done():
        for client in renewing:
            renewed[(await client.one())[0]] += 1
    said = await over
    print(f"one identity beyond its limit: {said.line()}")
    print(f"renewals by certificate meanwhile: {dict(renewed)}")
    for client in (greedy, *renewing):
        await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=20)
    said = parser.parse_args()
    print(f"on {os.cpu_count()} cores, client included, load {os.getloadavg()[0]:.1f}")
    asyncio.run(run(said.requests, said.in_flight, said.connections))


if __name__ == "__main__":
    main()
