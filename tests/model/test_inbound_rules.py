"""Who may connect: of all that people say, what counts for one port of one workload."""

from __future__ import annotations

import itertools

import pytest

from pilot_core.model import Claim, Inbound, InboundTls, Roots, World
from pilot_core.model.inbound import InboundRules
from pilot_core.model.text import plain, world
from worlds import endpoint

STRICT, PERMISSIVE, DISABLED = InboundTls
WEB = endpoint("10.0.0.1", workload="web-v1", labels=(("app", "web"), ("version", "v1")))


def said(name: str = "", **more) -> Inbound:
    return Inbound(name=name, **more)


MESH = said(mode=DISABLED)
NAMESPACE = said(namespace="shop", mode=PERMISSIVE)
WORKLOAD = said(namespace="shop", workload="web-v1", mode=STRICT)


def mode(*statements: Inbound, port: int = 80, namespace: str = "shop"):
    found = {InboundRules(order).mode(namespace, WEB, port) for order in _orders(statements)}
    assert len(found) == 1
    return found.pop()


def _orders(statements):
    return itertools.permutations(statements)


def test_where_nobody_says_anything_nothing_is_said():
    assert None is mode()
    assert not InboundRules()


def test_what_is_nearer_counts_first():
    assert DISABLED is mode(MESH)
    assert PERMISSIVE is mode(MESH, NAMESPACE)
    assert STRICT is mode(MESH, NAMESPACE, WORKLOAD)
    assert DISABLED is mode(MESH, NAMESPACE, WORKLOAD, namespace="bank")


@pytest.mark.parametrize(
    ("labels", "is_about"),
    [
        ({"app": "web"}, True),
        ({"app": "web", "version": "v1"}, True),
        ({"app": "web", "version": "v2"}, False),
        ({"tier": ""}, False),
    ],
)
def test_labels_choose_workloads_that_have_all_of_them(labels, is_about):
    chosen = said(namespace="shop", labels=tuple(sorted(labels.items())), mode=STRICT)
    assert (STRICT if is_about else PERMISSIVE) is mode(NAMESPACE, chosen)


def test_another_workload_is_not_meant():
    other = said(namespace="shop", workload="web-v2", mode=STRICT)
    assert PERMISSIVE is mode(NAMESPACE, other)


def test_of_two_that_are_as_near_the_stricter_counts():
    labelled = said(namespace="shop", labels=(("app", "web"),), mode=DISABLED)
    assert STRICT is mode(labelled, WORKLOAD)


def test_what_is_said_of_a_port_counts_for_that_port_only():
    one = said(namespace="shop", workload="web-v1", ports=((9090, DISABLED),))
    assert DISABLED is mode(one, NAMESPACE, port=9090)
    assert PERMISSIVE is mode(one, NAMESPACE, port=80)


def test_a_world_keeps_its_rules_until_a_statement_changes():
    first, _ = World().apply({}, {}, {MESH.key: (Claim("file", "f", MESH),)})
    later, _ = first.apply({}, {"a.mesh": ()})
    assert first.inbound is later.inbound
    gone, delta = first.apply({}, {}, {MESH.key: ()})
    assert not gone.inbound
    assert {MESH.key} == delta.policies


def test_of_two_registries_the_stricter_one_counts():
    claims = (Claim("first", "f", MESH), Claim("second", "f", said(mode=STRICT)))
    made, _ = World().apply({}, {}, {MESH.key: claims})
    assert STRICT is made.inbound.mode("shop", WEB, 80)


def test_of_two_roots_of_one_name_the_first_ones_count():
    one, other = (Roots(name="cf", certificates=text) for text in ("ONE", "OTHER"))
    claims = (Claim("first", "f", one), Claim("second", "f", other))
    made, _ = World().apply({}, {}, {one.key: claims})
    assert [one] == list(made.roots())


def test_statements_are_in_the_text_of_a_world():
    made, _ = World().apply({}, {}, {WORKLOAD.key: (Claim("file", "f", WORKLOAD),)})
    again = world(plain(made))
    assert STRICT is again.inbound.mode("shop", WEB, 80)
