"""What pilot-core costs, beside its targets and what others cost on the same work.

    make bench                                   the whole table, about 12 minutes
    make bench ARGS='--quick'                    1,000 services, 1,000 proxies, delta
    make bench ARGS='-S 100 10000 -N 100 --json'
    make bench ARGS='--kubernetes --soak 600'    a large cluster instead, with 10 minutes of changes

Server CPU in seconds of one change to all proxies; the server is pinned to one core and the clients
to another. `floor` is what grpc.aio alone costs when it sends the same bytes (beside_floor.py).
Where the clients were busier than 0.7 of their core, times until seen are theirs as much as the
server's. Machines differ and are noisy: compare rows of one run, not absolute times of two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import beside_floor
import k8s_scale
import large
from scenarios import measure

_TARGETS = {
    "endpoint_cpu": {"delta": 0.05, "sotw": 0.08},
    "endpoint_p99_ms": {"delta": 100, "sotw": 100},
    "service_cpu": {"delta": 0.5},
    "storm_cpu": {"delta": 1, "sotw": 1},
    "restart_cpu": {"delta": 1.5},
    "kb_per_proxy": {"delta": 25, "sotw": 25},
    "equal_pushes": {"delta": 0, "sotw": 0},
    "idle_percent": {"delta": 1, "sotw": 1},
    "restart_repeated": {"delta": 0},
    "sleepers_p99_ms": {"delta": 250, "sotw": 250},
    "sleepers_mb": {"delta": 15, "sotw": 15},
}
"""At 1,000 services and 1,000 proxies; with a tenth of these asleep, what the server grows by is
what a tenth of the proxies may take altogether."""
_TARGETED = (1_000, 1_000)
_COLUMNS = (
    ("S", "S", "{:.0f}"),
    ("N", "N", "{:.0f}"),
    ("variant", "variant", "{}"),
    ("endpoint_cpu", "endpoint s", "{:.3f}"),
    ("endpoint_p50_ms", "p50 ms", "{:.0f}"),
    ("endpoint_p99_ms", "p99 ms", "{:.0f}"),
    ("endpoint_bytes", "bytes", "{:.0f}"),
    ("service_cpu", "service s", "{:.2f}"),
    ("storm_cpu", "storm s", "{:.2f}"),
    ("storm_wall", "wall s", "{:.1f}"),
    ("storm_admitted", "admitted", "{:.0f}"),
    ("kb_per_proxy", "KB/proxy", "{:.0f}"),
    ("equal_pushes", "equal", "{:.0f}"),
    ("idle_percent", "idle %", "{:.1f}"),
    ("restart_cpu", "restart s", "{:.2f}"),
    ("restart_repeated", "repeated", "{:.0f}"),
    ("sleepers_p99_ms", "10% asleep p99", "{:.0f}"),
    ("sleepers_mb", "10% asleep MB", "{:.1f}"),
    ("client_busy", "client busy", "{:.2f}"),
)
_PEERS = """
The same work elsewhere (1,000 services x 5 endpoints, 1,000 proxies, one endpoint; CPU seconds):
  istiod (1.31 head), defaults / limits lifted   delta 0.30 / 0.23   sotw 0.75 / 0.61   storm 12-58
  go-control-plane 0.14                          delta 1.29          sotw 5.9           storm 10.5
  restart: istiod 53, go-control-plane 4.7       one service added: istiod 4.4
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-S", "--services", type=int, nargs="+", default=[100, 1_000, 10_000])
    options.add_argument("-N", "--proxies", type=int, nargs="+", default=[100, 1_000])
    options.add_argument("--variant", choices=("delta", "sotw", "both"), default="both")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--tls", action="store_true", help="proxies with agents, for mutual TLS")
    options.add_argument("--json", action="store_true")
    options.add_argument("--kubernetes", type=int, nargs="?", const=10_000, metavar="OBJECTS")
    options.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    given = options.parse_args()
    if given.kubernetes:
        asyncio.run(k8s_scale.measure(given.kubernetes, given.soak))
        return
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {1})
    rows = []
    for services, proxies, is_delta in _plan(given):
        # What the transport alone costs, in the same minute, where the targets are.
        then = beside_floor.measure if (services, proxies) == _TARGETED else None
        for row in asyncio.run(
            measure(services, proxies, is_delta=is_delta, has_agents=given.tls, then=then)
        ):
            _show(row, is_first=not rows, as_json=given.json)
            rows.append(row)
    scale = None if given.quick else asyncio.run(large.measure())
    if scale and given.json:
        print(json.dumps(scale))
    if not given.json:
        print(_PEERS)
        print(_verdicts(rows))
        print(_independence(rows))
        print(large.describe(scale) if scale else "")


def _show(row: dict[str, float | str], *, is_first: bool, as_json: bool) -> None:
    print(json.dumps(row) if as_json else _line(row, first=is_first), flush=True)


def _plan(given: argparse.Namespace) -> list[tuple[int, int, bool]]:
    if given.quick:
        return [(1_000, 1_000, True)]
    variants = {"delta": [True], "sotw": [False], "both": [True, False]}[given.variant]
    # State of the world at 10,000 services sends a megabyte to every proxy for each new service:
    # nothing that anybody should do to 1,000 of them.
    return [
        (s, n, v)
        for s in given.services
        for n in given.proxies
        for v in variants
        if v or s * n <= 1_000_000
    ]


def _line(row: dict[str, float | str], *, first: bool) -> str:
    heads = [head for _, head, _ in _COLUMNS]
    cells = [form.format(row[key]) if key in row else "-" for key, _, form in _COLUMNS]
    widths = [max(len(head), 7) for head in heads]
    lines = [heads, cells] if first else [cells]
    return "\n".join(
        "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines
    )


def _verdicts(rows: list[dict[str, float | str]]) -> str:
    lines = ["Targets at 1,000 services and 1,000 proxies:"]
    for row in rows:
        if (row["S"], row["N"]) != _TARGETED:
            continue
        for key, targets in _TARGETS.items():
            target = targets.get(str(row["variant"]))
            value = row.get(key)
            if target is None or not isinstance(value, float | int):
                continue
            verdict = "met" if value <= target else "MISSED"
            lines.append(
                f"  {row['variant']:<6} {key:<18} {value:8.3f}  at most {target}  {verdict}"
            )
    return "\n".join(lines)


def _independence(rows: list[dict[str, float | str]]) -> str:
    """Does a change cost the same however many services there are?"""
    costs = {
        int(row["S"]): (float(row["endpoint_cpu"]), float(row["endpoint_bytes"]))
        for row in rows
        if row["variant"] == "delta" and row["N"] == _TARGETED[1]
    }
    if not {1_000, 10_000} <= costs.keys():
        return ""
    ratio = costs[10_000][0] / costs[1_000][0]
    verdict = "met" if ratio <= 1.5 else "MISSED"
    sizes = ", ".join(f"{size:.0f} at {s}" for s, (_, size) in sorted(costs.items()))
    return (
        f"One endpoint at 10,000 services / at 1,000: {ratio:.2f}  at most 1.5  {verdict}\n"
        f"Bytes to each proxy: {sizes}"
    )


if __name__ == "__main__":
    main()
