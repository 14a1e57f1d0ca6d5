from __future__ import annotations

import pytest

from pilot_core.document import Decoder, Findings, bare, document, variables
from texts import findings_of

SET = {"HOST": "db.example", "PORT": "80", "EMPTY": "", "NESTED": "${HOST}"}


def replaced(text: str) -> object:
    findings = Findings("x.yaml")
    tree = variables.replace(document(text, findings), SET, findings)
    findings.raise_any()
    return bare(tree)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${HOST}", "db.example"),
        ("http://${HOST}:${PORT}/", "http://db.example:80/"),
        ("${MISSING:-here}", "here"),
        ("${MISSING:-}", ""),
        ("${EMPTY:-here}", "here"),
        ("${EMPTY}", ""),
        ("${MISSING:-a:-b}", "a:-b"),
        ("$HOST", "$HOST"),
        ("$${HOST}", "${HOST}"),
        ("${", "${"),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_variables_are_replaced_in_strings(written, value):
    assert {"a": [value]} == replaced(f"a: ['{written}']")


def test_keys_are_left_alone():
    assert {"${HOST}": 1} == replaced("'${HOST}': 1")


def test_what_a_variable_says_is_read_as_what_is_wanted_there():
    findings = Findings("x.yaml")
    tree = variables.replace(document("[ '${PORT}' ]", findings), SET, findings)
    assert [80] == Decoder(findings).decode(tree, list[int])
    assert ["80"] == Decoder(findings).decode(tree, list[str])
    assert 0 == len(findings)


@pytest.mark.parametrize(
    ("written", "finding"),
    [
        (
            "${MISSING}",
            "x.yaml:1:4: the environment variable MISSING is not set; "
            "${MISSING:-…} gives a default",
        ),
        ("${}", "x.yaml:1:4: ${} is no variable; write ${NAME} or $${ for itself"),
        ("${A-B}", "x.yaml:1:4: ${A-B} is no variable; write ${NAME} or $${ for itself"),
    ],
)
def test_what_cannot_be_replaced_is_a_finding(written, finding):
    assert [finding] == findings_of(lambda: replaced(f"a: {written}"))
