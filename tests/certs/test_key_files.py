"""Private keys in files: whole, private, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pilot_certs import public_key
from pilot_certs.durable import StateError
from pilot_certs.keys import FileKeys


def _only_file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_a_key_comes_back_as_it_was_made(tmp_path: Path) -> None:
    key_id = FileKeys(tmp_path / "keys").generate()

    again = FileKeys(tmp_path / "keys").signer(key_id)

    assert isinstance(again, ec.EllipticCurvePrivateKey)
    assert key_id == public_key.fingerprint(again.public_key())


def test_nobody_else_can_read_it_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileKeys(tmp_path / "keys").generate()
    finally:
        os.umask(before)

    assert 0o700 == (tmp_path / "keys").stat().st_mode & 0o777
    assert 0o600 == _only_file(tmp_path / "keys").stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    keys = FileKeys(tmp_path / "keys")
    key_id = keys.generate()
    _only_file(tmp_path / "keys").chmod(mode)

    with pytest.raises(StateError, match="can be read by others: chmod 600"):
        keys.signer(key_id)


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)

    with pytest.raises(StateError, match="chmod 700"):
        FileKeys(tmp_path / "keys")


def test_a_key_that_is_cut_off_anywhere_is_an_error_that_shows_nothing_of_it(
    tmp_path: Path,
) -> None:
    keys = FileKeys(tmp_path / "keys")
    key_id = keys.generate()
    path = _only_file(tmp_path / "keys")
    whole = path.read_bytes()
    secret = whole.splitlines()[1].decode()

    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError) as refused:
            keys.signer(key_id)
        assert secret[:20] not in str(refused.value)


def test_the_key_of_somebody_else_under_this_name_is_refused(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys")
    first, second = keys.generate(), keys.generate()
    (tmp_path / "keys" / f"{second}.pem").replace(tmp_path / "keys" / f"{first}.pem")

    with pytest.raises(StateError, match="another key"):
        keys.signer(first)


def test_a_kind_of_key_that_no_peer_can_verify_is_refused(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys")
    key_id = keys.generate()
    other = ed25519.Ed25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _only_file(tmp_path / "keys").write_bytes(pem)

    with pytest.raises(StateError, match="EC P-256"):
        keys.signer(key_id)


def test_an_id_cannot_lead_elsewhere(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys")

    for key_id in ("../../etc/passwd", "", "A" * 64, "0" * 63):
        with pytest.raises(StateError):
            keys.signer(key_id)


def test_a_deleted_key_is_gone_and_may_be_deleted_again(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys")
    key_id = keys.generate()

    keys.delete(key_id)
    keys.delete(key_id)

    assert 0 == len(keys)
