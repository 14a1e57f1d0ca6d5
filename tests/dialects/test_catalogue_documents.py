"""Catalogue documents as a whole: what is read, what is refused alone, what raises."""

from __future__ import annotations

import pytest

from catalogues import catalogue, entry
from pilot_core.dialects.catalogue import Catalogue, read
from pilot_core.errors import ConfigError
from pilot_core.model import Endpoints, Service


def refused(catalogue: Catalogue) -> list[str]:
    return [str(finding) for finding in catalogue.refused]


def test_each_entry_gives_a_service_and_its_endpoints() -> None:
    said = read(catalogue("a.mesh", "b.mesh"), "x.yaml")

    kinds = [(type(record), record.hostname) for record in said.records]
    both = [(Service, Endpoints), (Service, Endpoints)]
    assert ["a.mesh", "b.mesh"] == list(said.services)
    assert [kind for pair in both for kind in pair] == [kind for kind, _ in kinds]


def test_a_service_without_endpoints_is_one_record() -> None:
    assert [Service] == [type(r) for r in read("services: [{hostname: a.mesh}]", "x").records]


@pytest.mark.parametrize("text", ["", "---\n---\n", "services:\n", "services: []", "# nothing\n"])
def test_a_document_may_say_nothing(text: str) -> None:
    assert Catalogue({}) == read(text, "x.yaml")


def test_several_documents_in_a_file_are_one_catalogue() -> None:
    said = read("services: [{hostname: a.mesh}]\n---\nservices: [{hostname: b.mesh}]\n", "x.yaml")

    assert ["a.mesh", "b.mesh"] == list(said.services)


def test_json_is_read_by_its_name_or_on_request() -> None:
    text = '{"services": [{"hostname": "a.mesh"}]}'

    assert read(text, "x.json").services == read(text, "x", is_json=True).services
    with pytest.raises(ConfigError, match="not JSON"):
        read("services: []", "x.json")


def test_records_know_where_they_stand() -> None:
    [service] = read("services:\n\n- hostname: a.mesh\n", "x.yaml").records

    assert "x.yaml:3:3" == service.origin.place


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services: [", "x.yaml:2:1: not YAML"),
        ("just words", "x.yaml:1:1: expected a mapping with the key services, found"),
        ("[]", "x.yaml:1:1: expected a mapping with the key services, found a list"),
        ("services: 5", "x.yaml:1:11: services: expected a list, found the number 5"),
        ("servces: []", 'x.yaml:1:1: unknown key "servces", did you mean "services"?'),
        ("kind: Rule", 'x.yaml:1:1: unknown key "kind"'),
        ("services: []\nservices: []", "x.yaml:2:1: "),
    ],
)
def test_what_is_no_catalogue_raises_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")

    assert str(caught.value).startswith(words)


def test_all_that_is_wrong_with_the_documents_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read("servces: []\n---\n[]\n", "x.yaml")

    assert [1, 3] == [finding.line for finding in caught.value.findings]


def test_an_entry_that_is_wrong_is_refused_alone() -> None:
    text = "services: [3, {}, null, {hostname: a.mesh, x: 1}, {hostname: b.mesh}]"

    said = read(text, "x.yaml")

    assert ["b.mesh"] == list(said.services)
    assert [
        "x.yaml:1:12: services[0]: expected a mapping, found the number 3",
        'x.yaml:1:15: services[1]: the key "hostname" is missing',
        "x.yaml:1:19: services[2]: expected a mapping, found nothing",
    ] == refused(said)[:3]
    assert refused(said)[3].startswith('x.yaml:1:44: services[3]: unknown key "x"')


def test_what_the_hostname_of_a_bad_entry_last_gave_stays() -> None:
    before = read(catalogue("a.mesh", "b.mesh"), "x.yaml")
    bad = entry("A.mesh.", "10.0.0.2", number="eighty")

    said = read("services:\n" + bad + entry("c.mesh", "10.0.0.2"), "x.yaml", before=before)

    assert before.services["a.mesh"] is said.services["a.mesh"]
    assert {"a.mesh", "c.mesh"} == set(said.services)


def test_a_hostname_stands_in_a_file_once() -> None:
    first, second = entry("a.mesh", "10.0.0.1"), entry("a.mesh", "10.0.0.2")

    said = read(f"services:\n{first}---\nservices:\n{second}", "x.yaml")

    [_, endpoints] = said.records
    assert isinstance(endpoints, Endpoints)
    assert "10.0.0.1" == endpoints.endpoints[0].address
    message = "a.mesh is in this file already: one entry has to hold all its endpoints"
    assert [f"x.yaml:5:3: {message}"] == refused(said)


@pytest.mark.parametrize("services", ["", "services: [{hostname: b.mesh}, {}]\n"])
def test_a_document_of_a_dialect_that_nobody_reads_is_refused_as_one(services: str) -> None:
    text = f"apiVersion: example/v1\nkind: Rule\n{services}---\nservices: [{{hostname: a.mesh}}]\n"

    said = read(text, "x.yaml")

    assert ["a.mesh"] == list(said.services)
    assert ["x.yaml:1:1: documents of kind Rule (example/v1) are not read by this version"] == (
        refused(said)
    )


def test_ten_thousand_services_of_ten_endpoints_are_read_whole_and_share_what_is_equal() -> None:
    addresses = [f"10.0.{n}.1" for n in range(10)]
    text = "services:\n" + "".join(entry(f"s{n}.mesh", *addresses) for n in range(10_000))

    said = read(text, "x.yaml")

    assert (20_000, ()) == (len(said.records), said.refused)
    services = [record for record in said.records if isinstance(record, Service)]
    endpoints = [record for record in said.records if isinstance(record, Endpoints)]
    assert 100_000 == sum(len(record.endpoints) for record in endpoints)
    assert 1 == len({id(service.ports) for service in services})
    assert 1 == len({id(e.labels) for record in endpoints for e in record.endpoints})
