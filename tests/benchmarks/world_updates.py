"""What it costs to keep a world: one endpoint changed among few and among many, puts, and an equal
re-list. CPU seconds of one process; the ratio of the first two rows is what has to stay near 1.

    python tests/benchmarks/world_updates.py [--json]
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import time
from collections.abc import Callable

from pilot_core.clock import SystemClock
from pilot_core.model import Endpoint, Endpoints, Record, Service, World
from pilot_core.registry import merging
from pilot_core.registry.guard import Guard
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.remarks import Remarks
from pilot_core.registry.session import Session
from pilot_core.telemetry.problems import Problems

_PER_SERVICE = 10
_CHANGES = 2_000
_weights = itertools.count(2)


class Registry:
    """One registry's session, and the world that its records make up."""

    def __init__(self) -> None:
        problems = Problems(SystemClock())
        self.mirror = Mirror(lambda registry: None)
        guard = Guard(
            "dc1",
            max_drop=1.0,
            problems=problems,
            clock=SystemClock(),
            size=lambda: self.mirror.count("dc1"),
        )
        remarks = Remarks("dc1", problems)
        self.session = Session(
            "dc1", self.mirror, guard=guard, remarks=remarks, on_synced=lambda: None
        )
        self.world = World()

    def batch(self) -> None:
        merged = merging.merged(self.mirror, self.mirror.take(), {"dc1": 0})
        self.world, _ = self.world.apply(merged.services, merged.endpoints)


def of_services(endpoints: int) -> Registry:
    """A source per service, each with its endpoints."""
    registry = Registry()
    for n in range(endpoints // _PER_SERVICE):
        registry.session.put(f"service/{n}", _service(n, weight=1))
    registry.batch()
    return registry


def _service(n: int, *, weight: int) -> tuple[Record, ...]:
    hostname = f"s{n}.shop.mesh"
    made = [Endpoint(addresses=(f"10.{n >> 8}.{n & 255}.{i}",)) for i in range(_PER_SERVICE)]
    made[0] = Endpoint(addresses=made[0].addresses, weight=weight)
    return (
        Service(hostname=hostname, namespace=f"n{n % 50}"),
        Endpoints(hostname=hostname, endpoints=tuple(made)),
    )


def change(registry: Registry, services: int) -> float:
    """Seconds for one endpoint changed, from the put to the new world: the median of many."""
    return statistics.median(_spent(_one(registry, n * 7 % services)) for n in range(_CHANGES))


def _one(registry: Registry, service: int) -> Callable[[], None]:
    # A weight that the endpoint has not had yet: an equal put would cost next to nothing.
    records = _service(service, weight=next(_weights))

    def work() -> None:
        registry.session.put(f"service/{service}", records)
        registry.batch()

    return work


def _instances(count: int) -> list[tuple[str, tuple[Record, ...]]]:
    """A source per instance, as the platforms have them that tell of tasks."""
    return [
        (
            f"task/{n}",
            (
                Endpoints(
                    hostname=f"s{n // 10}.mesh",
                    endpoints=(Endpoint(addresses=(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",)),),
                ),
            ),
        )
        for n in range(count)
    ]


def list_all(count: int) -> dict[str, float]:
    """Seconds for all sources put for the first time, and again with equal records."""
    registry = Registry()
    first, again = _instances(count), _instances(count)

    def put(listed: list[tuple[str, tuple[Record, ...]]]) -> None:
        for source, records in listed:
            registry.session.put(source, records)

    return {
        "put": _spent(lambda: put(first)),
        "world": _spent(registry.batch),
        "relist": _spent(lambda: put(again)),
    }


def _spent(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    gc.freeze()
    small, large = of_services(1_000), of_services(100_000)
    # In turns, so that a noisy neighbour is noise in both.
    rounds = [(change(small, 100), change(large, 10_000)) for _ in range(5)]
    few, many = (statistics.median(column) for column in zip(*rounds, strict=True))
    listed = list_all(100_000)
    figures = {
        "one_change_of_1000_us": few * 1e6,
        "one_change_of_100000_us": many * 1e6,
        "ratio": many / few,
        "puts_per_second": 100_000 / listed["put"],
        "world_of_100000_sources_s": listed["world"],
        "equal_relist_of_100000_s": listed["relist"],
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:28} {value:12.2f}")


if __name__ == "__main__":
    main()
