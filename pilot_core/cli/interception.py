"""`pilot-core iptables`: the kernel's rules that bring a workload's traffic to its proxy."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilot_core.errors import ConfigError

if TYPE_CHECKING:
    from pilot_core.interception.rules import Family, Interception

F = TypeVar("F", bound=Callable[..., Any])
_PORTS = re.compile(r"(\d{1,5})(?:[-:](\d{1,5}))?")
_PORT = click.IntRange(1, 65535)
_ID = click.IntRange(0, 2**32 - 2)

_ACTIONS = (
    click.option("--print", "action", flag_value="print", default=True, help="The default."),
    click.option("--apply", "action", flag_value="apply", help="In the place of what is there."),
    click.option("--undo", "action", flag_value="undo", help="Leave no rule and no chain."),
    click.option("--check", "action", flag_value="check", help="Exit 1 if they are not in place."),
)
_RULES = (
    click.option(
        "--uid",
        "uids",
        type=_ID,
        multiple=True,
        default=(1337,),
        metavar="N",
        help="The proxy's user, whose traffic is its own. May be repeated.  [default: 1337]",
    ),
    click.option(
        "--gid",
        "gids",
        type=_ID,
        multiple=True,
        default=(1337,),
        metavar="N",
        help="The proxy's group, likewise.  [default: 1337]",
    ),
    click.option("--outbound-port", type=_PORT, default=15001, metavar="PORT", show_default=True),
    click.option("--inbound-port", type=_PORT, default=15006, metavar="PORT", show_default=True),
    click.option(
        "--include-inbound",
        multiple=True,
        metavar="PORTS",
        help="Only these come in through the proxy, such as 80,8000-8100. Default: all.",
    ),
    click.option(
        "--exclude-inbound",
        multiple=True,
        default=("22",),
        show_default=True,
        metavar="PORTS",
        help="These come in without the proxy; its own port 15000 always does.",
    ),
    click.option(
        "--exclude-outbound", multiple=True, metavar="PORTS", help="Called without the proxy."
    ),
    click.option("--exclude-cidr", multiple=True, metavar="CIDR", help="Called without the proxy."),
    click.option(
        "--ipv6/--no-ipv6",
        "is_ipv6",
        default=False,
        help="IPv6 too, where there is any. Default: no, since proxies listen on IPv4.",
    ),
)


def _options(function: F) -> F:
    for option in reversed((*_ACTIONS, *_RULES)):
        function = option(function)
    return function


@click.command()
@_options
def iptables(action: str, is_ipv6: bool, **said: Any) -> int:
    """Print, apply, check or undo the rules that redirect a workload's TCP connections to its
    proxy. They hold in the network namespace in which this runs. What is printed is for
    iptables-restore --noflush."""
    wanted = _wanted(said)
    if action == "print":
        return _print(wanted, is_ipv6)
    from pilot_core.interception import kernel, rules

    kernel.require_right()
    there = {4: rules.rules(wanted, 4), 6: rules.rules(wanted, 6) if is_ipv6 else ()}
    if action == "undo":
        there = {4: (), 6: ()}
    act = _check if action == "check" else _put
    failed = act(4, there[4])
    try:
        failed |= act(6, there[6])
    except kernel.NoTable as error:
        # Where nothing can be, nothing has to go.
        if there[6]:
            _say(f"IPv6 is left out: {error}")
    return failed


def _print(wanted: Interception, is_ipv6: bool) -> int:
    from pilot_core.interception import rules, table

    print("# iptables-restore --noflush")
    print(table.applying("", rules.rules(wanted, 4)), end="")
    if is_ipv6:
        print("# ip6tables-restore --noflush")
        print(table.applying("", rules.rules(wanted, 6)), end="")
    return 0


def _put(family: Family, wanted: tuple[str, ...]) -> int:
    """These rules in the place of all of ours; without any, ours are gone."""
    from pilot_core.interception import kernel, table

    saved = kernel.save(family)
    text = table.applying(saved, wanted) if wanted else table.undoing(saved)
    if text:
        kernel.restore(family, text)
        _say(f"IPv{family}: {f'{len(wanted)} rules are in place' if wanted else 'undone'}")
    elif family == 4:
        _say("there was nothing to undo")
    return 0


def _check(family: Family, wanted: tuple[str, ...]) -> int:
    from pilot_core.interception import kernel, table

    found = table.differences(kernel.save(family), wanted)
    for difference in found:
        print(f"IPv{family}: {difference}")
    if wanted and not found:
        print(f"IPv{family}: {len(wanted)} rules are in place")
    return int(bool(found))


def _wanted(said: dict[str, Any]) -> Interception:
    from pilot_core.interception.rules import Interception

    return Interception(
        uids=tuple(dict.fromkeys(said["uids"])),
        gids=tuple(dict.fromkeys(said["gids"])),
        outbound_port=said["outbound_port"],
        inbound_port=said["inbound_port"],
        include_inbound=_ports("--include-inbound", said["include_inbound"]),
        exclude_inbound=_ports("--exclude-inbound", said["exclude_inbound"]),
        exclude_outbound=_ports("--exclude-outbound", said["exclude_outbound"]),
        exclude_networks=tuple(_network(cidr) for cidr in said["exclude_cidr"]),
    )


def _ports(option: str, said: tuple[str, ...]) -> tuple[str, ...]:
    words = (word.strip() for one in said for word in one.split(","))
    return tuple(dict.fromkeys(_port(option, word) for word in words if word))


def _port(option: str, word: str) -> str:
    found = _PORTS.fullmatch(word)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise ConfigError(f"{option} {word}: expected ports from 1 to 65535, such as 80,8000-8100")
    return str(first) if first == last else f"{first}:{last}"


def _network(cidr: str) -> str:
    try:
        return str(ipaddress.ip_network(cidr))
    except ValueError as error:
        raise ConfigError(f"--exclude-cidr: {error}") from None


def _say(words: str) -> None:
    print(f"pilot-core: {words}", file=sys.stderr)
