"""10,000 services x 10 endpoints from files: how soon they are there, in how much memory, and what
one changed endpoint costs beside a catalogue of 100 services."""

from __future__ import annotations

import time

from scenarios import Fleet
from server import Server

_SERVICES, _FEW, _ENDPOINTS, _PROXIES = 10_000, 100, 10, 100
_SYNC_AT_MOST, _MB_AT_MOST, _RATIO_AT_MOST = 10.0, 600.0, 1.5


async def measure() -> dict[str, float]:
    """Seconds until synced, resident MB, and CPU seconds per change, at many and few services."""
    few = await _one(_FEW)
    many = await _one(_SERVICES)
    return {
        "synced_s": many["synced_s"],
        "rss_mb": many["rss_mb"],
        "endpoint_cpu": many["endpoint_cpu"],
        "endpoint_cpu_few": few["endpoint_cpu"],
        "ratio": many["endpoint_cpu"] / few["endpoint_cpu"],
    }


async def _one(services: int) -> dict[str, float]:
    server = Server(services, endpoints=_ENDPOINTS)
    try:
        started = time.monotonic()
        await server.start()
        await server.ready()
        synced, rss = time.monotonic() - started, server.rss()
        fleet = Fleet(server, services, _PROXIES, is_delta=True)
        await fleet.storm()
        await fleet.endpoint_changes()
        fleet.close()
        cost = float(fleet.row["endpoint_cpu"])
        return {"synced_s": synced, "rss_mb": rss, "endpoint_cpu": cost}
    finally:
        await server.close()


def describe(scale: dict[str, float]) -> str:
    lines = [f"{_SERVICES} services x {_ENDPOINTS} endpoints from files, {_PROXIES} proxies:"]
    for key, limit in (
        ("synced_s", _SYNC_AT_MOST),
        ("rss_mb", _MB_AT_MOST),
        ("ratio", _RATIO_AT_MOST),
    ):
        verdict = "met" if scale[key] <= limit else "MISSED"
        lines.append(f"  {key:<10} {scale[key]:8.2f}  at most {limit:g}  {verdict}")
    lines.append(
        f"  one endpoint: {scale['endpoint_cpu'] * 1e3:.1f} ms, with {_FEW} services"
        f" {scale['endpoint_cpu_few'] * 1e3:.1f} ms"
    )
    return "\n".join(lines)
