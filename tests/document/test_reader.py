from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pilot_core.document import Findings, bare, document, documents
from pilot_core.document.reader import MAX_BYTES
from pilot_core.document.tree import Mapping, Scalar, Sequence
from pilot_core.errors import ConfigError
from texts import read, refused


def values(text: str | bytes, path: str = "x.yaml") -> object:
    """The first document without places."""
    return bare(read(text, path)[0])


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("80", 80),
        ("-1", -1),
        ("0", 0),
        ("010", "010"),
        ("0x10", "0x10"),
        ("0o10", "0o10"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("'80'", "80"),
        ('"true"', "true"),
        ("''", ""),
        ('"\\u00e9"', "é"),
        ("|\n   two\n   lines\n", "two\nlines\n"),
    ],
)
def test_plain_words_are_what_they_look_like_and_nothing_more(word, value):
    read_value = values(f"key: {word}")["key"]
    assert (value, type(value)) == (read_value, type(read_value))


def test_every_node_knows_its_line_and_column_counted_from_one():
    root = read("a: 1\nbéé: [x,  {c: d}]\n")[0]
    listed = root.entries["béé"]
    assert (2, 1) == (listed.line, listed.column)
    assert (2, 6) == (listed.value.line, listed.value.column)
    assert Scalar("x", 2, 7) == listed.value.items[0]
    assert (2, 11) == (listed.value.items[1].line, listed.value.items[1].column)


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert {"a": 1} == values(b"\xef\xbb\xbfa: 1")


def test_several_documents_come_one_after_another_and_an_empty_one_is_a_null():
    assert [{"a": 1}, None, ["b"]] == [bare(d) for d in read("a: 1\n---\n---\n- b\n")]


def test_an_empty_file_holds_no_document():
    assert [] == read("") == read("# only words\n")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a: 1\nb: 2\na: 3\n", 'x.yaml:3:1: duplicate key "a", first at line 1'),
        ("{a: {b: 1, b: 2}}", 'x.yaml:1:12: duplicate key "b", first at line 1'),
        (
            "a: [1, 2",
            "x.yaml:2:1: not YAML: while parsing a flow sequence did not find expected ',' or ']'",
        ),
        ("a: b: c", "x.yaml:1:5: not YAML: mapping values are not allowed in this context"),
        (
            "a:\n\tb: 1",
            "x.yaml:2:1: not YAML: while scanning for the next token "
            "found character that cannot start any token",
        ),
        ("%YAML 9.9\n---\na: 1", "x.yaml:1:1: not YAML: found incompatible YAML document"),
        ("a: \x01", "x.yaml:1:4: not YAML: character U+0001 is not allowed"),
        (b"a: x\nb: \xff\xfe", "x.yaml:2:4: not text: byte 0xff is not UTF-8"),
        ("? [a]\n: b", "x.yaml:1:3: not readable: a key must be a plain word or a string"),
        ("a: *b", "x.yaml:1:4: not readable: alias *b has no anchor before it"),
        ("a: &a [*a]", "x.yaml:1:8: not readable: alias *a has no anchor before it"),
        (
            "a: !!str 5",
            "x.yaml:1:4: tags such as !!str are not supported; put a string in quotes instead",
        ),
        (
            "a: !secret x",
            "x.yaml:1:4: tags such as !secret are not supported; put a string in quotes instead",
        ),
        ("a: 1\n<<: 5", "x.yaml:2:5: only mappings can be merged with <<"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, finding):
    assert [finding] == refused(text)


def test_all_duplicate_keys_are_found_in_one_run():
    assert [
        'x.yaml:2:1: duplicate key "a", first at line 1',
        'x.yaml:3:1: duplicate key "a", first at line 1',
        'x.yaml:5:3: duplicate key "c", first at line 4',
    ] == refused("a: 1\na: 2\na: 3\nb: {c: 1,\n  c: 2}\n")


def test_the_first_of_two_equal_keys_counts():
    assert {"a": 1} == values("a: 1\na: 2\n")


def test_a_second_document_is_refused_where_one_is_expected():
    with pytest.raises(ConfigError) as caught:
        document("a: 1\n---\nb: 2\n", Findings("x.yaml"))
    assert "x.yaml:3:1: a second document begins here, where one is expected" == str(caught.value)


def test_nothing_at_all_is_a_null_at_the_beginning():
    assert Scalar(None, 1, 1) == document("", Findings("x.yaml"))


# Aliases


def test_an_alias_stands_for_what_its_anchor_names():
    assert {"a": {"x": 1}, "b": {"x": 1}} == values("a: &x {x: 1}\nb: *x\n")


def test_merged_keys_come_after_those_that_are_written_out_and_earlier_ones_win():
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nall: {<<: [*one, *two], a: 0}\n"
    assert {"a": 0, "b": 1, "c": 2} == values(text)["all"]


def test_an_anchor_ends_with_its_document():
    assert ["x.yaml:3:4: not readable: alias *x has no anchor before it"] == refused(
        "a: &x 1\n---\nb: *x\n"
    )


def laughs(levels: int, width: int) -> str:
    lines = ["l0: &l0 [lol]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*l{level - 1}"] * width)
        lines.append(f"l{level}: &l{level} [{aliases}]")
    return "\n".join(lines)


def test_a_billion_laughs_are_refused_and_cost_nothing():
    tracemalloc.start()
    try:
        [finding] = refused(laughs(30, 9))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert finding.endswith("not readable: aliases stand for more than 200000 nodes")
    assert peak < 5_000_000


def test_merges_of_merges_are_limited_like_any_other_aliases():
    lines = ["l0: &l0 {" + ", ".join(f"k{n}: 1" for n in range(500)) + "}"]
    lines += [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 20)]
    [finding] = refused("\n".join(lines))
    assert finding.endswith("not readable: aliases stand for more than 200000 nodes")


def test_depth_is_limited_in_yaml_and_json():
    assert ["x.yaml:1:50: not readable: nested deeper than 48 levels"] == refused("[" * 900)
    deep = "[" * 100_000
    [finding] = refused(deep)
    assert "nesting" in finding
    closed = "[" * 60 + "]" * 60
    assert ["x.json:1:50: not readable: nested deeper than 48 levels"] == refused(closed, "x.json")
    assert ["x.json:1:1: not readable: nested too deep"] == refused(deep, "x.json")


def test_size_is_limited():
    assert ["x.yaml: larger than 64 MiB, the most that is read of one file"] == refused(
        b"#" * (MAX_BYTES + 1)
    )


# JSON


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            '{"a": 1,}',
            "x.json:1:9: not JSON: expecting property name enclosed in double quotes",
        ),
        ('{\n"a": tru}', "x.json:2:6: not JSON: expecting value"),
        ('{"a": NaN}', "x.json:1:7: not JSON: invalid character"),
        ("[1, 2", "x.json:1:6: not JSON: expecting ',' delimiter"),
        ("{} {}", "x.json:1:4: not JSON: extra data"),
        ("a: 1", "x.json:1:1: not JSON: expecting value"),
        ("", "x.json:1:1: not JSON: expecting value"),
        ('{"a": 1,\n "a": 2}', 'x.json:2:2: duplicate key "a", first at line 1'),
    ],
)
def test_json_is_json_and_nothing_more(text, finding):
    assert [finding] == refused(text, "x.json")


def test_json_has_the_places_that_yaml_has():
    text = '{"a": [1,\n   {"b": "ü"}], "c": true}'
    assert read(text, "x.yaml") == read(text, "x.json")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
@example({"é": "😀\x7f\t", "<<": {"a": 1}}, None, True)
def test_every_json_value_is_read_as_it_is(value, indent, escaped):
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    read_value = values(text, "x.json")
    # Numbers may be written in more ways than Python has for them: 1e+16.
    assert json.dumps(value) == json.dumps(read_value) or value == read_value


@given(st.text() | st.binary() | st.text("[]{}:,-&*!?|>'\"%#\n\t ab01<~"))
@example("- - - - -\n :")
@example("!<tag:x> a")
@example(b"\xfe\xff\x00a")
def test_no_text_whatsoever_raises_anything_but_a_config_error(text):
    for path in ("x.yaml", "x.json"):
        for finding in refused(text, path):
            assert finding.startswith(path)


# Long lists


def test_the_items_of_a_long_list_are_handed_over_and_not_kept():
    seen = []

    def visit(node, index, findings):
        seen.append((index, bare(node), [str(f) for f in findings.all]))

    findings = Findings("x.yaml")
    text = "items:\n- a\n- {b: 1, b: 2}\nrest: {items: [z]}\n---\nitems: [c]\n"
    roots = list(documents(text, findings, each="items", visit=visit))
    duplicate = 'x.yaml:3:10: duplicate key "b", first at line 3'
    assert [(0, "a", []), (1, {"b": 1}, [duplicate]), (0, "c", [])] == seen
    assert [{"items": [], "rest": {"items": ["z"]}}, {"items": []}] == [bare(r) for r in roots]
    assert 0 == len(findings)


def test_a_long_list_that_an_alias_may_ask_for_again_is_kept():
    roots = list(
        documents(
            "items: &x [a]\nmore: *x\n",
            Findings("x.yaml"),
            each="items",
            visit=lambda node, index, findings: None,
        )
    )
    assert {"items": ["a"], "more": ["a"]} == bare(roots[0])


def test_trees_are_made_of_three_kinds_of_nodes():
    root = read("a: [b]")[0]
    assert (Mapping, Sequence) == (type(root), type(root.entries["a"].value))
