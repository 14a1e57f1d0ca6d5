"""How an agent proves who it is where it has no certificate yet: the client's side of proofs."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pilot_certs import possession
from pilot_core.errors import Denied, Unavailable


class JoinToken:
    """A token in a file, of an operator's making; it is good once."""

    kind = "join-token"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def payload(self) -> bytes:
        try:
            return self._path.read_bytes().strip()
        except OSError as error:
            raise Denied(f"{self._path}: {error.strerror}: a join token is needed") from None

    async def answer(self, challenge: bytes) -> bytes:
        raise Denied("the server asks something that a join token has no answer to")


class PlatformToken:
    """A token that a platform keeps in a file, such as a service account's; read anew each time,
    because platforms replace it."""

    def __init__(self, attestor: str, path: Path) -> None:
        self.kind, self._path = attestor, path

    async def payload(self) -> bytes:
        return _content(self._path).strip()

    async def answer(self, challenge: bytes) -> bytes:
        raise Denied(f"{self.kind} asks something that a token has no answer to")


class PlatformCertificate:
    """A certificate that a platform keeps in a file, with its key: the key's possession is the
    proof. Both are read anew each time."""

    def __init__(self, attestor: str, certificate: Path, key: Path) -> None:
        self.kind, self._certificate, self._key = attestor, certificate, key

    async def payload(self) -> bytes:
        return _content(self._certificate)

    async def answer(self, challenge: bytes) -> bytes:
        try:
            leaf = x509.load_pem_x509_certificates(_content(self._certificate))[0]
            key = load_pem_private_key(_content(self._key), None)
        except (ValueError, TypeError, IndexError):
            # The library's words are left out: they may quote what it has read.
            raise Denied(
                f"{self._certificate} and {self._key} are no certificate and key"
            ) from None
        text = possession.signed_text(challenge, leaf)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(text, ec.ECDSA(hashes.SHA256()))
        if isinstance(key, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
            return key.sign(text, pss, hashes.SHA256())
        raise Denied(f"{self._key}: a key is EC or RSA")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from None
