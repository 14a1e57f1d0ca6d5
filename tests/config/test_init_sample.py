from __future__ import annotations

import enum
import re
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from kinds import Bare, adapter_types
from pilot_core.adapter import Adapter, Config
from pilot_core.builtin.file import File, FileConfig
from pilot_core.builtin.http import Http, HttpConfig
from pilot_core.config import check, describe, init, load
from pilot_core.document import Duration
from pilot_core.errors import PluginError


def kinds(kind: str) -> type[Adapter]:
    in_the_box = {"file": File, "http": Http}
    return in_the_box[kind] if kind in in_the_box else adapter_types(kind)


def test_the_sample_of_the_adapters_in_the_box_passes_the_check(tmp_path):
    file = tmp_path / "pilot.yaml"
    file.write_text(init.sample(["file", "http"], adapter_types=kinds))
    assert [] == check.check(file, adapter_types=kinds, environment={})
    settings = load.load(file, adapter_types=kinds, environment={})
    expected = (
        FileConfig(paths=(Path("/etc/pilot-core/catalogue"),)),
        HttpConfig(url="https://registry.example/catalogue.yaml"),
    )
    assert expected == tuple(adapter.config for adapter in settings.adapters)


def test_what_stands_in_comments_are_the_defaults(tmp_path):
    text = init.sample(["http"], adapter_types=kinds)
    plain = load.parse(text, tmp_path / "p", adapter_types=kinds, environment={})
    uncommented = re.sub(r"^( *)# ([a-z_]+:( [^ ]+)?)$", r"\1\2", text, flags=re.MULTILINE)
    assert text != uncommented
    assert plain == load.parse(uncommented, tmp_path / "p", adapter_types=kinds, environment={})


def test_every_setting_is_explained():
    text = init.sample(["tree"], adapter_types=kinds)
    assert "    # Where it is.\n    url: CHANGE-ME\n" in text
    assert "    # How long.\n    # wait: 5s\n" in text
    assert "  # The first part of every workload's SPIFFE id.\n" in text
    assert all(len(line) <= 88 for line in text.splitlines())


def test_two_adapters_of_one_kind_get_two_names(tmp_path):
    text = init.sample(["bare", "bare"], adapter_types=kinds)
    settings = load.parse(text, tmp_path / "p", adapter_types=kinds, environment={})
    assert ["bare", "bare-2"] == [adapter.name for adapter in settings.adapters]


def test_without_adapters_there_is_an_empty_list(tmp_path):
    text = init.sample([], adapter_types=kinds)
    assert () == load.parse(text, tmp_path / "p", adapter_types=kinds, environment={}).adapters


def test_a_kind_that_nobody_knows_is_an_error():
    with pytest.raises(PluginError, match='no adapter "tre"'):
        init.sample(["tre"], adapter_types=kinds)


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (1.0, "1"),
        (0.5, "0.5"),
        (80, "80"),
        ("a:b", "a:b"),
        ("80", '"80"'),
        ("true", '"true"'),
        ("", '""'),
        ("a: b", '"a: b"'),
        ("*", '"*"'),
        (Duration(0.01), "10ms"),
        (Path("/a"), "/a"),
        (Colour.RED, "red"),
        ((1, "x"), "[1, x]"),
        ({"a": ()}, "{a: []}"),
    ],
)
def test_values_are_written_as_yaml(value, text):
    assert text == init.written(value)


class Documented(msgspec.Struct, frozen=True):
    """A struct."""

    first: int
    """The first
    one."""
    second: str = msgspec.field(name="zweites", default="x")
    third: tuple[int, ...] = msgspec.field(default_factory=tuple)
    """The third one."""


class Further(Documented, frozen=True):
    """Another, which adds to it."""

    fourth: Documented = Documented(1)
    """The fourth one."""


def test_settings_are_described_in_the_order_of_the_source():
    described = describe.settings(Further)
    assert [
        ("first", True, "The first\none."),
        ("zweites", False, ""),
        ("third", False, "The third one."),
        ("fourth", False, "The fourth one."),
    ] == [(s.key, s.is_required, s.documentation) for s in described]
    assert [None, None, None, Documented] == [s.section for s in described]
    assert ("x", ()) == (described[1].default, described[2].default)


class Account(msgspec.Struct, frozen=True):
    """A section."""

    name: str
    """Whose."""


class Sections(Config, frozen=True):
    """Sections that may be left out: one of them is usual."""

    usual: Annotated[Account | None, msgspec.Meta(examples=[{}])] = None
    """Most need it."""
    rare: Account | None = None
    """Few need it."""


def test_a_section_that_may_be_left_out_is_written_where_it_is_usual():
    class Sectioned(Bare):
        Config = Sections

    text = init.sample(["sectioned"], adapter_types=lambda kind: Sectioned)
    assert "    # Most need it.\n    usual:\n      # Whose.\n      name: CHANGE-ME\n" in text
    assert "    # Few need it.\n    # rare:\n    #   # Whose.\n    #   name: CHANGE-ME\n" in text
