"""Where private keys live: one interface, and the store that keeps them in files.

Rule 1: a key is written once and never changed; what is not there whole is not there.
Rule 2: a key that anybody else can read is refused, not repaired: it may be known already.
Rule 3: no key is ever shown: not in an error, a log, or the text of any object.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pilot_certs import durable, public_key
from pilot_certs.durable import StateError
from pilot_certs.profile import PrivateKey

_ID = re.compile(r"[0-9a-f]{64}")


class Keys(Protocol):
    """A store of private keys, known by the SHA-256 of their public half."""

    def __len__(self) -> int:
        """How many there are."""

    def generate(self) -> str:
        """Make an EC P-256 key and keep it; returns its id. Raises StateError."""

    def adopt(self, key: PrivateKey) -> str:
        """Keep a key that was made elsewhere; returns its id. Raises StateError."""

    def signer(self, key_id: str) -> PrivateKey:
        """The key, or something that signs as it does. Raises StateError."""

    def delete(self, key_id: str) -> None:
        """Forget it; to forget an unknown one is no error. Raises StateError."""


class FileKeys:
    """Keys as PKCS#8 files of mode 0600 in a folder of mode 0700."""

    def __init__(self, folder: Path) -> None:
        """Raises StateError where the folder is not private to us."""
        self._folder = folder
        durable.private_folder(folder)

    def __len__(self) -> int:
        return len(list(self._folder.glob("*.pem")))

    def generate(self) -> str:
        return self.adopt(ec.generate_private_key(ec.SECP256R1()))

    def adopt(self, key: PrivateKey) -> str:
        key_id = public_key.fingerprint(key.public_key())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        durable.write(self._path(key_id), pem)
        return key_id

    def signer(self, key_id: str) -> PrivateKey:
        path = self._path(key_id)
        key = private_key(read_private(path), str(path))
        if public_key.fingerprint(key.public_key()) != key_id:
            raise StateError(f"{path} holds another key than its name says: restore it")
        return key

    def delete(self, key_id: str) -> None:
        try:
            self._path(key_id).unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"cannot delete a key: {error}") from None

    def _path(self, key_id: str) -> Path:
        if not _ID.fullmatch(key_id):
            raise StateError("not the id of a key")
        return self._folder / f"{key_id}.pem"


def read_private(path: Path) -> bytes:
    """A file that nobody but us can read. Raises StateError where it is not so."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise StateError(f"{path} can be read by others: chmod 600 it, or replace the key")
            if status.st_uid not in (os.geteuid(), 0):
                raise StateError(f"{path} belongs to user {status.st_uid}: it must be ours")
            return file.read()
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from None


def private_key(pem: bytes, where: str) -> PrivateKey:
    """An EC or RSA key that may sign certificates. Raises StateError, which names `where`."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's words are left out: they may quote what it has read.
        raise StateError(f"{where} holds no usable private key: restore it") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise StateError(f"{where}: an authority's key is EC P-256, P-384 or RSA")
    return key
