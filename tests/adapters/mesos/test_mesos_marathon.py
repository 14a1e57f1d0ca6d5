"""What Marathon adds to Mesos' tasks, and what happens without it."""

from __future__ import annotations

from typing import Any

import fake_marathon
import fake_mesos
import msgspec
import pytest
from fake_marathon import FakeMarathon, app, check, container, pod, result
from fake_mesos import FakeMaster
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.marathon_messages import App, Pod
from pilot_adapter_mesos.marathon_view import MarathonView

from pilot_core.document import Duration
from pilot_core.model import Health
from pilot_core.testing import FakeClock, RecordingSink, host, session

WEB = "web.shop.mesos"
TASK = "web-10.0.0.1"


def seen(view: MarathonView, *apps: dict[str, Any], pods: tuple[dict[str, Any], ...] = ()) -> Any:
    return view.read(msgspec.convert(apps, list[App]), msgspec.convert(pods, list[Pod]))


def view(*, use_service_ports: bool = False) -> MarathonView:
    return MarathonView(use_service_ports=use_service_ports)


def checked(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    task = fake_marathon.task("t", "/web", healthCheckResults=list(results))
    return app("/web", task, **{"healthChecks": [check()], **more})


def health(made: MarathonView, said: dict[str, Any]) -> Health:
    found: Health = seen(made, said)["t"].health
    return found


# Health and readiness


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (checked(), Health.UNHEALTHY),
        (checked(result("t", alive=True)), Health.HEALTHY),
        (checked(result("t", alive=False, failures=1)), Health.DEGRADED),
        (checked(result("t", alive=False, failures=3)), Health.UNHEALTHY),
        (checked(result("t", alive=False, failures=1, ever=False)), Health.UNHEALTHY),
        (
            checked(
                result("t", alive=False, failures=1), healthChecks=[check(maxConsecutiveFailures=0)]
            ),
            Health.UNHEALTHY,
        ),
        (checked(result("t", alive=True), healthChecks=[check(), check("TCP")]), Health.UNHEALTHY),
        (checked(healthChecks=[]), Health.HEALTHY),
        (checked(healthChecks=[check("MESOS_HTTP")]), Health.HEALTHY),
    ],
)
def test_a_task_is_as_well_as_marathons_own_checks_say(said, wanted):
    assert wanted is health(view(), said)


def test_a_new_leader_without_results_takes_nobody_out_who_was_well_and_lets_nobody_in():
    made = view()
    both = [fake_marathon.task(id, "/web", healthCheckResults=[]) for id in ("old", "new")]
    old = {**both[0], "healthCheckResults": [result("old", alive=True)]}
    seen(made, app("/web", old, both[1], healthChecks=[check()]))
    found = seen(made, app("/web", *both, healthChecks=[check()]))
    assert (Health.HEALTHY, Health.UNHEALTHY) == (found["old"].health, found["new"].health)
    seen(made)
    assert Health.UNHEALTHY is seen(made, app("/web", *both, healthChecks=[check()]))["old"].health


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, Health.UNHEALTHY),
        ({"readinessCheckResults": [{"taskId": "t", "ready": True}]}, Health.HEALTHY),
        ({"readinessCheckResults": [{"taskId": "t", "ready": False}]}, Health.UNHEALTHY),
        ({"deployments": []}, Health.HEALTHY),
        ({"version": "2026-02-02T00:00:00.000Z"}, Health.HEALTHY),
        ({"readinessChecks": []}, Health.HEALTHY),
    ],
)
def test_what_a_deployment_starts_takes_traffic_once_it_is_ready(more, wanted):
    deploying = {"readinessChecks": [{"name": "r"}], "deployments": [{"id": "d"}], **more}
    assert wanted is health(view(), app("/web", fake_marathon.task("t", "/web"), **deploying))


# Ports, labels, pods


def test_service_ports_are_by_host_port_or_by_that_of_the_container():
    mappings = [
        {"containerPort": 80, "hostPort": 0, "servicePort": 10001},
        {"containerPort": 90, "servicePort": 10002},
        {"containerPort": 100, "hostPort": 0, "servicePort": 10003},
    ]
    task = fake_marathon.task("t", "/web", ports=[31001, 31002])
    bridged = app("/web", task, container={"type": "MESOS", "portMappings": mappings})
    old = app("/web", task, container={"docker": {"portMappings": mappings}})
    for said in (bridged, old):
        found = seen(view(use_service_ports=True), said)["t"]
        assert ((31001, 10001), (90, 10002), (31002, 10003)) == found.service_ports
        assert () == seen(view(), said)["t"].service_ports
    definitions = [{"port": 10001}, {"port": 10002}]
    on_host = app("/web", task, portDefinitions=definitions)
    assert ((31001, 10001), (31002, 10002)) == seen(view(), on_host)["t"].service_ports


def test_pods_bring_labels_and_the_health_of_their_containers():
    made = view()
    said = [container("a", "p.a.1", True), container("b", "p.b.1", False), container("c", "p.c.1")]
    found = seen(made, pods=(pod("/shop/p", *said, labels={"tier": "front"}),))
    assert {"tier": "front", "marathon.pod": "/shop/p"} == dict(found["p.a.1"].labels)
    assert [Health.HEALTHY, Health.UNHEALTHY, Health.UNHEALTHY] == [
        found[id].health for id in ("p.a.1", "p.b.1", "p.c.1")
    ]
    assert (
        Health.HEALTHY
        is seen(made, pods=(pod("/shop/p", container("a", "p.a.1")),))["p.a.1"].health
    )


# Sessions


def adapter(master: FakeMaster, *marathons: FakeMarathon, **more: Any) -> Mesos:
    urls = tuple(each.url for each in marathons)
    settings = {"masters": (master.url,), "marathon": urls, "resync": Duration(60), **more}
    clock = settings.pop("clock", None)
    return Mesos(MesosConfig(**settings), host(clock))


def healths(sink: RecordingSink, hostname: str = WEB) -> list[str]:
    return [e.health.value for r in sink.endpoints(hostname) for e in r.endpoints]


def an_app(*, alive: bool | None = None, **more: Any) -> dict[str, Any]:
    results = [] if alive is None else [result(TASK, alive=alive, failures=0 if alive else 9)]
    task = fake_marathon.task(TASK, "/web", healthCheckResults=results)
    return app("/web", task, **{"healthChecks": [check()], **more})


async def test_nothing_is_told_before_marathon_has_been_asked_and_events_change_it():
    async with FakeMaster() as master, FakeMarathon() as marathon:
        master.set({"web": ["10.0.0.1"]})
        marathon.apps = [an_app(labels={"tier": "front"})]
        async with session(adapter(master, marathon)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert {"web.shop.mesos": ["10.0.0.1"]} == sink.synced_with
            assert ["unhealthy"] == healths(sink)
            [record] = sink.endpoints(WEB)
            wanted = {"tier": "front", "marathon.app": "/web", "version": an_app()["version"]}
            assert wanted.items() <= dict(record.endpoints[0].labels).items()
            for alive, wanted_health in ((True, "healthy"), (False, "unhealthy")):
                marathon.apps = [an_app(alive=alive)]
                marathon.tell("instance_health_changed_event", instanceId="x", healthy=alive)
                await sink.until(lambda wanted=wanted_health: healths(sink) == [wanted])


async def test_marathon_invents_no_endpoint_and_resurrects_none():
    async with FakeMaster() as master, FakeMarathon() as marathon:
        master.set({"web": ["10.0.0.1"]})
        ghost = fake_marathon.task("ghost", "/ghost")
        marathon.apps = [an_app(alive=True), app("/ghost", ghost)]
        async with session(adapter(master, marathon)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert {WEB: ["10.0.0.1"]} == sink.view
            master.set({})
            await sink.until(lambda: not sink.sources)
            marathon.tell("status_update_event", taskId=TASK, taskStatus="TASK_RUNNING")
            master.set({"api": ["10.0.0.2"]})
            await sink.until(lambda: sink.view == {"api.shop.mesos": ["10.0.0.2"]})


async def test_a_marathon_that_is_away_keeps_what_it_said_and_is_shown_until_it_is_back():
    clock = FakeClock()
    async with FakeMaster(heartbeat=3600) as master, FakeMarathon() as marathon:
        master.set({"web": ["10.0.0.1"]})
        marathon.apps = [an_app(alive=False)]
        async with session(adapter(master, marathon, clock=clock)) as sink:
            await sink.until(lambda: sink.is_synced)
            await marathon.stop()
            await sink.until(lambda: sink.notes)
            [(_, words)] = sink.notes
            assert words.startswith(f"{marathon.url}: ")
            assert words.endswith("what it last said stays")
            await clock.advance(600)
            assert ["unhealthy"] == healths(sink)
            master.set({"web": ["10.0.0.1", "10.0.0.2"]})
            await sink.until(lambda: sorted(healths(sink)) == ["healthy", "unhealthy"])
            await marathon.start()
            marathon.apps = [an_app(alive=True)]
            await clock.until_sleepers(4)
            await clock.advance(10)
            await sink.until(lambda: healths(sink) == ["healthy", "healthy"] and not sink.notes)


async def test_a_marathon_that_is_away_from_the_start_holds_nobody_up():
    async with FakeMaster() as master, FakeMarathon() as marathon:
        master.set({"web": ["10.0.0.1"]})
        marathon.status = 502
        async with session(adapter(master, marathon)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ["healthy"] == healths(sink)
            words = f"{marathon.url}: /v2/events answers 502; what it last said stays"
            assert [words] == [remark for _, remark in sink.notes]


async def test_a_standby_answers_and_sends_to_its_leader_for_events_with_credentials(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("token=abc\n")
    async with (
        FakeMaster() as master,
        FakeMarathon() as leader,
        FakeMarathon(leader=leader) as other,
    ):
        leader.authorization = other.authorization = "token=abc"
        master.set({"web": ["10.0.0.1"]})
        leader.apps = [an_app(alive=False)]
        async with session(adapter(master, other, marathon_credentials_file=secret)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert (["unhealthy"], ["events"]) == (healths(sink), leader.asked)
            leader.apps = [an_app(alive=True)]
            leader.tell()
            await sink.until(lambda: healths(sink) == ["healthy"])


async def test_a_change_of_leader_keeps_the_well_in_and_those_never_seen_well_out():
    clock = FakeClock()
    async with FakeMaster(heartbeat=3600) as master, FakeMarathon() as old, FakeMarathon() as new:
        master.set({"web": ["10.0.0.1", "10.0.0.2"]})
        tasks = [fake_marathon.task(f"web-10.0.0.{n}", "/web") for n in (1, 2)]
        known = {**tasks[0], "healthCheckResults": [result(TASK, alive=True)]}
        old.apps = [app("/web", known, tasks[1], healthChecks=[check()])]
        new.apps = [app("/web", *tasks, healthChecks=[check()])]
        new.leader = old
        async with session(adapter(master, new, clock=clock)) as sink:
            await sink.until(lambda: sink.is_synced)
            before = {"10.0.0.1": "healthy", "10.0.0.2": "unhealthy"}
            assert before == by_address(sink)
            new.leader = old.leader = new
            old.end_streams()
            await sink.until(lambda: sink.notes)
            await clock.until_sleepers(4)
            await clock.advance(10)
            await sink.until(lambda: not sink.notes)
            assert before == by_address(sink)


def by_address(sink: RecordingSink) -> dict[str, str]:
    return {e.address: e.health.value for r in sink.endpoints(WEB) for e in r.endpoints}


async def test_several_marathons_and_several_urls_of_one():
    async with (
        FakeMaster() as master,
        FakeMarathon() as a,
        FakeMarathon(leader=a) as again,
        FakeMarathon("fw-0002") as b,
    ):
        master.set({"web": ["10.0.0.1"]})
        other = fake_mesos.task("t", "web", "10.0.0.2")
        master.tasks["t"] = {**other, "framework_id": {"value": "fw-0002"}}
        master.frameworks.append(fake_mesos.framework("store", "fw-0002"))
        a.apps, b.apps = [an_app(alive=False)], [checked(result("t", alive=True))]
        async with session(adapter(master, a, again, b)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ["unhealthy"] == healths(sink)
            assert ["healthy"] == healths(sink, "web.store.mesos")
            await a.stop()
            await sink.until(lambda: len(sink.notes) == 2)
            assert ["unhealthy"] == healths(sink)


@pytest.mark.parametrize("pods", [None, []])
async def test_old_marathons_and_apps_that_make_no_sense_harm_no_other(pods):
    async with FakeMaster() as master, FakeMarathon() as marathon:
        master.set({"web": ["10.0.0.1"]})
        marathon.pods = pods
        marathon.apps = [{"id": 7}, {"no": "id"}, an_app(alive=False), {"id": "/x", "tasks": "?"}]
        async with session(adapter(master, marathon)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert (["unhealthy"], []) == (healths(sink), sink.notes)


async def test_service_ports_of_apps_on_the_hosts_network_name_the_service():
    async with FakeMaster() as master, FakeMarathon() as marathon:
        master.set({"web": ["10.0.0.1"]})
        port = {"number": 31001, "name": "http", "protocol": "tcp"}
        master.tasks[TASK]["discovery"]["ports"]["ports"] = [port]
        marathon.apps = [an_app(alive=True)]
        async with session(adapter(master, marathon)) as sink:
            await sink.until(lambda: sink.is_synced)
            assert [10001] == [port.number for port in sink.services[WEB].ports]
            [record] = sink.endpoints(WEB)
            assert (("http", 31001),) == record.endpoints[0].ports
