"""SPIFFE ids: parsed once, strictly, and compared byte by byte afterwards.

Nothing is ever normalised: an id that is not in its one legal form is refused. Other authorities
have given away identities by cleaning up `//` and `/../`. (SPIFFE-ID specification, section 2.)
"""

from __future__ import annotations

import re

import msgspec

from pilot_certs.refusal import InvalidRequest

SCHEME = "spiffe://"
_LONGEST = 2048
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_DOTS = (".", "..")


class SpiffeId(msgspec.Struct, frozen=True, gc=False, cache_hash=True, order=True):
    """An identity. `path` starts with a slash; it is empty for a trust domain itself."""

    trust_domain: str
    path: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidRequest for anything that is not a legal id."""
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            raise InvalidRequest("spiffe-id", f"{self.trust_domain!r} is no trust domain")
        if self.path and not _is_path(self.path):
            raise InvalidRequest("spiffe-id", f"{self.path!r} is no path of a SPIFFE id")
        if len(SCHEME) + len(self.trust_domain) + len(self.path) > _LONGEST:
            raise InvalidRequest("spiffe-id", f"a SPIFFE id of more than {_LONGEST} bytes")

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    def is_below(self, prefix: str) -> bool:
        """Is the path inside this prefix, segment by segment? `/a` holds `/a/b`, never `/ab`."""
        return self.path.startswith(prefix.rstrip("/") + "/")


def parse(text: str) -> SpiffeId:
    """The id that `text` is. Raises InvalidRequest."""
    if not text.startswith(SCHEME):
        raise InvalidRequest("spiffe-id", f"{text[:80]!r} does not start with {SCHEME}")
    domain, slash, path = text.removeprefix(SCHEME).partition("/")
    return SpiffeId(domain, slash + path)


def of_account(trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
    """The id of a service account, in the form that the mesh's own sidecars have."""
    for name in (namespace, service_account):
        if not _SEGMENT.fullmatch(name) or name in _DOTS:
            raise InvalidRequest("spiffe-id", f"{name!r} cannot be part of a SPIFFE id")
    return SpiffeId(trust_domain, f"/ns/{namespace}/sa/{service_account}")


def _is_path(path: str) -> bool:
    first, *segments = path.split("/")
    return not first and all(_SEGMENT.fullmatch(s) and s not in _DOTS for s in segments)
