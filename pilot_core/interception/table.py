"""Changes of the nat table as one transaction each: what is there, what is wanted, what to send.

`saved` is always what `iptables-save -t nat` printed; what comes out is for
`iptables-restore --noflush`, which does all of it or nothing.

Rule 1: what others have in the table is neither changed nor named.
Rule 2: applied again, or after a half that somebody left behind, the outcome is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from pilot_core.interception.rules import CHAINS, PREFIX


def applying(saved: str, wanted: Sequence[str]) -> str:
    """Put the wanted rules in the place of all that are there. For an empty table, pass ""."""
    # A chain that is declared is made, or emptied if it was there.
    declared = [f":{chain} - [0:0]" for chain in CHAINS]
    return _transaction([*declared, *_unhooking(saved), *wanted])


def undoing(saved: str) -> str:
    """Take every rule and chain of ours away; "" if there is none."""
    chains = _chains(saved)
    # Chains refer to one another: all are emptied before the first goes.
    lines = [*_unhooking(saved), *(f"-F {c}" for c in chains), *(f"-X {c}" for c in chains)]
    return _transaction(lines) if lines else ""


def differences(saved: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """What is not as it is wanted, in words; none if all of it is in place."""
    there = [line for line in saved.splitlines() if _is_ours(line)]
    missing = [f"missing: {rule}" for rule in wanted if rule not in there]
    more = [f"not expected: {rule}" for rule in _surplus(there, wanted)]
    if not missing and not more and _of_chains(there) != _of_chains(wanted):
        more = ["the rules are not in the order that counts"]
    return (*missing, *more)


def _surplus(there: Iterable[str], wanted: Iterable[str]) -> list[str]:
    left = list(wanted)
    surplus = []
    for rule in there:
        if rule in left:
            left.remove(rule)
        else:
            surplus.append(rule)
    return surplus


def _of_chains(rules: Iterable[str]) -> list[str]:
    """Sorted by chain: the order between chains is nothing."""
    return sorted(rules, key=lambda rule: rule.split()[1])


def _unhooking(saved: str) -> list[str]:
    """Out of the chains of others, every rule that leads to ours."""
    return [
        f"-D{line.removeprefix('-A')}"
        for line in saved.splitlines()
        if _is_ours(line) and not line.split()[1].startswith(PREFIX)
    ]


def _is_ours(line: str) -> bool:
    words = line.split()
    return words[:1] == ["-A"] and (
        words[1].startswith(PREFIX)
        or any(w == "-j" and to.startswith(PREFIX) for w, to in pairwise(words))
    )


def _chains(saved: str) -> list[str]:
    names = (line[1:].split()[0] for line in saved.splitlines() if line.startswith(":"))
    return [name for name in names if name.startswith(PREFIX)]


def _transaction(lines: Iterable[str]) -> str:
    return "\n".join(["*nat", *lines, "COMMIT", ""])
