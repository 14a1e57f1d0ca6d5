"""Whatever adapters say, what is built of it is valid."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from envoy_config import bootstrap, validate
from pilot_core.model import Proxy, World
from pilot_xds.rendering import translate
from worlds import proxies, worlds

KINDS = {"clusters", "endpoints", "listeners", "routes", "secrets"}


@settings(max_examples=100, deadline=None)
@given(worlds(), proxies)
def test_every_resource_can_be_read_back_with_all_that_is_packed_in_it(world: World, proxy: Proxy):
    made = translate(world, proxy)
    assert set(made) == KINDS
    for resources in made.values():
        names = [r.get("name") or r["cluster_name"] for r in resources]
        assert sorted(set(names)) == names


@settings(max_examples=100, deadline=None)
@given(worlds(), proxies)
def test_whoever_is_to_be_spoken_to_by_tls_is_and_has_to_say_who_he_is(world: World, proxy: Proxy):
    made = translate(world, proxy)
    assignments = {a["cluster_name"]: a for a in made["endpoints"]}
    for cluster in made["clusters"]:
        contexts = {
            match["name"]: ids(match) for match in cluster.get("transport_socket_matches", [])
        }
        assert all(contexts.values())
        assigned = cluster.get("load_assignment") or assignments.get(cluster["name"], {})
        assert set(marks(assigned)) <= contexts.keys()


def ids(match: dict[str, Any]) -> list[str]:
    """What the other end has to show: ids, or the name that its endpoint is known by."""
    context = match["transport_socket"]["typed_config"]
    common = context["common_tls_context"]
    if context.get("auto_host_sni") and context.get("auto_sni_san_validation"):
        return [common["validation_context_sds_secret_config"]["name"]]
    trusted = common["combined_validation_context"]["default_validation_context"]
    return [m["matcher"]["exact"] for m in trusted["match_typed_subject_alt_names"]]


def marks(assigned: dict[str, Any]) -> Iterator[str]:
    for locality in assigned.get("endpoints", []):
        for endpoint in locality["lb_endpoints"]:
            if "metadata" in endpoint:
                yield endpoint["metadata"]["filter_metadata"]["envoy.transport_socket_match"]["tls"]


@pytest.mark.envoy
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), proxies)
def test_envoy_takes_all_of_it(world: World, proxy: Proxy):
    with tempfile.TemporaryDirectory() as folder:
        assert "" == validate(bootstrap(translate(world, proxy)), Path(folder))
