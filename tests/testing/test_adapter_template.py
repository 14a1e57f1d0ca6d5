"""`pilot-core adapter new`: names, folders, and a project without loose ends. That its own tests
pass is seen in tests/packaging."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

from pilot_core.errors import ConfigError
from pilot_core.testing import template


def test_the_project_is_named_throughout(tmp_path: Path) -> None:
    files = template.create("acme-two", tmp_path / "new")

    texts = {str(path.relative_to(tmp_path / "new")): path.read_text() for path in files}
    setup = configparser.ConfigParser(interpolation=None)
    setup.read_string(texts["setup.cfg"])
    assert "pilot-adapter-acme-two" == setup["metadata"]["name"]
    entry = setup["options.entry_points"]["pilot_core.adapters"].strip()
    assert "acme-two = pilot_adapter_acme_two:AcmeTwo" == entry
    assert "class AcmeTwo(Adapter)" in texts["pilot_adapter_acme_two/adapter.py"]
    assert "class TestAcmeTwo(AdapterConformance)" in texts["tests/test_conformance.py"]
    assert {"README.md", "LICENSE", "pyproject.toml", ".gitignore"} < texts.keys()
    assert [] == [name for name, text in texts.items() if "$" in text]


def test_every_python_file_of_it_parses(tmp_path: Path) -> None:
    files = template.create("x", tmp_path)

    sources = [path for path in files if path.suffix == ".py"]
    assert 7 == len(sources)
    assert all(ast.get_docstring(ast.parse(path.read_text())) for path in sources)


@pytest.mark.parametrize(
    "name", ["", "Acme", "1st", "a b", "a/b", "../up", "a--b", "-a", "a_", "ä", "a\n", "a" * 41]
)
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no name for an adapter"):
        template.create(name, tmp_path / "new")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file", "http"])
def test_a_name_that_another_plugin_has_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f'"{name}" is there already, from pilot-core'):
        template.create(name, tmp_path / "new")


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    assert template.create("acme", tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty, and nothing is overwritten"):
        template.create("acme", tmp_path)
    assert "mine" == (tmp_path / "setup.cfg").read_text()
    assert [tmp_path / "setup.cfg"] == list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        template.create("acme", tmp_path / "file")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/below is not a folder"):
        template.create("acme", tmp_path / "file" / "below")
