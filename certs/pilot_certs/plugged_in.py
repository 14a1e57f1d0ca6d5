"""An authority that an operator has made: read from a folder, under the file names of Istio's.

`ca-cert.pem`, `ca-key.pem`, `cert-chain.pem`, `root-cert.pem`; or `tls.crt`, `tls.key`, `ca.crt`.
The root's own key stays wherever the operator keeps it: only the intermediate's is here.
"""

from __future__ import annotations

from pathlib import Path

from pilot_certs import chain, keys, public_key
from pilot_certs.authority import Plugged
from pilot_certs.durable import StateError
from pilot_certs.refusal import InvalidRequest
from pilot_certs.signers import Signer, State

_NAMES = (
    ("ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"),
    ("tls.crt", "tls.key", "", "ca.crt"),
)


def read(folder: Path) -> Plugged:
    """The authority in the folder, checked as a whole. Raises StateError."""
    for certificate, key, between, roots in _NAMES:
        if (folder / certificate).exists():
            path = folder / certificate
            try:
                return _plugged(folder, path, key=key, between=between, roots=roots)
            except (chain.Untrusted, InvalidRequest) as error:
                raise StateError(f"{path}: {error}") from None
    wanted = " or ".join(", ".join(filter(None, names)) for names in _NAMES)
    raise StateError(f"{folder} holds no authority: it takes {wanted}")


def _plugged(folder: Path, path: Path, *, key: str, between: str, roots: str) -> Plugged:
    private = keys.private_key(keys.read_private(folder / key), str(folder / key))
    trusted = chain.split(_content(folder / roots))
    own = chain.split(_content(path))
    # Istio's chain file repeats the certificate itself, and may end in the root.
    rest = (
        chain.split(_content(folder / between)) if between and (folder / between).exists() else ()
    )
    line = _line((*own, *rest), trusted)
    certificate = chain.load(line[0] if line else own[0])
    public = public_key.allowed(certificate.public_key())
    if public_key.spki(public) != public_key.spki(public_key.allowed(private.public_key())):
        raise StateError(f"{path} and {folder / key} do not belong together")
    ordered = _own_first(line or own, trusted)
    chain.check_authority(line, ordered)
    ends = [chain.load(pem) for pem in (*line, ordered[0])]
    return Plugged(
        Signer(
            id=public_key.fingerprint(public),
            state=State.PREPARED,
            chain=line,
            roots=ordered,
            not_before=max(c.not_valid_before_utc.timestamp() for c in ends),
            not_after=min(c.not_valid_after_utc.timestamp() for c in ends),
        ),
        private,
    )


def _line(certificates: tuple[str, ...], roots: tuple[str, ...]) -> tuple[str, ...]:
    """The certificates in order, each once, without those that are roots."""
    return tuple(dict.fromkeys(c for c in certificates if c not in roots))


def _own_first(line: tuple[str, ...], roots: tuple[str, ...]) -> tuple[str, ...]:
    """The roots, with that one first that has signed the end of the line."""
    last = chain.load(line[-1])
    for root in roots:
        certificate = chain.load(root)
        if certificate.subject == last.issuer and _has_signed(root, line[-1]):
            return (root, *(other for other in roots if other != root))
    raise chain.Untrusted("none of the roots has signed the chain")


def _has_signed(root: str, certificate: str) -> bool:
    try:
        chain.check_authority((certificate,) if certificate != root else (), (root,))
    except chain.Untrusted:
        return False
    return True


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from None
