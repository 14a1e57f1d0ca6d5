from __future__ import annotations

from pilot_core.model import Endpoints
from pilot_core.registry import merging
from pilot_core.registry.mirror import Mirror
from registries import endpoints, service

ORDER = {"dc1": 0, "dc2": 1}


def mirror(*claims) -> Mirror:
    made = Mirror(lambda registry: None)
    for registry, source, record in claims:
        made.put(registry, source, (record,))
    return made


def test_the_registry_of_the_highest_precedence_decides_and_then_the_source_s_name():
    shop = [service("a.mesh", namespace=n) for n in ("one", "two", "three")]
    claims = [("dc2", "a", shop[2]), ("dc1", "z", shop[1]), ("dc1", "b", shop[0])]
    merged = merging.merged(mirror(*claims), [("service", "a.mesh")], ORDER)
    found = merged.services["a.mesh"]
    assert found is not None
    assert ("one", ("dc1", "dc2")) == (found.service.namespace, found.registries)
    assert [("dc1", "z"), ("dc2", "a")] == [(c.registry, c.source) for c in found.conflicts]


def test_a_registry_without_precedence_comes_last():
    known = mirror(("gone", "s", service("a.mesh")), ("dc2", "s", service("a.mesh")))
    ranked = merging.claims(known, ("service", "a.mesh"), ORDER)
    assert ["dc2", "gone"] == [claim.registry for claim in ranked]


def test_endpoints_are_united_in_order_and_sources_without_any_are_left_out():
    known = mirror(
        ("dc2", "s", endpoints("a.mesh", "10.0.0.2")),
        ("dc1", "s", endpoints("a.mesh", "10.0.0.1")),
        ("dc1", "t", Endpoints(hostname="a.mesh")),
    )
    merged = merging.merged(known, [("endpoints", "a.mesh")], ORDER)
    shards = merged.endpoints["a.mesh"]
    assert [("dc1", "10.0.0.1"), ("dc2", "10.0.0.2")] == [
        (shard.registry, shard.endpoints[0].address) for shard in shards
    ]


def test_what_nobody_claims_any_more_is_gone_and_what_is_not_asked_for_is_not_looked_at():
    known = mirror(("dc1", "s", service("a.mesh")))
    keys = [("service", "b.mesh"), ("endpoints", "c.mesh")]
    merged = merging.merged(known, keys, ORDER)
    assert ({"b.mesh": None}, {"c.mesh": ()}) == (merged.services, merged.endpoints)
    assert {"b.mesh", "c.mesh"} == merged.hostnames()
