"""A platform that gives its service accounts tokens (JWT), with the keys that verify them."""

from __future__ import annotations

import functools
import json
import time

from joserfc import jwt
from joserfc.jwk import ECKey


class Issuer:
    """One platform's key."""

    URL = "https://platform.example"

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "one"})
        self.jwks = json.dumps({"keys": [self._key.as_dict(private=False)]}).encode()

    @classmethod
    @functools.cache
    def shared(cls) -> Issuer:
        return cls()

    def token(self, namespace: str, account: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.URL,
            "aud": ["istio-ca"],
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "iat": now,
            "exp": now + 3600,
        }
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, self._key)
