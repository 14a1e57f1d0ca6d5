"""What services are called, and what a task is to them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fake_mesos import FRAMEWORK, task
from pilot_adapter_mesos import convert, maintenance, naming
from pilot_adapter_mesos.config import Grant
from pilot_adapter_mesos.enrichment import Extra
from pilot_adapter_mesos.hostnames import Hostnames, Names
from pilot_adapter_mesos.messages import Schedule
from pilot_adapter_mesos.naming import ServiceKey

from mesos_values import a_member, an_instance, labels, with_ports
from pilot_core.model import Endpoint, Health, TlsMode

# Names


@pytest.mark.parametrize(
    ("service", "framework", "hostname"),
    [
        ("web.prod", "marathon", "web.prod.marathon.mesos"),
        ("Web_Front", "Marathon User", "web-front.marathonuser.mesos"),
        ("a..b", "x.y", "a.b.x.y.mesos"),
        ("-a-", "fw", "a.fw.mesos"),
        ("x" * 80, "fw", "x" * 63 + ".fw.mesos"),
    ],
)
def test_hostnames_are_mangled_label_by_label(service, framework, hostname):
    assert hostname == naming.hostname(ServiceKey(framework, service), "mesos")


@pytest.mark.parametrize("service", ["", "???", "...", ".".join(["x" * 60] * 5)])
def test_a_name_of_which_nothing_can_be_made_is_an_error(service):
    with pytest.raises(naming.Unnamed):
        naming.hostname(ServiceKey("fw", service), "mesos")


def test_a_label_names_the_service_before_discovery_does():
    made = an_instance(task("a", "web", "10.0.0.1"))
    said = {"mesh.service": "front"}
    assert ServiceKey("fw", "front", FRAMEWORK) == naming.key(made.task, "fw", said)


def test_a_service_has_all_ports_of_its_tasks_and_the_lowest_number_of_each():
    parts = [
        a_member(with_ports({"number": number, "name": "http"}, *more)).parts[0]
        for number, more in ((31009, ()), (31002, ({"number": 9901, "name": "admin"},)))
    ]
    made = convert.service(parts)
    assert [("admin", 9901), ("http", 31002)] == sorted((p.name, p.number) for p in made.ports)


# Who has a name


def named(*keys: ServiceKey, aliases: tuple[str, ...] = ("mesos-dns",)) -> dict[str, Names]:
    """What services are called that come in this order, by what they call themselves."""
    hostnames = Hostnames("mesos", aliases)
    for key in keys:
        hostnames.join(key)
    return {f"{key.service} of {key.framework_id}": hostnames.of(key) for key in keys}


def test_a_service_with_dots_is_found_by_one_label_too():
    [found] = named(ServiceKey("marathon", "web.prod", "m-0")).values()
    assert Names("web.prod.marathon.mesos", ("web-prod.marathon.mesos",)) == found
    [found] = named(ServiceKey("m", "a.b", "m-0"), aliases=("autoip",)).values()
    assert ("a-b.m.autoip.dcos.thisdcos.directory",) == found.aliases


@pytest.mark.parametrize("is_reversed", [False, True])
def test_of_two_names_that_come_out_the_same_the_unmangled_one_has_it(is_reversed):
    keys = [ServiceKey("fw", "Web_Front", "m-0"), ServiceKey("fw", "web-front", "m-0")]
    found = named(*(reversed(keys) if is_reversed else keys))
    assert "web-front.fw.mesos" == found["web-front of m-0"].hostname
    other = found["Web_Front of m-0"]
    assert "web-front-af143.fw.mesos" == other.hostname
    [remark] = other.remarks
    assert "web-front.fw.mesos is the name of 'web-front' of fw (m-0)" in remark
    assert () == found["web-front of m-0"].remarks


@pytest.mark.parametrize("is_reversed", [False, True])
def test_of_two_frameworks_of_one_name_the_older_has_it(is_reversed):
    keys = [ServiceKey("marathon", "web", "m-0009"), ServiceKey("marathon", "web", "m-0010")]
    found = named(*(reversed(keys) if is_reversed else keys))
    assert "web.marathon.mesos" == found["web of m-0009"].hostname
    assert "web.marathon-0010.mesos" == found["web of m-0010"].hostname


def test_a_name_is_free_again_when_its_service_is_gone():
    first, second = ServiceKey("fw", "a", "m-1"), ServiceKey("fw", "a", "m-2")
    hostnames = Hostnames("mesos", ())
    assert set() == hostnames.join(first)
    assert {first} == hostnames.join(second)
    assert {second} == hostnames.leave(first)
    assert Names("a.fw.mesos") == hostnames.of(second)


def test_an_alias_gives_way_to_a_service_of_that_name():
    found = named(ServiceKey("fw", "web.prod", "m-0"), ServiceKey("fw", "web-prod", "m-0"))
    assert () == found["web.prod of m-0"].aliases
    assert "web-prod.fw.mesos" == found["web-prod of m-0"].hostname
    assert ["web-prod.fw.mesos is the name"] == [
        remark[:29] for remark in found["web.prod of m-0"].remarks
    ]


# Virtual addresses


def test_a_virtual_address_is_a_service_of_its_own_that_others_may_share():
    port = {"number": 31005, "name": "http", "labels": labels(VIP_0="/shop/web:80")}
    more = {**port, "labels": labels(VIP_0="/shop/web:80", mesh_dot_port="8080")}
    blue, green = (a_member(with_ports(each)) for each in (port, more))
    hostname = "shopweb.fw.l4lb.thisdcos.directory"
    found = [part for member in (blue, green) for part in member.parts if part.hostname == hostname]
    assert 2 == len(found)
    made = convert.service(found)
    assert [80] == [each.number for each in made.ports]
    assert [8080] == [each.number for each in convert.service(green.parts[:1]).ports]


def test_an_address_as_a_virtual_address_is_one_of_the_service():
    port = {"number": 31005, "name": "http", "labels": labels(VIP_0="10.1.2.3:5000")}
    member = a_member(with_ports(port))
    assert 1 == len(member.parts)
    assert ("10.1.2.3",) == convert.service(member.parts).addresses


def test_virtual_addresses_of_ports_without_discovery_go_by_their_index():
    ranges = {"range": [{"begin": 31001, "end": 31002}]}
    resources = [{"name": "ports", "type": "RANGES", "ranges": ranges}]
    member = a_member(with_ports(resources=resources, labels=labels(VIP_PORT1="tcp://db:5432")))
    assert [("port0", 31001), ("port1", 5432)] == [
        (port.name, port.service_number) for port in member.ports
    ]
    assert ["web.fw.mesos", "db.fw.l4lb.thisdcos.directory"] == [p.hostname for p in member.parts]


# Endpoints


def endpoint(made: Any, **settings: Any) -> Endpoint:
    found = a_member(made, **settings).endpoint
    assert found is not None
    return found


def test_both_families_of_an_address_are_kept_and_the_wanted_one_is_first():
    made = task("a", "web", "10.0.0.1")
    addresses = [{"ip_address": "fd00::1"}, {"ip_address": "10.0.0.1"}]
    [network] = made["statuses"][0]["container_status"]["network_infos"]
    network["ip_addresses"] = addresses
    found = an_instance(made)
    assert ("10.0.0.1", "fd00::1") == endpoint(found).addresses
    assert ("fd00::1", "10.0.0.1") == endpoint(found, ip_family="ipv6").addresses


def test_labels_come_from_the_task_its_pod_its_discovery_and_its_agent():
    made = task("a", "web", "10.0.0.1", labels=labels(tier="front"))
    made["discovery"] |= {"version": "v7", "labels": labels(tier="back", zone="x")}
    found = dict(
        endpoint(
            an_instance(made), pod=labels(zone="y", pod="p"), agent_labels=("rack", "none")
        ).labels
    )
    wanted = {"tier": "front", "zone": "y", "pod": "p", "version": "v7", "agent.rack": "r7"}
    assert wanted.items() <= found.items()
    assert "agent.none" not in found


def test_weight_and_tls_are_labels():
    made = task("a", "web", "10.0.0.1", labels=labels(mesh_dot_weight="20", mesh_dot_tls="mutual"))
    found = endpoint(an_instance(made))
    assert (20, TlsMode.MUTUAL) == (found.weight, found.tls)


@pytest.mark.parametrize("weight", ["-1", "heavy", "1.5", "4294967296", "9" * 400])
def test_a_weight_that_is_none_is_said_and_not_honoured(weight):
    made = a_member(an_instance(task("a", "w", "10.0.0.1", labels=labels(mesh_dot_weight=weight))))
    assert made.endpoint is not None
    assert 1 == made.endpoint.weight
    assert "mesh.weight: expected a whole number" in made.remarks[0]


def test_a_scheduler_may_lower_health_and_name_ports_and_make_nothing():
    extra = Extra((("tier", "front"),), Health.UNHEALTHY, ((80, 10080),))
    found = a_member(an_instance(task("a", "web", "10.0.0.1")), extra=extra)
    assert found.endpoint is not None
    assert (Health.UNHEALTHY, (("http", 80),)) == (found.endpoint.health, found.endpoint.ports)
    assert [10080] == [port.service_number for port in found.ports]
    staging = an_instance(task("a", "web", "10.0.0.1", state="TASK_STAGING"))
    assert a_member(staging, extra=extra).endpoint is None


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [({}, "fw"), ({"namespace": "environment"}, "prod"), ({"namespace": "role"}, "dev")],
)
def test_a_namespace_is_the_framework_the_role_or_the_environment(settings, namespace):
    made = task("a", "web", "10.0.0.1")
    made["resources"] = [{"name": "cpus", "allocation_info": {"role": "dev"}}]
    made["discovery"]["environment"] = "Prod"
    assert namespace == convert.service(a_member(an_instance(made), **settings).parts).namespace


def test_visibility_is_honoured_where_it_is_asked_for():
    made = an_instance(task("a", "web", "10.0.0.1"))
    assert ("*",) == convert.service(a_member(made).parts).visibility
    assert (".",) == convert.service(a_member(made, honour_visibility=True).parts).visibility


# Accounts


GRANTS = (Grant(principal="marathon", role="dev", accounts=("web", "pay-*")),)


@pytest.mark.parametrize(
    ("asked", "account"),
    [("", "marathon-dev"), ("web", "web"), ("pay-eu", "pay-eu"), ("admin", "marathon-dev")],
)
def test_an_account_is_what_the_settings_grant_and_no_more(asked, account):
    said = labels(mesh_dot_service__account=asked) if asked else {}
    made = task("a", "web", "10.0.0.1", labels=said)
    made["resources"] = [{"name": "cpus", "allocation_info": {"role": "dev"}}]
    member = a_member(an_instance(made), grants=GRANTS)
    assert member.endpoint is not None
    assert account == member.endpoint.service_account
    assert bool(member.remarks) == (asked == "admin")


@pytest.mark.parametrize("asked", ["../admin", "Web", "a/b", "x" * 300, "ü", "web "])
def test_what_can_be_no_account_is_refused_whatever_is_granted(asked):
    made = task("a", "web", "10.0.0.1", labels=labels(mesh_dot_service__account=asked))
    member = a_member(an_instance(made), grants=(Grant(accounts=("*",)),))
    assert member.endpoint is not None
    assert "marathon" == member.endpoint.service_account
    assert "can be no service account" in member.remarks[0]


# Maintenance


def test_maintenance_that_is_planned_for_later_drains_nothing_yet():
    def window(start: float, *hostnames: str) -> dict[str, Any]:
        machines = [{"hostname": hostname} for hostname in hostnames]
        start_ = {"start": {"nanoseconds": int(start * 1e9)}}
        return {"machine_ids": machines, "unavailability": start_}

    windows = [window(100, "now"), window(300, "later", "both"), window(50, "both")]
    planned = msgspec.convert({"windows": windows}, Schedule)
    assert {"later"} == maintenance.not_yet(planned, 200)
