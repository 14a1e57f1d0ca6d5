"""Names, ports, health and framing: what is decided from values alone."""

from __future__ import annotations

import msgspec
import pytest
from fake_mesos import record
from hypothesis import given
from hypothesis import strategies as st
from pilot_adapter_mesos import health, ports
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.instance import Instance
from pilot_adapter_mesos.messages import Agent
from pilot_adapter_mesos.ports import Place
from pilot_adapter_mesos.recordio import Decoder, NotRecords

from mesos_values import AGENT_IP, an_instance, labels, with_ports
from pilot_core.adapter import ConfigError
from pilot_core.model import Health, Protocol


def found(made: Instance, *, prefer: str = "auto") -> list[tuple[str, int, str, int]]:
    said = ports.of(made, Place(AGENT_IP, prefer)).ports
    return [(p.name, p.service_number, p.address, p.number) for p in said]


# Ports


def test_a_port_in_the_network_of_the_host_is_taken_at_the_agent():
    port = {"number": 31005, "name": "http", "labels": labels(network__scope="host")}
    assert [("http", 31005, AGENT_IP, 31005)] == found(with_ports(port))


def test_a_virtual_address_numbers_the_service():
    port = {"number": 31005, "name": "http", "labels": labels(VIP_0="/web:80")}
    assert ("http", 80) == found(with_ports(port))[0][:2]


@pytest.mark.parametrize("vip", ["", "web", "/web:", "/web:0", "/web:99999", "/web:eighty"])
def test_a_virtual_address_without_a_port_is_none(vip):
    port = {"number": 31005, "name": "http", "labels": labels(VIP_0=vip)}
    assert ("http", 31005) == found(with_ports(port))[0][:2]


def test_a_label_of_ours_numbers_the_service_before_all():
    port = {"number": 31005, "name": "http", "labels": labels(VIP_0="/w:80", mesh_dot_port="8080")}
    assert ("http", 8080) == found(with_ports(port))[0][:2]


def test_a_mapped_port_behind_a_bridge_is_taken_at_the_host():
    docker = {
        "network": "BRIDGE",
        "port_mappings": [{"host_port": 31001, "container_port": 8080, "protocol": "tcp"}],
    }
    made = with_ports({"number": 31001, "name": "http"}, container={"docker": docker})
    assert [("http", 8080, AGENT_IP, 31001)] == found(made)


def test_a_task_without_discovery_has_the_ports_that_it_was_given():
    ranges = {"range": [{"begin": 31001, "end": 31002}]}
    made = with_ports(resources=[{"name": "ports", "type": "RANGES", "ranges": ranges}])
    assert [("port0", 31001, AGENT_IP, 31001), ("port1", 31002, AGENT_IP, 31002)] == found(made)


def test_where_nothing_says_which_address_the_setting_decides():
    made = with_ports({"number": 9000, "name": "http"})
    assert [("http", 9000, "10.0.0.1", 9000)] == found(made)
    assert [("http", 9000, AGENT_IP, 9000)] == found(made, prefer="agent")


def test_one_port_over_two_protocols_is_two():
    made = with_ports({"number": 53, "name": "dns", "protocol": "udp,tcp"})
    said = ports.of(made, Place(AGENT_IP)).ports
    assert [("dns", Protocol.UDP), ("dns-0", Protocol.TCP)] == [(p.name, p.protocol) for p in said]


@pytest.mark.parametrize(
    ("said", "protocol"),
    [
        ({"name": "http"}, Protocol.HTTP),
        ({"name": "admin-http"}, Protocol.HTTP),
        ({"name": "grpc-main"}, Protocol.GRPC),
        ({"name": "x", "protocol": "http"}, Protocol.HTTP),
        ({"name": "http", "labels": labels(mesh_dot_protocol="redis")}, Protocol.REDIS),
        ({"name": "http", "labels": labels(istio__protocol="grpc")}, Protocol.GRPC),
        ({"name": ""}, Protocol.TCP),
    ],
)
def test_what_is_spoken_is_found_in_labels_protocol_and_name(said, protocol):
    made = ports.of(with_ports({"number": 80, **said}), Place(AGENT_IP)).ports
    assert [protocol] == [port.protocol for port in made]


@pytest.mark.parametrize("number", [0, -1, 65536, 10**9])
def test_a_port_without_a_number_is_left_out_with_a_reason(number):
    said = ports.of(
        with_ports({"number": number, "name": "bad"}, {"number": 80, "name": "http"}),
        Place(AGENT_IP),
    )
    assert ["http"] == [port.name for port in said.ports]
    assert (f"port bad has the number {number}",) == said.problems


# Health


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"state": "TASK_STAGING"}, None),
        ({"state": "TASK_RUNNING"}, Health.HEALTHY),
        ({"state": "TASK_RUNNING", "health_check": {}}, Health.UNHEALTHY),
        ({"state": "TASK_RUNNING", "statuses": [{"healthy": False}]}, Health.UNHEALTHY),
        ({"state": "TASK_RUNNING", "statuses": [{"healthy": True}]}, Health.HEALTHY),
        (
            {
                "state": "TASK_RUNNING",
                "statuses": [{"check_status": {"http": {"status_code": 500}}}],
            },
            Health.UNHEALTHY,
        ),
        ({"state": "TASK_KILLING"}, Health.DRAINING),
        ({"state": "TASK_UNREACHABLE"}, Health.UNHEALTHY),
    ],
)
def test_a_task_is_as_well_as_its_state_and_its_checks(said, wanted):
    assert wanted is health.of(an_instance(said), None, is_machine_draining=False)


def test_what_runs_on_an_agent_that_drains_is_draining():
    made = an_instance({"state": "TASK_RUNNING"})
    drains = msgspec.convert({"drain_info": {"state": "DRAINING"}}, Agent)
    assert Health.DRAINING is health.of(made, drains, is_machine_draining=False)
    assert Health.DRAINING is health.of(made, None, is_machine_draining=True)


# Records


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 12), max_size=80))
def test_records_come_out_whole_however_the_network_cuts_them(payloads, sizes):
    stream = b"".join(b"%d\n%s" % (len(p), p) for p in payloads)
    decoder, seen = Decoder(), []
    for size in [*sizes, len(stream) + 1]:
        seen += list(decoder.feed(stream[:size]))
        stream = stream[size:]
    assert payloads == seen
    assert decoder.is_between_records


@pytest.mark.parametrize(
    "data", [b"x\n", b"-1\n", b"99999999999\n", b"no number for a while", b"\n"]
)
def test_what_is_no_length_is_no_stream_of_records(data):
    with pytest.raises(NotRecords):
        list(Decoder().feed(data))


def test_a_record_of_many_megabytes_is_one_record():
    large = record({"type": "X", "text": "x" * 12_000_000})
    decoder = Decoder()
    seen = [r for at in range(0, len(large), 65536) for r in decoder.feed(large[at : at + 65536])]
    assert [len(large) - len(b"12000028\n")] == [len(r) for r in seen]


# Settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"masters": ("mesos:5050",)}, "masters\\[0\\]: expected http"),
        ({"masters": ("http://u:p@h:1",)}, "masters\\[0\\]"),
        ({"masters": ("http://h:1",), "agent_address": "attribute:"}, "agent_address"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        MesosConfig(**settings)
