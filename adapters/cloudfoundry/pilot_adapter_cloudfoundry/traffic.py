"""What a hostname's routes ask for beside its instances: paths, and how requests are spread. Pure.

Rule: paths are matched as the foundation's routers do: by whole segments, the longest first, in any
case.
"""

from __future__ import annotations

import re
from collections import Counter

from pilot_adapter_cloudfoundry.route import Balancing, Pools, Route
from pilot_core.model.policy import How, Match, Subset, Target, Traffic, Where
from pilot_core.model.policy import Route as Rule

_BALANCING = {"least-connection": "least_request", "hash": "ring_hash"}
"""What is not the default, as Envoy names it."""


def asked(hostname: str, pools: Pools, *, by_path: bool) -> tuple[Traffic, ...]:
    """The policy for the hostname; none where nobody asks for more than the default."""
    balancing, unread = _balancing(pools)
    if not by_path and not balancing and not unread:
        return ()
    rules = tuple(_rule(hostname, path, pools[path]) for path in _longest_first(pools))
    processes = sorted({_process(r) for pool in pools.values() for r in pool} - {""})
    return (
        Traffic(
            name=f"route/{hostname}",
            hostname=hostname,
            routes=rules if by_path else (),
            subsets=tuple(
                Subset(name=process, labels=(("cf.process.id", process),))
                for process in (processes if by_path else ())
            ),
            balancing=balancing,
            unread=unread,
        ),
    )


def _longest_first(pools: Pools) -> list[str]:
    return sorted((path for path, pool in pools.items() if pool), key=lambda p: (-len(p), p))


def _rule(hostname: str, path: str, pool: tuple[Route, ...]) -> Rule:
    counts = Counter(_process(route) for route in pool)
    targets = tuple(Target(hostname, process, count) for process, count in sorted(counts.items()))
    if not path:
        return Rule(targets=targets)
    pattern = f"(?i){re.escape(path)}(/.*)?"
    return Rule(matches=((Match(Where.PATH, How.REGEX, pattern),),), targets=targets)


def _balancing(pools: Pools) -> tuple[str, tuple[str, ...]]:
    """How, in Envoy's words, and what is asked for that has no such word."""
    said = {route.balancing for pool in pools.values() for route in pool}
    names = {_BALANCING.get(one.how, "") for one in said}
    how = names.pop() if len(names) == 1 else ""
    unread = {text for one in said for text in _unread(one)}
    if names:
        unread.add("different options of its routes")
    return how, tuple(sorted(unread))


def _unread(asked: Balancing) -> list[str]:
    found = []
    if asked.hash_header:
        found.append(f"hash by the header {asked.hash_header}")
    if asked.hash_factor:
        found.append(f"hash_balance {asked.hash_factor:g}")
    if asked.how not in ("", "round-robin", *_BALANCING):
        found.append(f"loadbalancing {asked.how}")
    return found


def _process(route: Route) -> str:
    return dict(route.labels).get("cf.process.id", "")
