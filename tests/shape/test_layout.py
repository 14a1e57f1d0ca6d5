"""Where things lie: source roots, packages, tests."""

from __future__ import annotations

import configparser
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import repository
from repository import ROOT


def _setup(folder: Path = ROOT) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(folder / "setup.cfg")
    return parser


def test_a_source_root_is_no_package_itself() -> None:
    roots = [*repository.source_roots(), ROOT / "adapters", ROOT / "tests"]

    assert [] == [repository.shown(r) for r in roots if (r / "__init__.py").exists()]


def test_the_packages_that_are_shipped_are_those_on_disk() -> None:
    prefixes = {"pilot_core": ROOT, "pilot_xds": ROOT / "xds", "pilot_certs": ROOT / "certs"}
    on_disk = {
        ".".join(init.parent.relative_to(root).parts)
        for name, root in prefixes.items()
        for init in (root / name).rglob("__init__.py")
    }

    assert sorted(on_disk) == _setup()["options"]["packages"].split()


def test_every_folder_with_sources_is_a_package() -> None:
    folders = {path.parent for path in repository.sources()}

    assert [] == [repository.shown(f) for f in folders if not (f / "__init__.py").exists()]


def test_every_distribution_can_be_built_without_more_ado() -> None:
    for folder in (ROOT, *repository.adapter_folders()):
        said = (folder / "pyproject.toml").read_text()

        assert "[build-system]" in said
        # Settings of tools stand in setup.cfg, in one place.
        assert "[tool." not in said


def test_test_files_have_names_of_their_own() -> None:
    # Without packages, pytest and type checkers know a test file by its name alone.
    names = Counter(path.name for path in repository.tests() if path.name != "conftest.py")

    assert [] == [name for name, count in names.items() if count > 1]


def test_tests_lie_in_no_package() -> None:
    assert [] == [repository.shown(path) for path in (ROOT / "tests").rglob("__init__.py")]


def test_there_is_more_test_than_source() -> None:
    lengths = {
        name: sum(len(path.read_text().splitlines()) for path in paths)
        for name, paths in (("tests", repository.tests()), ("sources", repository.sources()))
    }
    print(f"lines of tests / lines of sources: {lengths['tests'] / lengths['sources']:.2f}")

    assert lengths["tests"] > 0


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked source has no history")
def test_nothing_generated_is_committed() -> None:
    command = ["git", "ls-files", "-z", "--cached", "--ignored", "--exclude-standard"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)

    assert "" == said.stdout


def test_higher_layers_import_lower_ones_only() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    said = subprocess.run(
        [*command, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == said.returncode, said.stdout
