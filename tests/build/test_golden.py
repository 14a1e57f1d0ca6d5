"""Golden cases: a catalogue and a node go in, the resources of that proxy come out.

Every folder of `tests/golden` is a case: `in.yaml` (and `in.second.yaml`, a registry of lower
precedence), `node.json`, and the resources that are expected. `make golden` writes them anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from envoy_config import bootstrap, validate
from pilot_core.dialects import catalogue
from pilot_core.model import Locality, Proxy, World
from pilot_core.model.proxy import describe
from pilot_core.registry import merging
from pilot_core.registry.mirror import Mirror
from pilot_xds.rendering import translate

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
INPUTS = ("in.yaml", "in.second.yaml")
KINDS = ("clusters", "endpoints", "listeners", "routes", "secrets")


def read_world(folder: Path) -> World:
    mirror = Mirror(lambda registry: None)
    for name in INPUTS:
        path = folder / name
        if path.exists():
            read = catalogue.read(path.read_bytes(), name)
            assert () == read.refused
            mirror.put(name, name, read.records)
    merged = merging.merged(
        mirror, mirror.take(), dict(zip(INPUTS, range(len(INPUTS)), strict=True))
    )
    world, _ = World().apply(merged.services, merged.endpoints, merged.policies)
    return world


def read_proxy(folder: Path) -> Proxy:
    said = json.loads((folder / "node.json").read_text())
    place = said.get("locality", {})
    return describe(
        said["id"],
        said.get("metadata", {}),
        locality=Locality(*(place.get(level, "") for level in ("region", "zone", "sub_zone"))),
        user_agent=said.get("user_agent_name", ""),
    )


def as_text(built: list[dict[str, Any]]) -> str:
    return yaml.safe_dump(built, sort_keys=False, allow_unicode=True, width=100)


def update(folder: Path, texts: dict[str, str]) -> None:
    for path in folder.glob("*.yaml"):
        if path.name not in INPUTS and path.stem not in texts:
            path.unlink()
    for kind, text in texts.items():
        (folder / f"{kind}.yaml").write_text(text)


def expected(folder: Path) -> dict[str, str]:
    outputs = (path for path in folder.glob("*.yaml") if path.name not in INPUTS)
    return {path.stem: path.read_text() for path in outputs}


@pytest.mark.parametrize("case", CASES)
def test_a_proxy_gets_what_the_golden_files_say(case: str, request: pytest.FixtureRequest):
    folder = GOLDEN / case
    built = translate(read_world(folder), read_proxy(folder))
    texts = {kind: as_text(built[kind]) for kind in KINDS if built[kind]}
    if request.config.getoption("--update-golden"):
        update(folder, texts)
    assert expected(folder) == texts


@pytest.mark.envoy
@pytest.mark.parametrize("case", CASES)
def test_envoy_takes_what_is_built(case: str, tmp_path: Path):
    folder = GOLDEN / case
    built = translate(read_world(folder), read_proxy(folder))
    assert "" == validate(bootstrap(built), tmp_path)
