"""Certificate requests: whatever comes in, a sound public key or InvalidRequest goes out."""

from __future__ import annotations

import base64
import functools
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

import authorities
from pilot_certs import csr, public_key
from pilot_certs.refusal import InvalidRequest

HEAD, TAIL = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"


@functools.cache
def _rsa(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def _der(key: Any, hash: Any = None, **how: Any) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hash, **how).public_bytes(Encoding.DER)


SOUND = csr.make(authorities.key())


def _tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(length)]) + length + content


_RSA_OID = bytes.fromhex("06092a864886f70d0101010500")
_SIGNED = bytes.fromhex("300d06092a864886f70d01010b0500")


def _unsigned_rsa(modulus: int, exponent: int) -> bytes:
    """A request with an RSA key that nobody has: what a broken or hostile client can send."""

    def number(n: int) -> bytes:
        return _tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))

    numbers = _tlv(0x30, number(modulus), number(exponent))
    spki = _tlv(0x30, _tlv(0x30, _RSA_OID), _tlv(3, b"\0", numbers))
    info = _tlv(0x30, b"\x02\x01\x00", b"\x30\x00", spki, b"\xa0\x00")
    return _tlv(0x30, info, _SIGNED, _tlv(3, b"\0", b"\1" * 256))


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1])
def test_the_curves_that_proxies_can_use_are_taken(curve: type[ec.EllipticCurve]) -> None:
    key = ec.generate_private_key(curve())

    assert public_key.spki(key.public_key()) == public_key.spki(
        csr.from_der(_der(key, hashes.SHA256()))
    )


@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_keys_of_the_usual_sizes_are_taken(bits: int) -> None:
    assert bits == csr.from_der(_der(_rsa(bits), hashes.SHA256())).key_size


@pytest.mark.parametrize(
    "curve",
    [ec.SECP192R1, ec.SECP224R1, ec.SECP256K1, ec.SECP521R1, ec.BrainpoolP256R1],
)
def test_other_curves_are_refused(curve: type[ec.EllipticCurve]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        csr.from_der(_der(ec.generate_private_key(curve()), hashes.SHA256()))

    assert refused.value.reason in ("csr-key", "csr-malformed")


@pytest.mark.parametrize(
    "make",
    [
        lambda: _der(ed25519.Ed25519PrivateKey.generate()),
        lambda: _der(ed448.Ed448PrivateKey.generate()),
        lambda: _der(dsa.generate_private_key(2048), hashes.SHA256()),
        lambda: _der(_rsa(1024), hashes.SHA256()),
        lambda: _der(_rsa(2048, 3), hashes.SHA256()),
    ],
    ids=["ed25519", "ed448", "dsa", "rsa-1024", "exponent-3"],
)
def test_keys_that_no_proxy_should_use_are_refused(make: Any) -> None:
    with pytest.raises(InvalidRequest):
        csr.from_der(make())


_PRIMORIAL = functools.reduce(lambda a, b: a * b, (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103))
_REST = 107 * 109 * 127 * 151 * 157
_ALL = _PRIMORIAL * _REST
_ROCA = ((1 << 2046) // _ALL + 1) * 2 * _ALL + 65537


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (3 << 510, 65537),
        ((1 << 2047) + 1, 1),
        ((1 << 2047) + 1, 4),
        ((1 << 2047) + 1, (1 << 62) + 1),
        (1 << 2047, 65537),
        ((1 << 2046) + 1, 65537),
        ((1 << 16383) + 1, 65537),
        ((1 << 65535) + 1, 65537),
        ((1 << 100_000) + 1, 65537),
        ((1 << 1_000_000) + 1, 65537),
        (_ROCA, 65537),
        (0, 65537),
        (1, 1),
    ],
    ids=lambda n: f"{n.bit_length()}bits",
)
def test_odd_rsa_keys_are_refused_before_their_signature_is_looked_at(
    modulus: int, exponent: int
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        csr.from_der(_unsigned_rsa(modulus, exponent))

    assert "csr-signature" != refused.value.reason


def test_the_shape_that_only_a_broken_generator_makes_is_known() -> None:
    assert 2048 == _ROCA.bit_length()

    with pytest.raises(InvalidRequest, match="ROCA"):
        csr.from_der(_unsigned_rsa(_ROCA, 65537))


def test_a_signature_by_another_key_is_refused() -> None:
    first, second = SOUND, csr.make(authorities.key())
    # Both are as long as each other, but for the signature, whose length varies: take the key.
    there = x509.load_der_x509_csr(first)
    key = public_key.spki(public_key.allowed(there.public_key()))
    other = public_key.spki(public_key.allowed(x509.load_der_x509_csr(second).public_key()))

    with pytest.raises(InvalidRequest) as refused:
        csr.from_der(first.replace(key, other))

    assert "csr-signature" == refused.value.reason


def test_a_point_off_the_curve_is_refused() -> None:
    there = public_key.spki(public_key.allowed(x509.load_der_x509_csr(SOUND).public_key()))
    for point in (b"\4" + b"\1" * 64, b"\4" + b"\0" * 64):
        with pytest.raises(InvalidRequest):
            csr.from_der(SOUND.replace(there[-65:], point))


def test_padding_of_another_kind_is_no_reason_to_fail_otherwise() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    der = _der(_rsa(2048), hashes.SHA256(), rsa_padding=pss)

    assert 2048 == csr.from_der(der).key_size


def test_names_and_extensions_in_a_request_are_not_even_read() -> None:
    names = [x509.UniformResourceIdentifier(f"spiffe://evil/{n}") for n in range(200)]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=9), critical=True)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"?"), critical=True
        )
    )
    key = authorities.key()
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    assert public_key.spki(key.public_key()) == public_key.spki(csr.from_der(der))


def _block(der: bytes) -> bytes:
    text = base64.encodebytes(der)
    return HEAD + b"\n" + text + TAIL + b"\n"


def test_one_block_of_pem_is_taken_in_either_spelling() -> None:
    pem = authorities.csr_pem()
    old = pem.replace(b"BEGIN CERT", b"BEGIN NEW CERT").replace(b"END CERT", b"END NEW CERT")

    for text in (pem, old, pem.replace(b"\n", b"\r\n"), pem.rstrip(), pem + b"\n \n"):
        assert 256 == csr.from_pem(text).key_size


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\0" * 100,
        b"\xff\xfe",
        _block(SOUND) * 2,
        b"words before\n" + _block(SOUND),
        _block(SOUND) + b"words behind",
        _block(SOUND).replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"),
        _block(SOUND).replace(b"END CERT", b"END NEW CERT"),
        _block(SOUND)[: -len(TAIL) - 1],
        _block(SOUND).replace(b"M", b"\0", 1),
        _block(SOUND).replace(b"\n-----END", b"=\n-----END"),
        _block(SOUND + b"more"),
        _block(b""),
        _block(b"\x30\x80" + SOUND + b"\0\0"),
        _block(b"\x30\x80" * 6000),
        _block(b"\0" * 20_000),
        HEAD + b"\n" + b"A" * (64 << 20) + b"\n" + TAIL,
    ],
    ids=range(17),
)
def test_anything_but_one_sound_block_is_refused(pem: bytes) -> None:
    with pytest.raises(InvalidRequest):
        csr.from_pem(pem)


def test_a_request_that_is_cut_off_anywhere_is_refused() -> None:
    for length in range(len(SOUND)):
        with pytest.raises(InvalidRequest):
            csr.from_der(SOUND[:length])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_that_mean_nothing_are_refused(junk: bytes) -> None:
    with pytest.raises(InvalidRequest):
        csr.from_der(junk)
    with pytest.raises(InvalidRequest):
        csr.from_pem(junk)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.binary(min_size=1, max_size=3), st.booleans())
def test_a_request_that_somebody_has_changed_is_refused(
    at: int, bytes_: bytes, replaces: bool
) -> None:
    changed = SOUND[:at] + bytes_ + SOUND[at + len(bytes_) * replaces :]
    if changed == SOUND:
        return
    try:
        key = csr.from_der(changed)
    except InvalidRequest:
        return
    # ECDSA signatures can be written in more than one way; the key stays the one that signed.
    whose = public_key.allowed(x509.load_der_x509_csr(SOUND).public_key())

    assert public_key.spki(whose) == public_key.spki(key)
