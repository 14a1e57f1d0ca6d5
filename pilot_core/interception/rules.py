"""The rules that send a workload's TCP connections to its proxy, as lines of iptables-save.

Rule 1: every line is spelled as iptables-save spells it, so that what is wanted and what is there
are compared as text.
Rule 2: whatever the proxy itself sends is let through before anything is redirected: a mistake here
is a loop.
Rule 3: every chain of ours begins with PREFIX, and nothing of others does.

See iptables-extensions(8) for `owner` and `REDIRECT`. Ports, user and the address 127.0.0.6 are
those of the sidecars that people know.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Literal

import msgspec

Family = Literal[4, 6]
PREFIX = "PILOT_"
INBOUND = f"{PREFIX}INBOUND"
OUTPUT = f"{PREFIX}OUTPUT"
CHAINS = (INBOUND, OUTPUT)

_ADMIN_PORT = "15000"
_PASSED_ON = {4: "127.0.0.6/32", 6: "::6/128"}
"""The source address of connections that a proxy passes on to its own workload."""
_LOOPBACK = {4: "127.0.0.1/32", 6: "::1/128"}


class Interception(msgspec.Struct, frozen=True):
    """What is to be redirected where. Ports are `80` or, for a range, `8000:8100`."""

    uids: tuple[int, ...] = (1337,)
    gids: tuple[int, ...] = (1337,)
    """The proxy's user or group: either one makes a connection the proxy's own."""
    outbound_port: int = 15001
    inbound_port: int = 15006
    include_inbound: tuple[str, ...] = ()
    """If there are any, connections to other ports stay as they are."""
    exclude_inbound: tuple[str, ...] = ()
    exclude_outbound: tuple[str, ...] = ()
    exclude_networks: tuple[str, ...] = ()
    """CIDRs of either family that are called without the proxy."""


def hooks() -> tuple[str, ...]:
    """The rules in the kernel's own chains, by which ours are reached."""
    return (f"-A PREROUTING -p tcp -j {INBOUND}", f"-A OUTPUT -p tcp -j {OUTPUT}")


def rules(wanted: Interception, family: Family) -> tuple[str, ...]:
    """All rules of the nat table of this family, hooks first, in the order that counts."""
    return (
        *hooks(),
        *(f"-A {INBOUND} {rule}" for rule in _inbound(wanted)),
        *(f"-A {OUTPUT} {rule}" for rule in _output(wanted, family)),
    )


def _inbound(wanted: Interception) -> Iterator[str]:
    for port in (_ADMIN_PORT, *wanted.exclude_inbound):
        yield f"{_to(port)} -j RETURN"
    redirect = f"-j REDIRECT --to-ports {wanted.inbound_port}"
    for port in wanted.include_inbound:
        yield f"{_to(port)} {redirect}"
    if not wanted.include_inbound:
        yield f"-p tcp {redirect}"


def _output(wanted: Interception, family: Family) -> Iterator[str]:
    yield f"-s {_PASSED_ON[family]} -o lo -j RETURN"
    for network in map(ipaddress.ip_network, wanted.exclude_networks):
        if network.version == family:
            yield f"-d {network} -j RETURN" if network.prefixlen else "-j RETURN"
    for port in wanted.exclude_outbound:
        yield f"{_to(port)} -j RETURN"
    owners = [f"-m owner --uid-owner {uid}" for uid in wanted.uids]
    owners += [f"-m owner --gid-owner {gid}" for gid in wanted.gids]
    for owner in owners:
        # The workload called its own service, and the proxy chose this very workload: the call
        # comes in as one from elsewhere would.
        yield f"! -d {_LOOPBACK[family]} -o lo {owner} -j {INBOUND}"
    for owner in owners:
        yield f"{owner} -j RETURN"
    # From here on, nothing is the proxy's. What stays within the workload stays there.
    yield "-o lo -j RETURN"
    yield f"-p tcp -j REDIRECT --to-ports {wanted.outbound_port}"


def _to(port: str) -> str:
    return f"-p tcp -m tcp --dport {port}"
