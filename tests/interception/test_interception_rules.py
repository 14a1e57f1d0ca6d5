"""The rules as values: which there are, in which order, and how they come and go."""

from __future__ import annotations

import msgspec
import pytest

from pilot_core.interception import rules, table
from pilot_core.interception.rules import Interception

WANTED = rules.rules(Interception(), 4)
FOREIGN = "-A OUTPUT -d 10.96.0.10/32 -j KUBE_DNS"


def saved(*lines, chains=()):
    """As iptables-save prints it."""
    declared = [f":{chain} - [0:0]" for chain in chains]
    return "\n".join(["# Generated", "*nat", ":OUTPUT ACCEPT [4:240]", *declared, *lines, "COMMIT"])


def output(family=4, **said):
    made = rules.rules(Interception(**said), family)
    return [r.removeprefix("-A PILOT_OUTPUT ") for r in made if r.startswith("-A PILOT_OUTPUT ")]


def inbound(**said):
    made = rules.rules(Interception(**said), 4)
    return [r.removeprefix("-A PILOT_INBOUND ") for r in made if r.startswith("-A PILOT_INBOUND ")]


def test_what_comes_in_goes_to_the_proxy_but_for_its_own_port():
    assert [
        "-p tcp -m tcp --dport 15000 -j RETURN",
        "-p tcp -j REDIRECT --to-ports 15006",
    ] == inbound()


def test_ports_can_be_left_out():
    assert [
        "-p tcp -m tcp --dport 15000 -j RETURN",
        "-p tcp -m tcp --dport 22 -j RETURN",
        "-p tcp -m tcp --dport 8000:8100 -j RETURN",
        "-p tcp -j REDIRECT --to-ports 15006",
    ] == inbound(exclude_inbound=("22", "8000:8100"))


def test_or_only_some_of_them_are_taken():
    assert [
        "-p tcp -m tcp --dport 15000 -j RETURN",
        "-p tcp -m tcp --dport 80 -j REDIRECT --to-ports 7",
        "-p tcp -m tcp --dport 90 -j REDIRECT --to-ports 7",
    ] == inbound(include_inbound=("80", "90"), inbound_port=7)


def test_the_proxys_own_traffic_is_let_through_before_anything_is_redirected():
    assert [
        "-s 127.0.0.6/32 -o lo -j RETURN",
        "! -d 127.0.0.1/32 -o lo -m owner --uid-owner 1337 -j PILOT_INBOUND",
        "! -d 127.0.0.1/32 -o lo -m owner --gid-owner 1337 -j PILOT_INBOUND",
        "-m owner --uid-owner 1337 -j RETURN",
        "-m owner --gid-owner 1337 -j RETURN",
        "-o lo -j RETURN",
        "-p tcp -j REDIRECT --to-ports 15001",
    ] == output()


def test_each_of_several_users_is_the_proxy():
    owned = [rule.partition("-m owner ")[2] for rule in output(uids=(1, 2), gids=())]

    assert [
        "",
        "--uid-owner 1 -j PILOT_INBOUND",
        "--uid-owner 2 -j PILOT_INBOUND",
        "--uid-owner 1 -j RETURN",
        "--uid-owner 2 -j RETURN",
        "",
        "",
    ] == owned


def test_networks_are_left_out_in_their_own_family():
    said = {"exclude_networks": ("10.0.0.0/8", "fd00::/8"), "uids": (), "gids": ()}

    assert "-d 10.0.0.0/8 -j RETURN" == output(**said)[1]
    assert "-d fd00::/8 -j RETURN" == output(6, **said)[1]
    assert 4 == len(output(**said)) == len(output(6, **said))


def test_everything_can_be_left_out():
    # iptables-save does not print a destination that is any.
    assert "-j RETURN" == output(exclude_networks=("0.0.0.0/0",))[1]


def test_what_was_excluded_is_so_for_the_proxy_too():
    made = output(exclude_outbound=("443",))

    assert "-p tcp -m tcp --dport 443 -j RETURN" == made[1]


def test_a_table_is_changed_by_one_transaction():
    lines = table.applying("", WANTED).splitlines()

    assert ["*nat", ":PILOT_INBOUND - [0:0]", ":PILOT_OUTPUT - [0:0]"] == lines[:3]
    assert [*WANTED, "COMMIT"] == lines[3:]


def test_applied_again_the_old_hooks_go_in_the_same_transaction():
    lines = table.applying(saved(FOREIGN, *WANTED, chains=rules.CHAINS), WANTED).splitlines()

    assert ["-D PREROUTING -p tcp -j PILOT_INBOUND", "-D OUTPUT -p tcp -j PILOT_OUTPUT"] == [
        line for line in lines if line.startswith("-D")
    ]
    assert [*WANTED, "COMMIT"] == lines[-len(WANTED) - 1 :]


def test_undone_is_what_is_there_and_no_more():
    text = table.undoing(saved(FOREIGN, WANTED[1], chains=("KUBE_DNS", "PILOT_OUTPUT")))

    assert [
        "*nat",
        "-D OUTPUT -p tcp -j PILOT_OUTPUT",
        "-F PILOT_OUTPUT",
        "-X PILOT_OUTPUT",
        "COMMIT",
    ] == text.splitlines()


def test_chains_of_an_older_version_are_undone_too():
    text = table.undoing(saved("-A OUTPUT -g x -j PILOT_OLD", chains=("PILOT_OLD",)))

    assert ["-D OUTPUT -g x -j PILOT_OLD", "-F PILOT_OLD", "-X PILOT_OLD"] == (
        text.splitlines()[1:-1]
    )


@pytest.mark.parametrize("there", ["", saved(), saved(FOREIGN, chains=("KUBE_DNS",))])
def test_nothing_is_undone_where_nothing_is(there):
    assert "" == table.undoing(there)


def test_what_is_as_wanted_has_no_differences():
    assert () == table.differences(saved(FOREIGN, *WANTED), WANTED)


def test_a_missing_rule_and_one_too_many_are_named():
    there = [*WANTED[:-1], "-A PILOT_OUTPUT -p tcp -j ACCEPT", WANTED[0]]

    assert (
        f"missing: {WANTED[-1]}",
        "not expected: -A PILOT_OUTPUT -p tcp -j ACCEPT",
        f"not expected: {WANTED[0]}",
    ) == table.differences(saved(*there), WANTED)


def test_the_order_of_rules_counts():
    there = [*WANTED[:-2], WANTED[-1], WANTED[-2]]

    assert ("the rules are not in the order that counts",) == table.differences(
        saved(*there), WANTED
    )


def test_rules_of_another_family_differ_in_addresses_alone():
    ours, theirs = WANTED, rules.rules(Interception(), 6)

    assert [
        (a, b.replace("::6/128", "127.0.0.6/32").replace("::1/128", "127.0.0.1/32"))
        for a, b in zip(ours, theirs, strict=True)
    ] == [(a, a) for a in ours]


def test_an_interception_is_a_value():
    with pytest.raises(AttributeError):
        Interception().uids = ()  # type: ignore[misc]
    assert Interception() == msgspec.json.decode(
        msgspec.json.encode(Interception()), type=Interception
    )
