"""What pilot-core costs, beside its targets and what others cost on the same work.

    make bench                                   the whole table, about 12 minutes
    make bench ARGS='--quick'                    1,000 services, 1,000 proxies, delta
    make bench ARGS='-S 100 10000 -N 100 --json'

Server CPU in seconds of one change to all proxies; the server is pinned to one core and the clients
to another. Machines differ and are noisy: compare rows of one run, not absolute times of two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenarios import measure

_TARGETS = {
    "endpoint_cpu": {"delta": 0.20, "sotw": 0.25},
    "endpoint_p99_ms": {"delta": 250, "sotw": 250},
    "service_cpu": {"delta": 0.5},
    "storm_cpu": {"delta": 3, "sotw": 3},
    "restart_cpu": {"delta": 1.5},
    "kb_per_proxy": {"delta": 150, "sotw": 150},
    "equal_pushes": {"delta": 0, "sotw": 0},
    "idle_percent": {"delta": 1, "sotw": 1},
    "restart_repeated": {"delta": 0},
}
"""At 1,000 services and 1,000 proxies."""
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
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {1})
    rows = []
    for services, proxies, is_delta in _plan(given):
        rows.append(asyncio.run(measure(services, proxies, is_delta=is_delta)))
        print(json.dumps(rows[-1]) if given.json else _line(rows[-1], first=len(rows) == 1))
        sys.stdout.flush()
    if not given.json:
        print(_PEERS)
        print(_verdicts(rows))


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
        if (row["S"], row["N"]) != (1_000, 1_000):
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


if __name__ == "__main__":
    main()
