"""How many certificates a second one process issues, over TLS, with everything that belongs to it.

    python tests/benchmarks/csr_storm.py [--requests 10000] [--in-flight 1000] [--connections 20]

Server and client share the machine. Every request has a join token of its own and is audited, so
each one also costs a transaction of the journal; `--renew` renews by one certificate instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from grpc import aio

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import authorities
from authorities import DOMAIN, REVIEWS
from pilot_certs import istio_service
from pilot_certs.audit import AuditLog
from pilot_certs.caller import ByCertificate
from pilot_certs.issuing import Issuing, Limits
from pilot_certs.join import JoinTokens
from pilot_certs.limits import Rate
from pilot_certs.messages import CertificateRequest
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import SystemClock

NAME = "server.test"
METHOD = f"/{istio_service.SERVICE}/CreateCertificate"
ENOUGH = Rate(1e9, 1e9)


def _pem(key: Any) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


async def serve(folder: Path, tokens: int) -> None:
    """Until standard input closes; then what it cost, as JSON."""
    clock = SystemClock()
    authority = authorities.started(folder, clock)
    joining = JoinTokens(authority.journal, DOMAIN, clock)
    proofs = (ByCertificate(authority, clock), joining)
    log = AuditLog(folder / "audit.jsonl", clock)
    issuing = Issuing(authority, proofs, log, limits=Limits(identity=ENOUGH, failures=ENOUGH))
    key, mine = authorities.key(), authorities.key()
    issued = authority.sign(key.public_key(), SpiffeId(DOMAIN, "/server"), dns=[NAME])
    client = authority.sign(mine.public_key(), REVIEWS)
    roots = "".join(authority.roots).encode()
    pair = [(_pem(key), "".join(issued.chain).encode())]
    server = aio.server(options=istio_service.OPTIONS)
    istio_service.register(server, issuing)
    is_mutual = not tokens
    credentials = grpc.ssl_server_credentials(pair, roots, is_mutual)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    made = [joining.create(f"/node/n{number}", seconds=3600) for number in range(tokens)]
    told = {
        "port": port,
        "roots": roots.decode(),
        "key": _pem(mine).decode(),
        "chain": client.chain[0],
        "tokens": made,
    }
    print(json.dumps(told), flush=True)
    before = time.process_time()
    await asyncio.to_thread(sys.stdin.read)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": time.process_time() - before, "rss": rss, **issuing.counts}))
    await server.stop(0)


async def storm(told: dict[str, Any], requests: int, flight: int, connections: int) -> list[float]:
    """Latencies in seconds, sorted."""
    tokens = told["tokens"]
    pair = (None, None) if tokens else (told["key"].encode(), told["chain"].encode())
    credentials = grpc.ssl_channel_credentials(told["roots"].encode(), *pair)
    options = [("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1)]
    target = f"127.0.0.1:{told['port']}"
    channels = [aio.secure_channel(target, credentials, options) for _ in range(connections)]
    data = CertificateRequest(csr=authorities.csr_pem().decode()).SerializeToString()
    room, took = asyncio.Semaphore(flight), []

    async def one(number: int) -> None:
        async with room:
            start = time.perf_counter()
            headers = (("authorization", f"Bearer {tokens[number]}"),) if tokens else ()
            call = channels[number % connections].unary_unary(METHOD)
            await call(data, metadata=headers)
            took.append(time.perf_counter() - start)

    await asyncio.gather(*(one(number) for number in range(requests)))
    for channel in channels:
        await channel.close()
    return sorted(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--renew", action="store_true", help="by certificate, not by join token")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.serve:
        asyncio.run(serve(Path(said.serve[0]), int(said.serve[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        tokens = 0 if said.renew else said.requests
        command = [sys.executable, __file__, "--serve", folder, str(tokens)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            start = time.perf_counter()
            took = asyncio.run(storm(told, said.requests, said.in_flight, said.connections))
            wall = time.perf_counter() - start
            out, _ = server.communicate("")
    cost = json.loads(out)
    print(f"{len(took)} of {said.requests} served in {wall:.1f} s: {len(took) / wall:.0f}/s")
    print(f"latency p50 {took[len(took) // 2]:.3f} s, p99 {took[int(len(took) * 0.99)]:.3f} s")
    print(f"server: {cost['cpu'] / len(took) * 1000:.2f} ms CPU each, {cost['rss']:.0f} MB RSS")
    print(f"on {os.cpu_count()} cores, client included")


if __name__ == "__main__":
    main()
