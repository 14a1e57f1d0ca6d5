"""What people say on the command line: read, or refused with the form that was expected."""

from __future__ import annotations

import pytest

from pilot_core.errors import ConfigError
from pilot_xds import proxy_options
from pilot_xds.proxy_options import ProxyOptions


def test_listeners_for_single_services():
    assert {
        "127.0.0.1:9001": "billing.shop.mesh:80",
        "10.0.0.1:9002": "db:5432",
        "[::1]:9003": "db:5432",
    } == proxy_options.outbound(
        ["9001=Billing.Shop.Mesh:80", "10.0.0.1:9002=db:5432", "[::1]:9003=db:5432"]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9001", r"--outbound 9001: expected \[IP:\]PORT=HOSTNAME:PORT"),
        ("9001=billing", "expected"),
        ("9001=:80", "expected"),
        ("9001=a b:80", "expected"),
        ("9001=billing:0", "expected"),
        ("0=billing:80", "'0' is not a port"),
        ("port=billing:80", "'port' is not a port"),
        ("a.b:9001=billing:80", "expected an IP address"),
    ],
)
def test_a_listener_that_cannot_be_read(text, words):
    with pytest.raises(ConfigError, match=words):
        proxy_options.outbound([text])


def test_two_listeners_at_one_address_are_refused():
    with pytest.raises(ConfigError, match="is used for a:80 already"):
        proxy_options.outbound(["9001=a:80", "127.0.0.1:9001=b:80"])


def test_where_the_application_is():
    assert {"9080": "10.0.0.1:9000", "81": "127.0.0.1:8081"} == proxy_options.inbound(
        ["9080=10.0.0.1:9000", "81=8081"]
    )


@pytest.mark.parametrize("text", ["", "9080", "x=127.0.0.1:1", "9080=127.0.0.1:x", "0=1"])
def test_an_application_that_cannot_be_read(text):
    with pytest.raises(ConfigError, match="--inbound"):
        proxy_options.inbound([text])


def test_labels():
    assert {"version": "v1", "empty": "", "sum": "1=1"} == proxy_options.labels(
        ["version=v1", "empty=", "sum=1=1"]
    )


@pytest.mark.parametrize("text", ["version", "=v1", ""])
def test_a_label_that_is_none(text):
    with pytest.raises(ConfigError, match="expected K=V"):
        proxy_options.labels([text])


def test_port_zero_only_where_it_may_be_chosen():
    assert "127.0.0.1:0" == proxy_options.address("--admin", "127.0.0.1:0", zero=True)
    with pytest.raises(ConfigError, match="--http-listener"):
        proxy_options.address("--http-listener", "127.0.0.1:0")


def test_addresses():
    assert "[::1]:80" == proxy_options.address("--admin", "[::1]:80")
    assert "::1" == proxy_options.ip("--address", "0:0:0:0:0:0:0:1")
    assert "pilot:15010" == proxy_options.host_and_port("--xds", "pilot:15010")
    for text in ("pilot", ":15010", "pilot:x"):
        with pytest.raises(ConfigError, match="expected HOST:PORT"):
            proxy_options.host_and_port("--xds", text)
    with pytest.raises(ConfigError, match="expected an IP address"):
        proxy_options.ip("--address", "pilot")


@pytest.mark.parametrize("name", ["", "a b", "a~b", "a/b", "a\n", "a|b"])
def test_names_that_would_break_the_node_s_id(name):
    with pytest.raises(ConfigError, match="--workload"):
        ProxyOptions(workload=name)
    with pytest.raises(ConfigError, match="--namespace"):
        ProxyOptions(workload="w", namespace=name)
