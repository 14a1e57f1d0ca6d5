"""An operator's own authority: taken whole, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import authorities
from authorities import NOW, REVIEWS, Fleet
from pilot_certs import chain, plugged_in
from pilot_certs.durable import StateError
from pilot_certs.profile import Issuer, PrivateKey
from pilot_core.testing import FakeClock

BY = {"who": "test", "why": "a test"}


class Operator:
    """Keeps a root away from the mesh, and writes what an intermediate needs into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        key = authorities.key()
        self.root = Issuer(authorities.root(key), key)

    def write(self, *, key: PrivateKey | None = None, shown: PrivateKey | None = None) -> None:
        private = key or authorities.key()
        made = authorities.intermediate(private, self.root)
        root = authorities.pem(self.root.certificate)
        self.put("ca-cert.pem", authorities.pem(made))
        self.put("ca-key.pem", _pem(shown or private))
        self.put("cert-chain.pem", authorities.pem(made) + root)
        self.put("root-cert.pem", root)

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o600)

    def rename(self) -> None:
        for old, new in (("ca-cert", "tls.crt"), ("ca-key", "tls.key"), ("root-cert", "ca.crt")):
            (self.folder / f"{old}.pem").replace(self.folder / new)
        (self.folder / "cert-chain.pem").unlink()


def _pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    made = Operator(tmp_path / "plugged")
    made.write()
    return made


@pytest.mark.parametrize("renamed", [False, True])
def test_leaves_carry_the_intermediate_and_lead_to_the_operators_root(
    tmp_path: Path, operator: Operator, renamed: bool
) -> None:
    if renamed:
        operator.rename()
    authority = authorities.unopened(tmp_path, FakeClock())
    authority.start(authorities.DOMAIN, who="test", plugged=plugged_in.read(operator.folder))

    issued = authority.sign(authorities.key().public_key(), REVIEWS)

    assert 2 == len(issued.chain)
    assert (authorities.pem(operator.root.certificate),) == authority.roots
    assert REVIEWS == chain.check(issued.chain, authority.roots, NOW)
    authority.check()


async def test_a_new_intermediate_comes_in_by_a_rotation(
    tmp_path: Path, operator: Operator
) -> None:
    clock = FakeClock()
    authority = authorities.unopened(tmp_path, clock)
    authority.start(authorities.DOMAIN, who="test", plugged=plugged_in.read(operator.folder))
    before = authority.sign(authorities.key().public_key(), REVIEWS)
    second = Operator(tmp_path / "second")
    second.write()

    authority.prepare(plugged=plugged_in.read(second.folder), **BY)
    await clock.advance(3600)
    authority.activate(Fleet(), **BY)
    after = authority.sign(authorities.key().public_key(), REVIEWS)

    for issued in (before, after):
        assert REVIEWS == chain.check(issued.chain, authority.roots, clock.now())


def test_several_roots_are_all_handed_out(operator: Operator) -> None:
    other = authorities.pem(authorities.root(authorities.key()))
    own = authorities.pem(operator.root.certificate)
    operator.put("root-cert.pem", other + own)

    signer = plugged_in.read(operator.folder).signer

    assert (own, other) == signer.roots


def test_a_key_of_another_certificate_is_refused(operator: Operator) -> None:
    operator.write(shown=authorities.key())

    with pytest.raises(StateError, match="do not belong together"):
        plugged_in.read(operator.folder)


def test_a_root_that_has_not_signed_the_chain_is_refused(operator: Operator) -> None:
    operator.put("root-cert.pem", authorities.pem(authorities.root(authorities.key())))

    with pytest.raises(StateError, match="none of the roots has signed"):
        plugged_in.read(operator.folder)


def test_a_leaf_is_no_authority(tmp_path: Path, operator: Operator) -> None:
    key = authorities.key()
    authority = authorities.started(tmp_path, FakeClock())
    issued = authority.sign(key.public_key(), REVIEWS)
    operator.put("ca-cert.pem", issued.chain[0])
    operator.put("ca-key.pem", _pem(key))
    operator.put("cert-chain.pem", issued.chain[0])
    operator.put("root-cert.pem", authority.roots[0])

    with pytest.raises(StateError):
        plugged_in.read(operator.folder)


@pytest.mark.parametrize("name", ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"])
@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_cannot_be_read_is_named(operator: Operator, name: str, text: str) -> None:
    operator.put(name, text)

    with pytest.raises(StateError, match="plugged"):
        plugged_in.read(operator.folder)


def test_a_key_that_others_can_read_is_refused(operator: Operator) -> None:
    (operator.folder / "ca-key.pem").chmod(0o644)

    with pytest.raises(StateError, match="chmod 600"):
        plugged_in.read(operator.folder)


def test_a_folder_without_an_authority_says_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"ca-cert\.pem"):
        plugged_in.read(tmp_path)


def test_an_authority_that_has_ended_is_refused(tmp_path: Path, operator: Operator) -> None:
    clock = FakeClock(NOW + 10 * 864000)
    authority = authorities.unopened(tmp_path, clock)

    with pytest.raises(StateError, match="look at its dates"):
        authority.start(authorities.DOMAIN, who="test", plugged=plugged_in.read(operator.folder))


def test_what_a_leaf_shows_of_its_signer_is_the_signers_own_name(operator: Operator) -> None:
    signer = plugged_in.read(operator.folder).signer
    certificate = x509.load_pem_x509_certificate(signer.certificate.encode())

    assert certificate.issuer == operator.root.subject
