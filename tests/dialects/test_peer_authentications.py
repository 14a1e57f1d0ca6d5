"""PeerAuthentications of Istio: what they say, and what of them is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilot_core.dialects import catalogue
from pilot_core.dialects.catalogue import Catalogue
from pilot_core.model import Inbound, InboundTls

STRICT, PERMISSIVE, DISABLED = InboundTls


def written(namespace: str = "shop", *, name: str = "default", **spec: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": namespace, "uid": "7"},
            "spec": spec,
        }
    )


def read(*documents: str, before: Catalogue = catalogue.NOTHING) -> Catalogue:
    return catalogue.read("\n---\n".join(documents), "a.yaml", before=before)


def said(*documents: str) -> Inbound:
    found = read(*documents)
    assert () == found.refused
    [record] = found.records
    assert isinstance(record, Inbound)
    return record


def test_in_the_root_namespace_it_is_about_the_mesh():
    assert ("", STRICT) == _scope(said(written("istio-system", mtls={"mode": "STRICT"})))


def test_elsewhere_it_is_about_its_namespace():
    assert ("shop", DISABLED) == _scope(said(written(mtls={"mode": "DISABLE"})))


def _scope(record: Inbound) -> tuple[str, InboundTls | None]:
    return record.namespace, record.mode


def test_a_selector_chooses_workloads_and_ports_may_differ():
    found = said(
        written(
            selector={"matchLabels": {"app": "web", "a": "b"}},
            mtls={"mode": "PERMISSIVE"},
            portLevelMtls={"9090": {"mode": "DISABLE"}, "80": {"mode": "UNSET"}},
        )
    )
    assert (("a", "b"), ("app", "web")) == found.labels
    assert (PERMISSIVE, ((9090, DISABLED),)) == (found.mode, found.ports)


@pytest.mark.parametrize("spec", [{}, {"mtls": {}}, {"mtls": {"mode": "UNSET"}}])
def test_what_is_unset_is_inherited(spec):
    assert None is said(written(**spec)).mode


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (written(mtls={"mode": "MAYBE"}), "spec.mtls.mode: "),
        (written(mtls={"mod": "STRICT"}), "spec.mtls"),
        (written(portLevelMtls={"80": {"mode": "STRICT"}}), "spec.portLevelMtls: ports are read"),
        (
            written(selector={"matchLabels": {"a": "b"}}, portLevelMtls={"http": {}}),
            '"http" is not a number from 1 to 65535',
        ),
        (
            written("istio-system", selector={"matchLabels": {"a": "b"}}),
            "spec.selector: workloads are not chosen from istio-system",
        ),
        (
            written(mtls={"mode": "STRICT"}).replace("io/v1", "io/v9"),
            "PeerAuthentication is read in the versions v1, v1beta1",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused_with_its_place(document, words):
    found = read(document)
    assert () == found.records
    assert words in str(found.refused[0])


def test_one_that_is_spoilt_keeps_what_it_said_and_others_go_their_way():
    other = written("bank", mtls={"mode": "STRICT"})
    before = read(written(mtls={"mode": "STRICT"}), other)
    after = read(written(mtls={"mode": "MAYBE"}), other.replace("STRICT", "DISABLE"), before=before)
    modes = {record.namespace: record.mode for record in after.trust.values()}
    assert {"shop": STRICT, "bank": DISABLED} == modes


def test_a_name_stands_in_a_file_once():
    found = read(written(mtls={"mode": "STRICT"}), written(mtls={"mode": "DISABLE"}))
    assert 1 == len(found.records)
    assert "PeerAuthentication shop/default is in this file already" in str(found.refused[0])
