"""The pages of docs/: generated ones say what the code says, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest

import repository
from repository import ROOT

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")
_CODE = re.compile(r"```.*?```", re.DOTALL)


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_docs", ROOT / "tools" / "gen_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["docs/configuration.md", "docs/cli.md", "docs/metrics.md"])
def test_generated_pages_are_up_to_date(page: str) -> None:
    expected = _tool().PAGES[page]()

    assert expected == (ROOT / page).read_text(), "run `make docs`"


def test_every_link_between_pages_leads_to_a_page_and_a_heading() -> None:
    pages = [path for path in repository.files() if path.suffix == ".md"]
    broken = []
    for page in pages:
        for target, anchor in _LINK.findall(_CODE.sub("", page.read_text())):
            where = (page.parent / target).resolve() if target else page
            if not where.exists():
                broken.append(f"{repository.shown(page)}: {target}")
            elif anchor and anchor[1:] not in _anchors(where.read_text()):
                broken.append(f"{repository.shown(page)}: {target}{anchor}")

    assert [] == broken


def _anchors(text: str) -> set[str]:
    """As the usual renderers make them of headings."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_decision_is_listed_and_says_why() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    decisions = sorted(path for path in folder.glob("[0-9]*.md"))

    assert decisions
    assert [] == [path.name for path in decisions if path.name not in index]
    for path in decisions:
        text = path.read_text()
        assert ["## Context", "## Decision", "## Consequences"] == re.findall(
            r"^## .+$", text, re.MULTILINE
        ), path.name
