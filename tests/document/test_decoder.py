from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilot_core.document import Duration, Findings, Node, Scalar, decode, document
from pilot_core.errors import ConfigError, Finding
from texts import findings_of


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


class Inner(msgspec.Struct, frozen=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    word: Annotated[str, msgspec.Meta(min_length=1)] = "w"


Metres = NewType("Metres", float)


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    renamed: bool = msgspec.field(name="switch", default=False)
    share: float = 0.5
    length: Metres = Metres(1.0)
    colour: Colour = Colour.RED
    side: Literal["left", "right"] = "left"
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: Mapping[str, int] = msgspec.field(default_factory=dict)
    wait: Duration = Duration(5)
    file: Path | None = None
    anything: Any = None
    either: int | str = 0
    tree: Node | None = None

    def __post_init__(self) -> None:
        if self.name == "both":
            raise ConfigError(
                Finding("switch", 0, 0, "not with this name"), Finding("", 0, 0, "not at all")
            )
        if self.name == "plain":
            raise ValueError("nobody is called plain")


def decoded(text: str, wanted: Any = Outer, **options: Any) -> Any:
    return decode(document(text, Findings("x.yaml")), wanted, path="x.yaml", **options)


def wrong(text: str, wanted: Any = Outer) -> list[str]:
    return findings_of(lambda: decoded(text, wanted))


def test_a_document_becomes_values_of_the_wanted_types():
    text = """
        name: no
        switch: true
        share: 1
        length: 2.5
        colour: green
        side: right
        inner: {number: 80}
        many: [{number: 1, word: '1'}, {number: 2}]
        by_name: {a: 1, 80: 2}
        wait: 250ms
        file: a/b
        anything: [1, {x: null}]
        either: text
        """
    outer = Outer(
        name="no",
        renamed=True,
        share=1.0,
        length=Metres(2.5),
        colour=Colour.GREEN,
        side="right",
        inner=Inner(80),
        many=(Inner(1, "1"), Inner(2)),
        by_name={"a": 1, "80": 2},
        wait=Duration(0.25),
        file=Path("a/b"),
        anything=[1, {"x": None}],
        either="text",
    )
    assert outer == decoded(text)
    assert isinstance(decoded(text).share, float)


def test_a_tree_can_be_asked_for_as_it_is():
    assert Scalar("x", 2, 7) == decoded("name: a\ntree: x").tree


def test_relative_paths_are_relative_to_the_folder():
    assert Path("/etc/a") == decoded("{name: x, file: a}", folder=Path("/etc")).file
    assert Path("/b") == decoded("{name: x, file: /b}", folder=Path("/etc")).file


def test_a_key_without_a_value_is_the_same_as_no_key():
    assert decoded("name: x") == decoded("name: x\nshare:\nmany: ~\ninner: null\nby_name:\n")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("{}", '1:1: the key "name" is missing'),
        ("name:", "1:6: name: expected a string, found nothing"),
        ("name: 1.10", "1:7: name: expected a string, found the number 1.1: put it in quotes"),
        ("name: true", "1:7: name: expected a string, found the boolean true: put it in quotes"),
        ("name: [a]", "1:7: name: expected a string, found a list"),
        ("{name: x, nmae: y}", '1:11: unknown key "nmae", did you mean "name"?'),
        ("{name: x, Share: 1}", '1:11: unknown key "Share", did you mean "share"?'),
        (
            "{name: x, switch: yes}",
            '1:19: switch: expected true or false, found the string "yes": '
            "only true and false are booleans, in lower case and without quotes",
        ),
        ("{name: x, switch: 1}", "1:19: switch: expected true or false, found the number 1"),
        (
            "{name: x, share: '1'}",
            '1:18: share: expected a number, found the string "1": leave out the quotes',
        ),
        ("{name: x, share: true}", "1:18: share: expected a number, found the boolean true"),
        (
            "{name: x, colour: gren}",
            '1:19: colour: expected one of red, green, found "gren", did you mean "green"?',
        ),
        ("{name: x, colour: 5}", "1:19: colour: expected one of red, green, found the number 5"),
        ("{name: x, side: up}", '1:17: side: expected one of left, right, found "up"'),
        ("{name: x, inner: 5}", "1:18: inner: expected a mapping, found the number 5"),
        (
            "{name: x, inner: {number: 0}}",
            "1:27: inner.number: expected a whole number >= 1, found the number 0",
        ),
        (
            "{name: x, inner: {number: 1.5}}",
            "1:27: inner.number: expected a whole number, found the number 1.5",
        ),
        (
            "{name: x, inner: {number: 010}}",
            '1:27: inner.number: expected a whole number, found the string "010"',
        ),
        (
            "{name: x, inner: {number: 1, word: ''}}",
            '1:36: inner.word: expected a string of length >= 1, found the string ""',
        ),
        ("{name: x, many: {}}", "1:17: many: expected a list, found a mapping"),
        ("{name: x, many: [{}]}", '1:18: many[0]: the key "number" is missing'),
        ("{name: x, by_name: []}", "1:20: by_name: expected a mapping, found a list"),
        (
            "{name: x, by_name: {a: b}}",
            '1:24: by_name.a: expected a whole number, found the string "b"',
        ),
        (
            "{name: x, wait: 5}",
            "1:17: wait: expected a duration such as 250ms, 30s, 5m or 1h, found the number 5: "
            "it needs a unit",
        ),
        (
            "{name: x, wait: soon}",
            '1:17: wait: expected a duration such as 250ms, 30s, 5m or 1h, found the string "soon"',
        ),
        ("{name: x, file: 5}", "1:17: file: expected a path, found the number 5"),
        ("{name: x, either: [1]}", "1:19: either: expected `int | str`, got `array`"),
        ("{name: plain}", "1:1: nobody is called plain"),
        ("[]", "1:1: expected a mapping, found a list"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_with_its_place(text, finding):
    assert [f"x.yaml:{finding}"] == wrong(text)


def test_a_key_that_resembles_none_is_answered_with_those_that_there_are():
    [finding] = wrong("{number: 1, zzzzzz: 1}", Inner)
    assert 'x.yaml:1:13: unknown key "zzzzzz"; known: number, word' == finding


def test_everything_is_found_in_one_run():
    text = "nam: x\nswitch: on\ninner: {numbr: 1}\nmany:\n- 5\n- {number: 99999}\nwait: 1\n"
    assert [
        'x.yaml:1:1: the key "name" is missing',
        'x.yaml:1:1: unknown key "nam", did you mean "name"?',
        'x.yaml:2:9: switch: expected true or false, found the string "on": '
        "only true and false are booleans, in lower case and without quotes",
        'x.yaml:3:8: inner: the key "number" is missing',
        'x.yaml:3:9: inner: unknown key "numbr", did you mean "number"?',
        "x.yaml:5:3: many[0]: expected a mapping, found the number 5",
        "x.yaml:6:12: many[1].number: expected a whole number <= 65535, found the number 99999",
        "x.yaml:7:7: wait: expected a duration such as 250ms, 30s, 5m or 1h, "
        "found the number 1: it needs a unit",
    ] == wrong(text)


def test_what_a_struct_refuses_by_itself_stands_at_the_field_that_it_names():
    assert [
        "x.yaml:1:1: not at all",
        "x.yaml:2:9: switch: not with this name",
    ] == wrong("name: both\nswitch: true\n")


def test_a_long_or_unprintable_string_is_shown_short_and_printable():
    [finding] = wrong(f'{{name: x, side: "\\e[2J{"x" * 200}"}}')
    assert finding.endswith('found "\\x1b[2J' + "x" * 55 + '…"')


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(list(Outer.__struct_encode_fields__)) | st.text(), inner
            )
        ),
        max_leaves=15,
    )
)
def test_no_document_raises_anything_but_a_config_error(value):
    text = msgspec.json.encode(value).decode()
    for finding in findings_of(lambda: decode(document(text, Findings("x.json")), Outer, path="p")):
        assert finding.startswith("p:1:")
