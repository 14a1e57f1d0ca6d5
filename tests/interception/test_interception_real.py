"""`pilot-core iptables` with real rules, in a network namespace of the test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess

import pytest

from components import absent
from own_network import own_network
from program import pilot

SELF, OTHER = "10.9.0.1", "10.9.0.2"
PROXY = 1337
_SO_ORIGINAL_DST = 80
_PATIENCE = 20


@pytest.fixture
def network():
    """A workload's network: one address of its own, one that is somebody else's."""
    if shutil.which("iptables-restore") is None:
        absent("iptables", "apt-get install iptables")
    with own_network():
        system("ip", "link", "add", "wire", "type", "veth", "peer", "name", "end")
        system("ip", "address", "add", f"{SELF}/24", "dev", "wire")
        system("ip", "link", "set", "wire", "up")
        system("ip", "link", "set", "end", "up")
        # What is not redirected is refused at once, instead of vanishing in the wire.
        system("iptables", "-A", "OUTPUT", "-d", OTHER, "-p", "tcp", "-j", "REJECT",
               "--reject-with", "tcp-reset")  # fmt: skip
        # Something of others, that has to stay.
        system("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "10.9.9.9", "-j", "RETURN")
        yield


def system(*words):
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


def nat(program="iptables-save"):
    """The lines of the table, without times and counters."""
    lines = system(program, "-t", "nat").splitlines()
    return [line.partition(" [")[0] for line in lines if not line.startswith("#")]


def iptables(*words):
    ran = pilot("iptables", *words)
    assert 0 == ran.code, ran.err
    return ran


@contextlib.contextmanager
def listening(*ports):
    """Sockets that listen on every address, by their ports."""
    with contextlib.ExitStack() as stack:
        yield {port: stack.enter_context(socket.create_server(("0.0.0.0", port))) for port in ports}


def call(host, port, user=0, group=0, source=None):
    """A connection as this user would make it. The kernel asks who made the socket."""
    os.setegid(group)
    os.seteuid(user)
    try:
        made = socket.socket()
    finally:
        os.seteuid(0)
        os.setegid(0)
    made.settimeout(_PATIENCE)
    try:
        if source:
            made.bind((source, 0))
        made.connect((host, port))
    except OSError:
        made.close()
        raise
    return made


def meant(listener):
    """Where the connection that arrived here was going."""
    listener.settimeout(_PATIENCE)
    arrived, _ = listener.accept()
    with arrived:
        said = arrived.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from("!2xH4s", said)
    return socket.inet_ntoa(address), port


def test_applied_checked_and_undone_the_table_is_as_it_was(network):
    before = nat()

    assert 1 == pilot("iptables", "--check").code
    iptables("--apply")
    assert "IPv4: 12 rules are in place" in iptables("--check").out
    iptables("--undo")

    assert before == nat()
    assert [] == [line for line in nat("ip6tables-save") if "PILOT" in line]


def test_applied_again_is_applied_once(network):
    iptables("--apply")
    once = nat()
    iptables("--apply")

    assert once == nat()


def test_applied_with_other_options_takes_the_place_of_what_was_there(network):
    iptables("--apply", "--ipv6", "--uid", "7", "--exclude-cidr", "10.0.0.0/8")
    iptables("--check", "--ipv6", "--uid", "7", "--exclude-cidr", "10.0.0.0/8")
    ran = pilot("iptables", "--check")
    iptables("--apply")

    assert 1 == ran.code
    assert "IPv4: not expected: -A PILOT_OUTPUT -d 10.0.0.0/8 -j RETURN" in ran.out
    assert [] == [line for line in nat() if "10.0.0.0/8" in line or "owner 7 " in line]
    assert [] == [line for line in nat("ip6tables-save") if "PILOT" in line]


EVERYTHING = (
    "--ipv6 --uid 0 --uid 5 --gid 6 --outbound-port 1 --inbound-port 2 --include-inbound 80,90-95 "
    "--exclude-inbound 91 --exclude-outbound 443,9000:9010 --exclude-cidr 0.0.0.0/0 "
    "--exclude-cidr fd00::/8 --exclude-cidr 192.0.2.1/32"
)


def test_every_rule_is_spelled_as_the_system_spells_it(network):
    iptables("--apply", *EVERYTHING.split())

    assert "" == iptables("--check", *EVERYTHING.split()).err


@pytest.mark.parametrize(
    "half",
    [
        ("-N PILOT_INBOUND",),
        ("-N PILOT_OUTPUT", *["-A OUTPUT -p tcp -j PILOT_OUTPUT"] * 2),
    ],
)
def test_half_of_it_can_be_undone_and_completed(network, half):
    before = nat()
    for rule in half:
        system("iptables", "-t", "nat", *rule.split())
    assert before != nat()
    iptables("--undo")
    assert before == nat()

    for rule in half:
        system("iptables", "-t", "nat", *rule.split())
    iptables("--apply")
    iptables("--check")


def test_nothing_is_undone_twice(network):
    assert "there was nothing to undo" in iptables("--undo").err


def test_what_is_printed_is_what_is_applied(network):
    iptables("--apply", "--exclude-outbound", "443")
    applied = nat()
    iptables("--undo")
    printed = iptables("--print", "--exclude-outbound", "443").out
    subprocess.run(["iptables-restore", "--noflush"], input=printed, text=True, check=True)

    assert applied == nat()


def test_a_rule_that_somebody_took_away_is_missed(network):
    iptables("--apply")
    system("iptables", "-t", "nat", "-D", "PREROUTING", "-p", "tcp", "-j", "PILOT_INBOUND")
    ran = pilot("iptables", "--check")

    assert (1, "IPv4: missing: -A PREROUTING -p tcp -j PILOT_INBOUND\n") == (ran.code, ran.out)


def test_what_the_workload_sends_arrives_at_the_proxy(network):
    iptables("--apply")
    with listening(15001, 15006) as proxy, call(OTHER, 80):
        assert (OTHER, 80) == meant(proxy[15001])


@pytest.mark.parametrize("who", [{"user": PROXY}, {"group": PROXY}])
def test_what_the_proxy_sends_leaves(network, who):
    iptables("--apply")
    with listening(15001, 15006), pytest.raises(ConnectionRefusedError):
        call(OTHER, 80, **who)


@pytest.mark.parametrize(
    "excluded", [("--exclude-outbound", "79-81"), ("--exclude-cidr", f"{OTHER}/32")]
)
def test_what_is_excluded_leaves_without_the_proxy(network, excluded):
    iptables("--apply", *excluded)
    with listening(15001), pytest.raises(ConnectionRefusedError):
        call(OTHER, 80)


@pytest.mark.parametrize("who", [{"user": PROXY}, {"group": PROXY}])
def test_a_call_by_way_of_the_proxy_to_its_own_workload_comes_in_as_any_other(network, who):
    iptables("--apply")
    with listening(15006, 8080) as sockets, call(SELF, 8080, **who):
        assert (SELF, 8080) == meant(sockets[15006])


def test_what_the_proxy_passes_on_arrives_at_the_workload(network):
    iptables("--apply")
    with listening(15001, 15006, 8080) as sockets:
        with call(SELF, 8080, user=PROXY, source="127.0.0.6"):
            assert (SELF, 8080) == meant(sockets[8080])
        with call("127.0.0.1", 8080, user=PROXY):
            assert ("127.0.0.1", 8080) == meant(sockets[8080])


@pytest.mark.parametrize("host", [SELF, "127.0.0.1"])
def test_what_the_workload_says_to_itself_stays_there(network, host):
    iptables("--apply")
    with listening(15001, 15006, 8080) as sockets, call(host, 8080):
        assert (host, 8080) == meant(sockets[8080])


def test_a_port_that_is_excluded_comes_in_without_the_proxy(network):
    iptables("--apply", "--exclude-inbound", "8080")
    with listening(15006, 8080) as sockets, call(SELF, 8080, user=PROXY):
        assert (SELF, 8080) == meant(sockets[8080])


def test_after_undo_connections_go_where_they_are_going(network):
    iptables("--apply")
    iptables("--undo")
    with listening(15001), pytest.raises(ConnectionRefusedError):
        call(OTHER, 80)
