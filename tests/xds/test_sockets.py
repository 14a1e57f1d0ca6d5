"""Connections are ended by their sockets: those that are meant, and no others."""

from __future__ import annotations

import contextlib
import socket

import pytest

from pilot_xds import sockets


@contextlib.contextmanager
def connected(family, address):
    """A listening socket, and both ends of a connection to it."""
    with socket.socket(family) as listening:
        listening.bind((address, 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()[:2], timeout=10) as theirs:
            ours, _ = listening.accept()
            with ours:
                yield listening.getsockname()[1], ours, theirs


def peer_of(theirs):
    host, port, *_ = theirs.getsockname()
    return f"ipv6:[{host}]:{port}" if theirs.family is socket.AF_INET6 else f"ipv4:{host}:{port}"


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_the_connection_of_a_peer_is_shut_down(family, address):
    with connected(family, address) as (port, _, theirs):
        assert 1 == sockets.cut_off(port, {peer_of(theirs)})
        assert b"" == theirs.recv(1)


def test_a_peer_in_grpcs_spelling_is_recognized():
    with connected(socket.AF_INET6, "::1") as (port, _, theirs):
        escaped = peer_of(theirs).replace("[", "%5B").replace("]", "%5D")
        assert 1 == sockets.cut_off(port, {escaped})


def test_other_peers_and_other_ports_are_left_alone():
    with connected(socket.AF_INET, "127.0.0.1") as (port, ours, theirs):
        assert 0 == sockets.cut_off(port, {"ipv4:127.0.0.1:1"})
        assert 0 == sockets.cut_off(1, {peer_of(theirs)})
        assert 0 == sockets.cut_off(port, set())
        ours.sendall(b"x")
        assert b"x" == theirs.recv(1)
