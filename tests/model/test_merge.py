from __future__ import annotations

from pilot_core.model import Claim, Origin, Port, Protocol, Resolution, Service
from pilot_core.model.merge import services


def claim(registry: str, source: str = "s", **fields: object) -> Claim:
    fields.setdefault("ports", (Port("http", 80, Protocol.HTTP),))
    return Claim(registry, source, Service(hostname="a.x", **fields))


def test_no_claim_makes_no_service():
    assert services([]) is None


def test_one_claim_is_taken_as_it_is():
    merged = services([claim("east")])
    assert merged is not None
    assert merged.registries == ("east",)
    assert merged.conflicts == ()


def test_registries_that_agree_make_one_service_without_a_conflict():
    merged = services([claim("east"), claim("west")])
    assert merged is not None
    assert merged.registries == ("east", "west")
    assert merged.conflicts == ()


def test_the_registry_of_highest_precedence_decides_the_ports_and_the_other_is_told():
    other = claim("west", ports=(Port("web", 8080, Protocol.TCP),), origin=Origin("w.yaml:7:3"))
    merged = services([claim("east"), other])
    assert merged is not None
    assert (Port("http", 80, Protocol.HTTP),) == merged.service.ports
    [conflict] = merged.conflicts
    assert (conflict.registry, conflict.field, conflict.place) == ("west", "ports", "w.yaml:7:3")
    assert conflict.message == (
        "ports of a.x is [web 8080/tcp] here, but east/s takes precedence with [http 80/http]"
    )


def test_every_field_in_dispute_is_a_conflict_of_its_own():
    other = claim("west", namespace="shop", resolution=Resolution.DNS, visibility=(".",))
    merged = services([claim("east"), other])
    assert merged is not None
    assert [c.field for c in merged.conflicts] == ["namespace", "resolution", "visibility"]


def test_a_place_without_a_file_is_the_registry_and_the_source():
    merged = services([claim("east"), claim("west", "svc/a", namespace="shop")])
    assert merged is not None
    assert merged.conflicts[0].place == "west/svc/a"


def test_addresses_and_identities_are_united_and_the_first_value_of_a_label_stays():
    merged = services(
        [
            claim("east", addresses=("10.1.1.1",), labels=(("tier", "a"),)),
            claim("west", addresses=("10.2.2.2", "10.1.1.1"), labels=(("tier", "b"), ("x", "y"))),
        ]
    )
    assert merged is not None
    assert merged.service.addresses == ("10.1.1.1", "10.2.2.2")
    assert merged.service.labels == (("tier", "a"), ("x", "y"))
    assert merged.conflicts == ()


def test_two_sources_of_one_registry_that_disagree_are_a_conflict_too():
    merged = services([claim("east", "node/1"), claim("east", "node/2", namespace="shop")])
    assert merged is not None
    assert merged.registries == ("east",)
    assert [c.source for c in merged.conflicts] == ["node/2"]
