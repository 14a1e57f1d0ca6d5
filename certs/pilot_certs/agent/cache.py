"""What an agent holds, on disk: so that it serves at once when it starts, whoever is away.

Rule 1: it is there only where somebody has asked for it, for the keys of workloads are in it: a
file of mode 0600 in a folder of mode 0700.
Rule 2: what is read is looked at as if a stranger had sent it. What does not hold is left out, and
asked for anew.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pilot_certs import durable, keys, spiffe
from pilot_certs.agent import held
from pilot_certs.agent.held import Held
from pilot_certs.chain import Untrusted
from pilot_certs.durable import StateError
from pilot_certs.jwt_svids import PublicKey
from pilot_certs.refusal import InvalidRequest

log = logging.getLogger(__name__)

FORMAT = 1
_NAME = "agent.json"


class _Svid(msgspec.Struct, frozen=True):
    name: str
    chain: tuple[str, ...]
    key: str
    signer: str = ""


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    trust_domain: str
    roots: tuple[str, ...]
    svids: tuple[_Svid, ...]
    jwt_keys: tuple[tuple[str, bytes], ...] = ()


class Cache:
    """One agent's folder."""

    def __init__(self, folder: Path) -> None:
        """Raises StateError where the folder is open to others."""
        durable.private_folder(folder)
        self.path = folder / _NAME

    def save(self, now: Held) -> None:
        """All of it or nothing. Raises StateError."""
        svids = tuple(
            _Svid(str(s.name), s.chain, s.key_bytes(Encoding.PEM).decode(), s.signer)
            for _, s in sorted(now.svids.items())
        )
        content = _Content(
            trust_domain=now.trust_domain,
            roots=now.roots,
            svids=svids,
            jwt_keys=tuple((key.kid, key.spki) for key in now.jwt_keys),
        )
        durable.write(self.path, msgspec.json.encode(content))

    def load(self, into: Held, now: float) -> None:
        """What still holds at this time. What is there and cannot be used is a line in the log."""
        if not self.path.exists():
            return
        try:
            content = msgspec.json.decode(keys.read_private(self.path), type=_Content)
            if (content.format, content.trust_domain) != (FORMAT, into.trust_domain):
                raise Untrusted(f"it is of {content.trust_domain}, format {content.format}")
            into.trust(content.roots)
            into.verify_with(tuple(PublicKey(*key) for key in content.jwt_keys))
        except (msgspec.MsgspecError, StateError, Untrusted) as error:
            log.warning("the cache is not used", extra={"path": self.path, "error": str(error)})
            return
        for one in content.svids:
            try:
                _take(one, into, now, str(self.path))
            except (StateError, Untrusted, InvalidRequest) as error:
                log.warning("not used", extra={"workload": one.name, "error": str(error)})


def _take(one: _Svid, into: Held, now: float, where: str) -> None:
    key = keys.private_key(one.key.encode(), where)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Untrusted("a key that this agent did not make")
    svid = held.svid(spiffe.parse(one.name), one.chain, key, signer=one.signer)
    if svid.not_after <= now:
        raise Untrusted("it has ended")
    into.take(svid)
