"""SPIFFE ids: one legal form, and nothing that is made into it."""

from __future__ import annotations

import pytest

from pilot_certs import spiffe
from pilot_certs.refusal import InvalidRequest
from pilot_certs.spiffe import SpiffeId


@pytest.mark.parametrize(
    "text",
    ["spiffe://mesh.example", "spiffe://a/b", "spiffe://mesh/ns/shop/sa/r.v-1_x", "spiffe://m/..a"],
)
def test_an_id_is_written_as_it_was_read(text: str) -> None:
    assert text == str(spiffe.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "SPIFFE://mesh/a",
        "https://mesh/a",
        "spiffe:/mesh/a",
        "spiffe://Mesh/a",
        "spiffe://mesh:80/a",
        "spiffe://user@mesh/a",
        "spiffe://me%73h/a",
        "spiffe://mesh/",
        "spiffe://mesh/a/",
        "spiffe://mesh//a",
        "spiffe://mesh/./a",
        "spiffe://mesh/a/..",
        "spiffe://mesh/../a",
        "spiffe://mesh/%2e%2e/a",
        "spiffe://mesh/a?b=c",
        "spiffe://mesh/a#b",
        "spiffe://mesh/a,spiffe://mesh/b",
        "spiffe://mesh/a b",
        "spiffe://mesh/a\n",
        "spiffe://mesh\n/a",
        "spiffe://mesh/a\0.evil",
        "spiffe://mesh/ä",
        " spiffe://mesh/a",
        "spiffe://" + "m" * 256 + "/a",
        "spiffe://mesh/" + "a" * 2048,
    ],
)
def test_what_is_not_in_the_legal_form_is_refused_and_not_made_legal(text: str) -> None:
    with pytest.raises(InvalidRequest):
        spiffe.parse(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a,b", "a%2fb", "a\n"])
def test_a_name_cannot_smuggle_in_a_path(name: str) -> None:
    for namespace, account in ((name, "reviews"), ("shop", name)):
        with pytest.raises(InvalidRequest):
            spiffe.of_account("mesh", namespace, account)


def test_a_prefix_ends_at_a_slash() -> None:
    ours = SpiffeId("mesh", "/dc1/reviews")

    assert ours.is_below("/dc1")
    assert ours.is_below("/dc1/")
    assert not ours.is_below("/dc")
    assert not SpiffeId("mesh", "/dc1").is_below("/dc1")
