"""Roots, and statements about callers: let in, merged, kept, and shown where some are missing."""

from __future__ import annotations

import asyncio

import pytest

from pilot_core.model import Endpoint, Endpoints, Inbound, InboundTls
from pilot_core.registry import admission
from pilot_core.registry.state_file import read, replace
from pilot_core.registry.unapplied import UNAPPLIED
from pilot_core.registry.untrusted import CONFLICT, UNTRUSTED
from registries import registration, running, service
from roots import pem, roots


def test_roots_and_statements_come_out_of_the_state_file_as_they_were_put(tmp_path):
    strict = InboundTls.STRICT
    said = Inbound(name="shop/web", namespace="shop", workload="web", ports=((80, strict),))
    put = (roots(certificates=pem() + pem()), said)
    file = tmp_path / "state.sqlite"
    replace(file, {("cf", "trust"): tuple(admission.admit(record) for record in put)})

    assert {("cf", "trust"): put} == read(file).sources


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (roots(name=""), "roots '' has no name"),
        (roots(certificates="none"), "roots cf: expected certificates in PEM"),
        (roots(certificates=pem()[:200]), "roots cf: expected certificates in PEM"),
    ],
)
def test_roots_that_no_proxy_could_read_are_refused(record, said):
    with pytest.raises(admission.Refused, match=said):
        admission.admit(record)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (Inbound(name="", mode=InboundTls.STRICT), "inbound '' has no name"),
        (Inbound(name="x", namespace="a/b"), "inbound x: 'a/b' is not a namespace"),
        (Inbound(name="x", workload="web"), "a workload is chosen within a namespace"),
        (Inbound(name="x", ports=((0, InboundTls.STRICT),)), "port 0 is not a number"),
    ],
)
def test_a_statement_about_callers_that_cannot_be_meant_is_refused(record, said):
    with pytest.raises(admission.Refused, match=said):
        admission.admit(record)


@pytest.mark.parametrize("name", ["a b", "é", "x" * 300])
def test_a_name_that_no_certificate_could_show_is_refused(name):
    named = Endpoint(addresses=("10.0.0.1",), tls_name=name, tls_roots="cf")
    with pytest.raises(admission.Refused, match="is no DNS name"):
        admission.admit(Endpoints(hostname="cart.mesh", endpoints=(named,)))


async def test_endpoints_that_nobody_can_check_are_shown_until_the_roots_are_there():
    told = []

    async def run(sink):
        named = Endpoint(addresses=("10.0.0.1",), tls_name="guid", tls_roots="cf")
        found = Endpoints(hostname="cart.mesh", endpoints=(named,))
        sink.put("cart", [service("cart.mesh"), found])
        sink.synced()
        told.append(sink)
        await asyncio.Event().wait()

    async with running(registration("cf", run)) as stage:

        def shown() -> list[str]:
            return [p.message for p in stage.problems if p.code in (UNTRUSTED, UNAPPLIED)]

        lack = "they have a TLS name, and roots cf are not there to check it with"
        assert [f"endpoints of cart.mesh get no requests: {lack}"] == shown()
        told[0].put("roots", [roots()])
        await stage.pass_time(1)
        assert [] == shown()
        told[0].drop("roots")
        await stage.pass_time(1)
        assert 1 == len(shown())
        told[0].drop("cart")
        await stage.pass_time(1)
        assert [] == shown()


async def test_roots_of_a_name_that_is_taken_are_shown_and_not_used():
    told = []

    async def run(sink):
        sink.put("a", [roots(certificates=pem())])
        sink.put("b", [roots(certificates=pem() + pem())])
        sink.synced()
        told.append(sink)
        await asyncio.Event().wait()

    async with running(registration("cf", run)) as stage:
        [problem] = [p for p in stage.problems if p.code == CONFLICT]
        assert ("cf", "b", "cf") == (problem.registry, problem.source, problem.object)
        assert "roots cf are there already, from cf/a" in problem.message
        assert [pem()] == [found.certificates for found in stage.hub.world.roots()]
        told[0].drop("a")
        await stage.pass_time(1)
        assert [] == [p for p in stage.problems if p.code == CONFLICT]
        assert [pem() + pem()] == [found.certificates for found in stage.hub.world.roots()]
