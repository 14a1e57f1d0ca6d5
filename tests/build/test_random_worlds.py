"""Whatever adapters say, what is built of it is valid."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from envoy_config import bootstrap, validate
from pilot_core.model import Proxy, World
from pilot_xds.rendering import translate
from worlds import proxies, worlds

KINDS = {"clusters", "endpoints", "listeners", "routes"}


@settings(max_examples=100, deadline=None)
@given(worlds(), proxies)
def test_every_resource_can_be_read_back_with_all_that_is_packed_in_it(world: World, proxy: Proxy):
    made = translate(world, proxy)
    assert set(made) == KINDS
    for resources in made.values():
        names = [r.get("name") or r["cluster_name"] for r in resources]
        assert sorted(set(names)) == names


@pytest.mark.envoy
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), proxies)
def test_envoy_takes_all_of_it(world: World, proxy: Proxy):
    with tempfile.TemporaryDirectory() as folder:
        assert "" == validate(bootstrap(translate(world, proxy)), Path(folder))
