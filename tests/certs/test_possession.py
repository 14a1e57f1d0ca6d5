"""Proof of possession: whose certificate counts, and what is no proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import authorities
from authorities import DOMAIN, NOW
from pilot_certs import possession
from pilot_certs.agent.proofs import PlatformCertificate
from pilot_certs.caller import Call
from pilot_certs.possession import Possession
from pilot_certs.refusal import Unauthenticated
from pilot_core.errors import Denied
from pilot_core.testing import FakeClock
from platform_authority import Platform

HERE = "10.0.0.1"


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


async def reason(proof: Possession, payload: bytes, answer: Any = None, peer: str = HERE) -> str:
    async def silent(nonce: bytes) -> bytes:
        return b""

    with pytest.raises(Unauthenticated) as refused:
        await proof.attest(payload, Call(peer=peer), answer or silent)
    return refused.value.reason


@pytest.mark.parametrize(
    "make",
    [
        authorities.key,
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA"],
)
async def test_who_has_the_key_is_whom_the_certificate_names(
    platform: Platform, make: Callable[[], Any]
) -> None:
    key = make()
    shown = platform.shows(platform.certificate(key, addresses=(HERE,)), key)
    caller = await platform.proof().attest(await shown.payload(), Call(peer=HERE), shown.answer)

    assert [f"spiffe://{DOMAIN}/vm/vm-1"] == [str(name) for name in caller.identities]
    assert ("vms", 16) == (caller.attestor, len(caller.evidence))


async def test_a_certificate_without_its_key_proves_nothing(platform: Platform) -> None:
    key, other = authorities.key(), authorities.key()
    shown = platform.shows(platform.certificate(key), other)

    assert "x509-possession" == await reason(platform.proof(), await shown.payload(), shown.answer)
    assert "x509-possession" == await reason(platform.proof(), await shown.payload())


async def test_an_answer_to_another_nonce_proves_nothing(platform: Platform) -> None:
    key = authorities.key()
    shown = platform.shows(platform.certificate(key), key)
    heard: list[bytes] = []

    async def overhears(nonce: bytes) -> bytes:
        heard.append(await shown.answer(nonce))
        return heard[0]

    proof, payload = platform.proof(), await shown.payload()
    await proof.attest(payload, Call(peer=HERE), overhears)
    assert "x509-possession" == await reason(proof, payload, overhears)


async def test_an_answer_for_another_certificate_of_the_same_key_proves_nothing(
    platform: Platform,
) -> None:
    key = authorities.key()
    other = platform.shows(platform.certificate(key, name="other"), key)
    mine = authorities.pem(platform.certificate(key)).encode()

    assert "x509-possession" == await reason(platform.proof(), mine, other.answer)


async def test_a_certificate_is_good_from_the_addresses_that_it_names(platform: Platform) -> None:
    key = authorities.key()
    shown = platform.shows(platform.certificate(key, addresses=("10.9.9.9", "fd00::1")), key)
    payload = await shown.payload()

    assert "x509-address" == await reason(platform.proof(), payload, shown.answer)
    for peer in ("10.9.9.9", "fd00::1"):
        await platform.proof().attest(payload, Call(peer=peer), shown.answer)
    await platform.proof(check_address=False).attest(payload, Call(peer=HERE), shown.answer)


async def test_certificates_that_do_not_count(platform: Platform) -> None:
    key = authorities.key()
    strange = Platform(platform.folder / "strange")
    cases = {
        "x509-chain": [
            strange.certificate(key),
            platform.certificate(key, until=NOW - 1),
            platform.certificate(key, is_authority=True),
        ],
        "x509-name": [
            platform.certificate(key, name="../admin"),
            platform.certificate(key, name="a/b"),
            platform.certificate(key, name="a b"),
            platform.certificate(key, name="a\0b"),
            platform.certificate(key, names=0),
            platform.certificate(key, names=2),
        ],
        "x509-key": [
            platform.certificate(ec.generate_private_key(ec.SECP256K1())),
            platform.certificate(rsa.generate_private_key(65537, 1024)),
            platform.certificate(ed25519.Ed25519PrivateKey.generate()),
        ],
    }
    for expected, certificates in cases.items():
        for certificate in certificates:
            shown = platform.shows(certificate, key)
            payload = await shown.payload()
            assert expected == await reason(platform.proof(), payload, shown.answer)


async def test_a_certificate_of_our_own_is_no_platform_s(platform: Platform) -> None:
    key = authorities.key()
    issued = platform.ours.sign(key.public_key(), authorities.REVIEWS)
    proof = Possession(
        "vms",
        platform.ours.roots,
        FakeClock(NOW),
        identity=possession.common_name(DOMAIN, "/vm"),
        foreign_to=lambda: platform.ours.roots,
    )

    assert "x509-own" == await reason(proof, issued.chain[0].encode())


async def test_junk_and_what_is_too_much_are_refused_before_they_cost(platform: Platform) -> None:
    pem = authorities.pem(platform.certificate(authorities.key())).encode()
    cases = {
        b"": "x509-malformed",
        b"\xff" * 100: "x509-malformed",
        pem[: len(pem) // 2]: "x509-malformed",
        pem * 5: "x509-chain",
        pem * 100: "x509-size",
    }
    for payload, expected in cases.items():
        assert expected == await reason(platform.proof(), payload)


async def test_files_that_are_no_certificate_and_key_are_named_without_their_content(
    platform: Platform,
) -> None:
    (platform.folder / "c.pem").write_text("SECRET")
    (platform.folder / "k.pem").write_text("SECRET")
    shown = PlatformCertificate("vms", platform.folder / "c.pem", platform.folder / "k.pem")

    with pytest.raises(Denied, match="are no certificate and key") as refused:
        await shown.answer(b"n")
    assert "SECRET" not in str(refused.value)
