"""JWT-SVIDs: what a token says, and which tokens are none."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

import authorities
from authorities import DOMAIN, NOW, REVIEWS, Fleet
from pilot_certs import jwt_svids
from pilot_certs.authority import Authority
from pilot_certs.jwt_svids import PublicKey
from pilot_certs.public_key import spki
from pilot_certs.refusal import InvalidRequest
from pilot_core.testing import FakeClock

KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = (PublicKey("one", spki(KEY.public_key())),)
CLAIMS: dict[str, Any] = {"sub": str(REVIEWS), "aud": ["ratings"], "exp": NOW + 60, "iat": NOW}


def token(
    claims: dict[str, Any] | None = None, key: Any = KEY, alg: str = "ES256", **header: Any
) -> str:
    pem = authorities.private_pem(key) if not isinstance(key, OctKey) else None
    signing = ECKey.import_key(pem) if pem else key
    said = {"alg": alg, "kid": "one", **header}
    return jwt.encode(said, CLAIMS if claims is None else claims, signing, algorithms=[alg])


def check(text: str, audience: str = "ratings") -> tuple[Any, Any]:
    return jwt_svids.validate(text, audience, KEYS, DOMAIN, NOW)


def test_a_token_that_was_minted_is_good_for_its_audiences_for_five_minutes() -> None:
    made = jwt_svids.mint(REVIEWS, ["ratings", "details"], KEY, "one", NOW)

    for audience in ("ratings", "details"):
        name, claims = check(made.token, audience)
        assert REVIEWS == name
        assert ["ratings", "details"] == claims["aud"]
    assert NOW + 300 == made.not_after == claims["exp"]
    with pytest.raises(InvalidRequest, match="somebody else"):
        check(made.token, "bank")
    with pytest.raises(InvalidRequest, match="has ended"):
        jwt_svids.validate(made.token, "ratings", KEYS, DOMAIN, NOW + 311)


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def _part(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


UNSIGNED = f"{_part(json.dumps({'alg': 'none', 'kid': 'one'}).encode())}.{token().split('.')[1]}."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "jwt"),
        ("a.b", "jwt"),
        ("a.b.c", "jwt-signature"),
        ("x" * 20_000, "jwt"),
        (UNSIGNED, "jwt-signature"),
        (token(key=ec.generate_private_key(ec.SECP256R1())), "jwt-signature"),
        (token(key=OctKey.import_key(jwt_svids.jwks(KEYS)), alg="HS256"), "jwt-signature"),
        (token(kid="two"), "jwt-signature"),
        (token()[:-6] + "AAAAAA", "jwt-signature"),
        (token(jku="https://evil.example"), "jwt-header"),
        (token(typ="other"), "jwt-header"),
        (token(_without("sub")), "spiffe-id"),
        (token({**CLAIMS, "sub": "admin"}), "spiffe-id"),
        (token({**CLAIMS, "sub": f"spiffe://{DOMAIN}"}), "jwt-subject"),
        (token({**CLAIMS, "sub": "spiffe://other.example/a"}), "jwt-subject"),
        (token({**CLAIMS, "sub": f"spiffe://{DOMAIN}/a/../b"}), "spiffe-id"),
        (token(_without("aud")), "jwt-audience"),
        (token({**CLAIMS, "aud": []}), "jwt-audience"),
        (token({**CLAIMS, "aud": "other"}), "jwt-audience"),
        (token(_without("exp")), "jwt-expired"),
        (token({**CLAIMS, "exp": str(int(NOW) + 60)}), "jwt-expired"),
        (token({**CLAIMS, "exp": True}), "jwt-expired"),
        (token({**CLAIMS, "exp": NOW - 11}), "jwt-expired"),
    ],
)
def test_a_token_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(text)
    assert reason == refused.value.reason


@pytest.mark.parametrize("audiences", [[], [""], ["a" * 600], [f"a{n}" for n in range(17)]])
def test_a_token_for_nobody_or_everybody_is_not_minted(audiences: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        jwt_svids.mint(REVIEWS, audiences, KEY, "one", NOW)


def test_the_bundle_is_what_other_libraries_read() -> None:
    [entry] = json.loads(jwt_svids.jwks(KEYS))["keys"]
    assert ("jwt-svid", "EC", "P-256", "one") == tuple(
        entry[k] for k in ("use", "kty", "crv", "kid")
    )
    # To libraries of tokens at large, `use` is `sig`.
    verifying = ECKey.import_key({**entry, "use": "sig"})
    assert str(REVIEWS) == jwt.decode(token(), verifying, algorithms=["ES256"]).claims["sub"]


def test_keys_for_tokens_come_and_go_with_their_signers(tmp_path: Path) -> None:
    authority: Authority = authorities.started(tmp_path, FakeClock(NOW))
    by = {"who": "test", "why": "a test"}

    def valid(text: str) -> bool:
        try:
            jwt_svids.validate(text, "a", authority.jwt_keys, DOMAIN, NOW)
        except InvalidRequest:
            return False
        return True

    first = authority.mint(REVIEWS, ["a"]).token
    authority.prepare(**by)
    assert 2 == len(authority.jwt_keys)
    authority.activate(Fleet(), force=True, **by)
    second = authority.mint(REVIEWS, ["a"]).token
    assert [True, True] == [valid(first), valid(second)]
    authority.drop(authority.signers[0].id, Fleet(), force=True, **by)
    assert [False, True] == [valid(first), valid(second)]
    assert 2 == len(authority.keys)
