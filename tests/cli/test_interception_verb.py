"""`pilot-core iptables`: what is said wrong, and what is printed."""

from __future__ import annotations

import os
import subprocess

import pytest

from components import absent
from pilot_core.errors import Denied
from pilot_core.interception import kernel
from program import command, pilot


def test_the_rules_are_printed_unless_something_else_is_asked_for():
    ran = pilot("iptables", "--exclude-outbound", "443, 9000-9010", "--uid", "5", "--uid", "5")

    assert (0, "") == (ran.code, ran.err)
    assert "-A PILOT_OUTPUT -p tcp -m tcp --dport 9000:9010 -j RETURN\n" in ran.out
    assert 1 == ran.out.count("--uid-owner 5 -j RETURN")
    assert "1337 -j RETURN" in ran.out
    assert "ip6tables" not in ran.out
    assert ran == pilot(
        *("iptables", "--print", "--exclude-outbound", "443,9000:9010", "--uid", "5")
    )


def test_ipv6_is_printed_if_it_is_asked_for():
    ran = pilot("iptables", "--ipv6")

    assert "# ip6tables-restore --noflush\n*nat\n" in ran.out
    assert "-A PILOT_OUTPUT -s ::6/128 -o lo -j RETURN\n" in ran.out


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        ("--exclude-inbound 80,x", "--exclude-inbound x: expected ports from 1 to 65535"),
        ("--include-inbound 0", "--include-inbound 0: expected ports from 1 to 65535"),
        ("--exclude-outbound 70000", "--exclude-outbound 70000: expected ports"),
        ("--exclude-outbound 9-8", "--exclude-outbound 9-8: expected ports"),
        ("--exclude-cidr 10.0.0.1/8", "--exclude-cidr: 10.0.0.1/8 has host bits set"),
        ("--exclude-cidr here", "--exclude-cidr: 'here' does not appear to be"),
        ("--uid -2", "Invalid value for '--uid'"),
        ("--inbound-port 0", "Invalid value for '--inbound-port'"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_by_its_option(words, finding):
    ran = pilot("iptables", *words.split())

    assert (2, "") == (ran.code, ran.out)
    assert finding in ran.err


def test_without_the_right_it_says_which(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0000000000002fff\n")

    with pytest.raises(Denied, match="CAP_NET_ADMIN: run it as root"):
        kernel.require_right(status)


def test_with_the_right_alone_it_goes_on(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0000000000001000\n")

    assert kernel.require_right(status) is None


@pytest.mark.parametrize("action", ["--apply", "--undo", "--check"])
def test_an_ordinary_user_is_not_permitted(action):
    if os.geteuid() != 0:
        absent("root", "who takes capabilities away is root")
    # setpriv is in util-linux, which is everywhere.
    drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    ran = subprocess.run(
        [*drop, *command("iptables", action)], capture_output=True, text=True, check=False
    )

    assert (4, "") == (ran.returncode, ran.stdout)
    assert "CAP_NET_ADMIN" in ran.stderr


def test_where_iptables_is_missing_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "_PROGRAM", {4: "no-such-tables"})

    with pytest.raises(kernel.NoTable, match=r"not installed: on Debian .*apt-get install iptab"):
        kernel.save(4)
