"""The last gate before a proxy: what is no address gets no further."""

from __future__ import annotations

import pytest

from pilot_core.model import Resolution
from pilot_core.plan import addresses


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("80", ("127.0.0.1", 80)),
        (":80", ("127.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[0:0:0:0:0:0:0:1]:80", ("::1", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_an_address_to_listen_on(text, wanted):
    assert wanted == addresses.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", ":", "0", "65536", "a:80", "127.0.0.1", "127.0.0.1:", "1.2.3:80", "-1", "8 0", "9" * 5000],
)
def test_what_is_none(text):
    assert addresses.parse(text) is None


@pytest.mark.parametrize("text", ["10.0.0.1", "::1", "fd00::7", "::ffff:10.0.0.1"])
def test_ip_addresses(text):
    assert addresses.is_ip(text)


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.01", "fe80::1%eth0", "a.b", "10.0.0.1\0"])
def test_no_ip_addresses(text):
    assert not addresses.is_ip(text)


def test_a_socket_s_path_is_absolute_and_fits():
    assert addresses.is_unix("unix:///run/a.sock")
    assert addresses.is_unix("unix://@abstract")
    assert not addresses.is_unix("unix://a.sock")
    assert not addresses.is_unix("/run/a.sock")
    assert not addresses.is_unix("unix:///" + "a" * 107)
    assert not addresses.is_unix("unix:///run/a\0")


def test_several_addresses_of_one_endpoint_are_ip_addresses():
    mixed = ("10.0.0.1", "unix:///a", "fd00::1", "x")
    assert ("10.0.0.1", "fd00::1") == addresses.usable(mixed, Resolution.STATIC)
    assert ("unix:///a",) == addresses.usable(("unix:///a", "10.0.0.1"), Resolution.STATIC)
    assert () == addresses.usable((), Resolution.STATIC)


def test_a_name_is_an_address_only_where_proxies_resolve_it():
    assert ("a.example.com",) == addresses.usable(("a.example.com", "b"), Resolution.DNS)
    assert ("10.0.0.1",) == addresses.usable(("10.0.0.1",), Resolution.DNS)
    assert () == addresses.usable(("unix:///a",), Resolution.DNS)
    assert () == addresses.usable(("a b",), Resolution.DNS)
    assert () == addresses.usable(("a.example.com",), Resolution.STATIC)


def test_nobody_has_a_wildcard_address_as_his_own():
    assert addresses.is_own("10.0.0.1")
    assert addresses.is_own("::1")
    for text in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "x"):
        assert not addresses.is_own(text)
