from __future__ import annotations

import pytest

from pilot_core.errors import ConfigError
from pilot_core.model import text
from pilot_core.registry.offline import world_of


def entry(hostname: str, namespace: str = "shop", *addresses: str) -> str:
    listed = ", ".join(f"{{address: {address}}}" for address in addresses)
    return (
        f"- {{hostname: {hostname}, namespace: {namespace}, "
        f"ports: [{{name: http, number: 80}}], endpoints: [{listed}]}}\n"
    )


def test_each_path_is_a_registry_and_the_first_one_decides(tmp_path):
    for name, namespace, address in (("one", "shop", "10.0.0.1"), ("two", "bank", "10.0.0.2")):
        (tmp_path / name).mkdir()
        content = "services:\n" + entry("a.mesh", namespace, address)
        (tmp_path / name / "a.yaml").write_text(content)
    refused = []
    world = world_of([str(tmp_path / "two"), str(tmp_path / "one")], refused)
    found = world.services["a.mesh"]
    assert "bank" == found.service.namespace
    assert (str(tmp_path / "two"), str(tmp_path / "one")) == found.registries
    assert ["10.0.0.2", "10.0.0.1"] == [e.address for e in world.endpoints_of("a.mesh")]
    assert (["namespace"], []) == ([c.field for c in found.conflicts], refused)


def test_a_service_without_endpoints_has_no_empty_shard(tmp_path):
    (tmp_path / "a.yaml").write_text("services:\n" + entry("a.mesh"))
    world = world_of([str(tmp_path)], [])
    assert (["a.mesh"], 0) == ([*world.services], len(world.endpoints))


def test_what_is_wrong_is_told_with_its_place_and_harms_nothing_else(tmp_path):
    (tmp_path / "a.yaml").write_text("services:\n" + entry("a.mesh") + entry("A B"))
    (tmp_path / "b.yaml").write_text("services: [")
    refused = []
    world = world_of([str(tmp_path)], refused)
    assert ["a.mesh"] == [*world.services]
    assert [f"{tmp_path}/a.yaml:3", f"{tmp_path}/b.yaml"] == [
        f"{f.path}:{f.line}" if f.path.endswith("a.yaml") else f.path for f in refused
    ]


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        world_of([str(tmp_path / "nowhere")], [])


def test_the_world_can_be_written_as_text_and_read_back(tmp_path):
    (tmp_path / "a.yaml").write_text("services:\n" + entry("a.mesh", "shop", "10.0.0.1"))
    world = world_of([str(tmp_path)], [])
    assert text.plain(world) == text.plain(text.world(text.plain(world)))
