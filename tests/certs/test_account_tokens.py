"""Tokens of service accounts: only what the platform has signed for us, and only while it lasts."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from joserfc.jwk import ECKey, OctKey, RSAKey

from authorities import DOMAIN, NOW
from pilot_certs.account_tokens import AccountTokens, Platform
from pilot_certs.caller import Call
from pilot_certs.refusal import Unauthenticated
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import ConfigError
from pilot_core.testing import FakeClock

ISSUER = "https://platform.example"
KEY = ECKey.generate_key("P-256", {"kid": "one"})
OTHER = ECKey.generate_key("P-256", {"kid": "one"})
RSA = RSAKey.generate_key(2048, {"kid": "two"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False), RSA.as_dict(private=False)]}).encode()
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": ["istio-ca"],
    "sub": "system:serviceaccount:shop:reviews",
    "iat": int(NOW),
    "exp": int(NOW) + 3600,
}


def _token(
    claims: dict[str, Any] | bytes, key: Any = KEY, alg: str = "ES256", **header: Any
) -> str:
    """Put together by hand: a library would not make most of what is refused here."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    head = json.dumps({"alg": alg, "kid": key.kid, **header}).encode()
    signed = f"{_b64(head)}.{_b64(payload)}"
    return f"{signed}.{_b64(_signature(key, alg, signed.encode()))}"


def _signature(key: Any, alg: str, signed: bytes) -> bytes:
    if alg == "HS256":
        return hmac.digest(key.raw_value, signed, "sha256")
    if alg == "RS256":
        made: bytes = key.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return made
    r, s = utils.decode_dss_signature(key.private_key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _tokens(**fields: Any) -> AccountTokens:
    platform = Platform(name="platform", issuer=ISSUER, **fields)
    return AccountTokens(platform, JWKS, DOMAIN, FakeClock(NOW))


def _b64(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token", [_token(CLAIMS), _token(CLAIMS, RSA, "RS256"), _token({**CLAIMS, "aud": "istio-ca"})]
)
async def test_a_token_for_us_is_worth_its_service_account(token: str) -> None:
    caller = await _tokens().authenticate(Call(token=token))

    assert caller is not None
    assert (SpiffeId(DOMAIN, "/ns/shop/sa/reviews"),) == caller.identities
    assert token not in repr(caller)


async def test_a_platform_stays_below_its_prefix() -> None:
    caller = await _tokens(prefix="/dc1").authenticate(Call(token=_token(CLAIMS)))

    assert caller is not None
    assert (SpiffeId(DOMAIN, "/dc1/ns/shop/sa/reviews"),) == caller.identities


@pytest.mark.parametrize(
    "token",
    ["", "word", "a.b", "pilot-join-x", "a.b.c", _token({**CLAIMS, "iss": "https://other"})],
)
async def test_what_is_no_token_of_this_platform_is_left_to_others(token: str) -> None:
    assert None is await _tokens().authenticate(Call(token=token))


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


PUBLIC = OctKey.import_key(JWKS, {"kid": "one"})
UNSIGNED = _b64(b'{"alg":"none"}') + "." + _b64(json.dumps(CLAIMS).encode()) + "."


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (_token(CLAIMS, OTHER), "token-signature"),
        (_token(CLAIMS, PUBLIC, "HS256"), "token-signature"),
        (UNSIGNED + "AAAA", "token-signature"),
        (_token(CLAIMS)[:-8] + "AAAAAAAA", "token-signature"),
        (_token(CLAIMS, crit=["strange"], strange=1), "token-signature"),
        (_token(CLAIMS, jku="https://evil.example/jwks"), "token-header"),
        (_token(CLAIMS, x5u="https://evil.example/x"), "token-header"),
        (_token(CLAIMS, jwk=OTHER.as_dict(private=False)), "token-header"),
        (_token({**CLAIMS, "aud": []}), "token-audience"),
        (_token({**CLAIMS, "aud": ["api"]}), "token-audience"),
        (_token(_without("aud")), "token-audience"),
        (_token({**CLAIMS, "exp": int(NOW) - 61}), "token-expired"),
        (_token({**CLAIMS, "exp": str(int(NOW) + 60)}), "token-claims"),
        (_token({**CLAIMS, "exp": True}), "token-claims"),
        (_token({**CLAIMS, "exp": None}), "token-claims"),
        (_token(_without("exp")), "token-claims"),
        (_token(_without("iat")), "token-claims"),
        (_token({**CLAIMS, "nbf": int(NOW) + 61}), "token-future"),
        (_token({**CLAIMS, "iat": int(NOW) + 61}), "token-future"),
        (_token({**CLAIMS, "exp": int(NOW) + 86401}), "token-lifetime"),
        (_token({**CLAIMS, "sub": "admin"}), "token-subject"),
        (_token({**CLAIMS, "sub": "system:serviceaccount:shop"}), "token-subject"),
        (_token({**CLAIMS, "sub": "system:serviceaccount:shop:a:b"}), "token-subject"),
        (_token({**CLAIMS, "sub": "system:serviceaccount:..:reviews"}), "token-subject"),
        (_token({**CLAIMS, "sub": "system:serviceaccount:shop:a/../b"}), "token-subject"),
        (_token({**CLAIMS, "sub": "system:serviceaccount:shop:a\nb"}), "token-subject"),
    ],
    ids=range(26),
)
async def test_a_token_that_is_odd_in_any_way_is_refused(token: str, reason: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await _tokens().authenticate(Call(token=token))

    assert reason == refused.value.reason
    assert token not in str(refused.value)


async def test_claims_that_are_too_deep_to_read_are_nobodys() -> None:
    deep = b'{"iss":"' + ISSUER.encode() + b'","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert None is await _tokens().authenticate(Call(token=_token(deep)))


@pytest.mark.parametrize(
    "jwks", [b"", b"{}", b'{"keys": []}', b'{"keys": [{"kty": "EC"}]}', b'{"keys": [1]}', b"[]"]
)
def test_a_key_set_without_keys_is_an_error(jwks: bytes) -> None:
    with pytest.raises(ConfigError, match="key set"):
        AccountTokens(Platform(name="p", issuer=ISSUER), jwks, DOMAIN, FakeClock())
