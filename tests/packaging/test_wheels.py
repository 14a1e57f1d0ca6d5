"""What is shipped: wheels that hold all they need and nothing else, and work where they land."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import repository
from repository import ROOT
from wheels import Environment, build, copy_of, names

SAMPLE = ROOT / "tests" / "packaging" / "sample_plugin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of pilot-core, by way of its source distribution."""
    source = copy_of(ROOT, tmp_path_factory.mktemp("source"))
    return build(source, tmp_path_factory.mktemp("dist"), sdist=True)


@pytest.fixture(scope="module")
def adapter_wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Folder to wheel."""
    return {
        folder: build(
            copy_of(folder, tmp_path_factory.mktemp(folder.name)), tmp_path_factory.mktemp("dist")
        )
        for folder in repository.adapter_folders()
    }


@pytest.fixture(scope="module")
def environment(
    wheel: Path, adapter_wheels: dict[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """A fresh environment with all that we ship, and a plugin from outside."""
    sample = build(copy_of(SAMPLE, tmp_path_factory.mktemp("sample")), wheel.parent)
    fresh = Environment(tmp_path_factory.mktemp("fresh") / "venv")
    fresh.install(wheel, sample, *adapter_wheels.values())
    return fresh


def test_the_wheel_holds_every_module_and_all_data(wheel: Path) -> None:
    packages = [ROOT / "pilot_core", *(root for root in _inner_packages())]
    wanted = {
        str(path.relative_to(package.parent))
        for package in packages
        for path in repository.files()
        if path.is_relative_to(package)
    }

    assert set() == wanted - names(wheel)
    for name in ("pilot_core/py.typed", "pilot_xds/envoy_api.bin", "pilot_xds/protos.pyi"):
        assert name in names(wheel)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names(wheel)}
    ours = {"pilot_core", *(package.name for package in _inner_packages())}

    assert ours == {top for top in tops if not top.endswith(".dist-info")}


def test_the_licence_is_shipped(wheel: Path) -> None:
    files = {Path(name).name for name in names(wheel) if ".dist-info" in name}

    assert {"LICENSE", "NOTICE"} <= files


def test_each_adapter_wheel_holds_its_package_alone(adapter_wheels: dict[Path, Path]) -> None:
    for folder, wheel in adapter_wheels.items():
        packages = {path.parent.name for path in folder.glob("pilot_adapter_*/__init__.py")}
        tops = {name.partition("/")[0] for name in names(wheel)}
        wanted = {
            str(path.relative_to(folder))
            for path in repository.files()
            if path.suffix == ".py" and any(path.is_relative_to(folder / p) for p in packages)
        }

        assert packages == {top for top in tops if not top.endswith(".dist-info")}
        assert set() == wanted - names(wheel)


def test_every_adapter_is_found_be_it_ours_or_not(environment: Environment) -> None:
    said = json.loads(environment.run("pilot-core", "adapters", "-o", "json"))
    states = {item["name"]: (item["distribution"], item["state"]) for item in said["items"]}
    ours = {folder.name for folder in repository.adapter_folders()}

    assert {"file", "http", "sample", "newer"} | ours == states.keys()
    assert ("pilot-adapter-sample", "ready") == states["sample"]
    assert ("pilot-adapter-sample", "incompatible") == states["newer"]
    assert {"ready"} == {state for name, (_, state) in states.items() if name != "newer"}


def test_a_plugin_from_outside_is_configured_as_any_other(
    environment: Environment, tmp_path: Path
) -> None:
    adapter = "{name: it, kind: sample, config: {hostname: a.mesh}}"
    (tmp_path / "sound.yaml").write_text(f"apiVersion: pilot-core/v1\nadapters: [{adapter}]\n")
    slip = adapter.replace("hostname", "hostnme")
    (tmp_path / "slip.yaml").write_text(f"apiVersion: pilot-core/v1\nadapters: [{slip}]\n")

    environment.run("pilot-core", "check", "-c", tmp_path / "sound.yaml")
    with pytest.raises(AssertionError, match='did you mean "hostname"'):
        environment.run("pilot-core", "check", "-c", tmp_path / "slip.yaml")
    assert "hostname" in environment.run("pilot-core", "init", "--adapter", "sample")


@pytest.mark.parametrize("verb", ["demo", "run", "proxy", "translate"])
def test_each_verb_explains_itself(environment: Environment, verb: str) -> None:
    assert "Usage: pilot-core" in environment.run("pilot-core", verb, "--help")


def test_a_bootstrap_is_made_from_what_is_installed(environment: Environment) -> None:
    said = environment.run("pilot-core", "bootstrap", "--workload", "web", "-o", "json")

    assert "static_resources" in json.loads(said)


def test_a_generated_plugin_project_passes_all_that_it_comes_with(
    environment: Environment, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    environment.run("pilot-core", "adapter", "new", "acme-two", "--output", project)
    environment.install("-e", ".[test]", cwd=project)

    assert " passed" in environment.run("python", "-m", "pytest", cwd=project)
    environment.run("python", "-m", "mypy", cwd=project)
    environment.run("ruff", "check", ".", cwd=project)
    environment.run("ruff", "format", "--check", ".", cwd=project)
    said = json.loads(environment.run("pilot-core", "adapters", "-o", "json"))
    assert ("acme-two", "ready") in {(item["name"], item["state"]) for item in said["items"]}


def _inner_packages() -> list[Path]:
    """Our import packages below source roots, but for the adapters: those ship on their own."""
    return [
        package
        for package in repository.packages()
        if package.parent != ROOT and package.parent not in repository.adapter_folders()
    ]
