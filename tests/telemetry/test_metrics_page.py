"""The metrics page: names that dashboards know, labels from closed sets, text that parses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inside import Inside, inside, until_problem
from mesh import until
from pilot_core.telemetry import names
from pilot_core.telemetry.metrics import AdapterMetrics, CoreMetrics, Tally, exposition
from program import pilot, write_mesh

ISTIO = {
    "pilot_xds",
    "pilot_xds_pushes",
    "pilot_proxy_convergence_time",
    "pilot_total_xds_rejects",
    "pilot_services",
    "pilot_info",
}
CLOSED = {
    "adapter",
    "state",
    "severity",
    "code",
    "type",
    "variant",
    "result",
    "version",
    "le",
    "reason",
}


@pytest.fixture
async def daemon(tmp_path) -> AsyncIterator[Inside]:
    async with inside(write_mesh(tmp_path)) as made:
        yield made


async def samples(daemon: Inside) -> dict[str, float]:
    """Every sample of the page, `name{label=value,…}` to its value."""
    _, page = await daemon.get("/metrics")
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def test_the_page_parses_and_has_every_declared_metric(daemon):
    _, page = await daemon.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(page)}

    assert {name.name: name.kind for name in names.declared()} == {
        name: family.type for name, family in families.items()
    }
    assert all(family.documentation for family in families.values())


async def test_istio_s_names_are_kept_without_a_suffix(daemon):
    _, page = await daemon.get("/metrics")

    assert set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)) >= ISTIO
    assert "_total " not in page
    assert "_created" not in page


async def test_no_label_names_a_proxy_or_a_service(daemon):
    _, page = await daemon.get("/metrics")

    assert set(re.findall(r'[{,]([a-z]+)="', page)) <= CLOSED
    assert "reviews.shop.mesh" not in page


async def test_registries_and_services_are_counted(daemon):
    seen = await samples(daemon)

    files = "[('adapter', 'files')]"
    assert 2 == seen["pilot_services[]"]
    assert (2, 2, 1, 1, 0) == tuple(
        seen[f"pilot_registry_{what}{files}"]
        for what in ("services", "endpoints", "sources", "warnings", "held_sources")
    )
    assert 1 == seen["pilot_registry_state[('adapter', 'files'), ('state', 'synced')]"]
    assert 0 == seen["pilot_registry_state[('adapter', 'files'), ('state', 'stale')]"]


def _unreadable(folder) -> None:
    (folder / "catalogue" / "shop.yaml").write_text("services: [\n")


def _foreign(folder) -> None:
    (folder / "catalogue" / "x.yaml").write_text("apiVersion: v1\nkind: Pod\n")


def _bad_configuration(folder) -> None:
    (folder / "pilot.yaml").write_text("adapters: 5\n")


def _other_port(folder) -> None:
    path = folder / "pilot.yaml"
    path.write_text(path.read_text() + "startup: {sync_timeout: 7s}\n")


def _away(folder) -> None:
    path = folder / "pilot.yaml"
    more = '- {name: web, kind: http, config: {url: "http://127.0.0.1:1/"}}\n'
    path.write_text(path.read_text().replace("adapters:\n", f"adapters:\n{more}"))


def _disagreeing(folder) -> None:
    path = folder / "catalogue" / "other.yaml"
    path.write_text("services: [{hostname: reviews.shop.mesh, ports: [{name: x, number: 1}]}]\n")


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (_unreadable, "object-refused"),
        (_foreign, "object-refused"),
        (_bad_configuration, "config-invalid"),
        (_other_port, "restart-needed"),
        (_away, "registry-stale"),
        (_disagreeing, "service-conflict"),
    ],
)
async def test_what_is_wrong_is_seen_on_every_way_to_look(tmp_path, daemon, cause, code):
    # The good file is mended first, so that each problem stands alone.
    good = tmp_path / "catalogue" / "shop.yaml"
    good.write_text(good.read_text().partition("- hostname: broken")[0])

    async def is_mended() -> bool:
        return "object-refused" not in await daemon.codes()

    await until(is_mended, "the good file to be read")
    cause(tmp_path)
    await daemon.reloader.reload()

    problem = await until_problem(daemon, code)
    seen = await samples(daemon)
    where = f"http://{daemon.parts.admin.address}"
    shown = await in_thread("problems", "--no-headers", "--server", where)

    assert problem["message"]
    assert problem["origin"]
    assert seen[f"pilot_problems_by_code[('code', '{code}')]"] >= 1
    assert seen[f"pilot_problems[('severity', '{problem['severity']}')]"] >= 1
    assert code in shown


async def in_thread(*arguments: str) -> str:
    return (await asyncio.to_thread(pilot, *arguments)).out


def test_what_an_adapter_counts_is_labelled_with_its_name():
    core = CoreMetrics()
    for name in ("dc1", "dc2"):
        made = core.adapters.labelled(name)
        made.count("requests")
        made.gauge("lag_seconds", 2.5)

    page = exposition(core.registry).decode()

    assert 'pilot_adapter_requests{adapter="dc2"} 1.0' in page
    assert 'pilot_adapter_lag_seconds{adapter="dc1"} 2.5' in page


@pytest.mark.parametrize("name", ["", "Requests", "a-b", "1st", "x" * 64, "a\n"])
def test_a_name_that_prometheus_would_refuse_is_refused_at_once(name):
    made: AdapterMetrics = CoreMetrics().adapters.labelled("dc1")

    with pytest.raises(ValueError, match="is not a metric name"):
        made.count(name)


def test_a_counter_is_no_gauge():
    made = CoreMetrics().adapters.labelled("dc1")
    made.count("requests")

    with pytest.raises(ValueError, match="is a counter already"):
        made.gauge("requests", 1)


def test_a_tally_is_a_counter_with_a_value_for_each_label_from_the_start():
    core = CoreMetrics()
    tally = Tally(names.XDS_PUSHES, ("CDS", "EDS"), core.registry)
    tally.counts["EDS"] += 3
    page = exposition(core.registry).decode()
    assert "# TYPE pilot_xds_pushes counter" in page
    assert 'pilot_xds_pushes{type="CDS"} 0.0' in page
    assert 'pilot_xds_pushes{type="EDS"} 3.0' in page
