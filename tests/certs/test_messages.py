"""What is declared by hand is what Envoy's API says, field by field."""

from __future__ import annotations

import pytest

from pilot_certs import messages
from pilot_xds import protos

ENVOY = [
    f"{package}.{name}"
    for package, declared in messages.DECLARED.items()
    if package.startswith("envoy.") or package == "google.rpc"
    for name in declared
]


@pytest.mark.parametrize("full_name", ENVOY)
def test_a_message_of_envoys_has_envoys_numbers_and_types(full_name: str) -> None:
    ours = messages.POOL.FindMessageTypeByName(full_name)
    theirs = protos.POOL.FindMessageTypeByName(full_name)

    for field in ours.fields:
        real = theirs.fields_by_name[field.name]
        assert (real.number, real.type, real.is_repeated) == (
            field.number,
            field.type,
            field.is_repeated,
        )
        if field.message_type is not None:
            assert real.message_type.full_name == field.message_type.full_name


def test_the_numbers_of_the_workload_api_are_those_of_its_specification() -> None:
    svid = messages.SvidResponse(svids=[{"spiffe_id": "a", "x509_svid": b"b", "bundle": b"c"}])

    assert bytes.fromhex("0a090a0161120162220163") == svid.SerializeToString()
