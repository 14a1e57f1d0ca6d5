"""The parts of a catalogue document that say whom to believe."""

from __future__ import annotations

import json
import textwrap

import pytest

from pilot_core.dialects.catalogue import Catalogue, read
from pilot_core.model import Endpoints, Inbound, InboundTls, Roots
from roots import pem


def written(name: str, certificates: str = "") -> str:
    text = textwrap.indent(certificates or pem(), "    ")
    return f"- name: {name}\n  certificates: |\n{text}"


def refused(catalogue: Catalogue) -> list[str]:
    return [str(finding) for finding in catalogue.refused]


def roots(catalogue: Catalogue) -> list[str]:
    return [record.name for record in catalogue.records if isinstance(record, Roots)]


def test_roots_stand_beside_services_and_know_their_place() -> None:
    said = read("services: []\nroots:\n" + written("cf"), "x.yaml")

    [record] = said.records
    assert Roots(name="cf", certificates=pem(), origin=record.origin) == record
    assert "x.yaml:3:3" == record.origin.place


def test_an_entry_that_is_wrong_is_refused_alone_and_keeps_what_was_there() -> None:
    before = read("roots:\n" + written("cf") + written("dc"), "x.yaml")
    bad = "roots:\n" + written("dc") + "- {name: cf, certificates: nothing}\n"
    said = read(bad, "x.yaml", before=before)

    assert {"cf", "dc"} == set(roots(said))
    assert len(refused(said)) == 1
    assert refused(said)[0].endswith("roots[1].certificates: expected certificates in PEM")


def test_what_is_not_there_any_more_goes() -> None:
    before = read("roots:\n" + written("cf") + written("dc"), "x.yaml")

    assert ["dc"] == roots(read("roots:\n" + written("dc"), "x.yaml", before=before))


def test_a_name_stands_in_a_file_once() -> None:
    said = read("roots:\n" + written("cf") + written("cf"), "x.yaml")

    assert ["cf"] == roots(said)
    assert "roots[1]: cf is in this file already" in refused(said)[0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("tls_name: guid", "tls_name and tls_roots go together"),
        ("tls_roots: cf", "tls_name and tls_roots go together"),
        ('tls_name: "*.example.com", tls_roots: cf', "is no DNS name of one server"),
        ("tls_name: a b, tls_roots: cf", "is no DNS name of one server"),
    ],
)
def test_a_tls_name_is_one_name_and_comes_with_roots(fields: str, words: str) -> None:
    entry = f"{{hostname: a.mesh, endpoints: [{{address: 10.0.0.1, {fields}}}]}}"
    said = read(f"services: [{entry}]", "x.yaml")

    assert () == said.records
    assert words in refused(said)[0]


def test_an_endpoint_has_a_tls_name_and_roots() -> None:
    fields = "address: 10.0.0.1, tls_name: 6a1b-7, tls_roots: cf"
    said = read(f"services: [{{hostname: a.mesh, endpoints: [{{{fields}}}]}}]", "x.yaml")

    [found] = [r for r in said.records if isinstance(r, Endpoints)]
    assert ("6a1b-7", "cf") == (found.endpoints[0].tls_name, found.endpoints[0].tls_roots)


def statements(*entries: object) -> Catalogue:
    return read(json.dumps({"inbound": entries}), "x.json")


def test_who_may_connect_is_said_of_the_mesh_a_namespace_or_a_workload() -> None:
    said = statements(
        {"mode": "strict"},
        {"namespace": "shop", "mode": "permissive"},
        {"namespace": "shop", "workload": "web", "ports": {"9090": "disabled"}},
        {"namespace": "shop", "labels": {"app": "web", "a": "b"}, "mode": "strict"},
    )

    assert () == said.refused
    names = [record.name for record in said.records if isinstance(record, Inbound)]
    assert ["*", "shop", "shop/web", "shop/a=b/app=web"] == names
    third = said.records[2]
    assert isinstance(third, Inbound)
    assert (None, ((9090, InboundTls.DISABLED),)) == (third.mode, third.ports)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "inbound[0].mode: expected strict, permissive or disabled, found nothing"),
        ({"mode": "off"}, "inbound[0].mode: "),
        ({"mode": "strict", "workload": "web"}, "a workload is chosen within a namespace"),
        ({"mode": "strict", "labels": {"a": "b"}}, "a workload is chosen within a namespace"),
        ({"mode": "strict", "namespace": "a/b"}, "a namespace is made of"),
        ({"ports": {"0": "strict"}}, '"0" is not a number from 1 to 65535'),
        ({"ports": {"http": "strict"}}, '"http" is not a number from 1 to 65535'),
        ({"ports": {"9" * 99: "strict"}}, "is not a number from 1 to 65535"),
        ({"mode": "strict", "mods": 1}, "mods"),
    ],
)
def test_a_statement_that_cannot_be_meant_is_refused_with_its_place(entry, words) -> None:
    said = statements(entry)

    assert () == said.records
    assert words in refused(said)[0]


def test_of_one_thing_a_file_says_one_thing() -> None:
    said = statements({"mode": "strict"}, {"mode": "disabled"})

    assert [InboundTls.STRICT] == [r.mode for r in said.records if isinstance(r, Inbound)]
    assert "inbound[1]: * is in this file already" in refused(said)[0]
