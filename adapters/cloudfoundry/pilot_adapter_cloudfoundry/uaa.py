"""Tokens of the foundation's UAA, by client credentials.

Rule: a token is renewed before it ends, and after somebody has refused it; once per question.
"""

from __future__ import annotations

import msgspec

from pilot_adapter_cloudfoundry.config import UaaConfig
from pilot_adapter_cloudfoundry.https import Https
from pilot_adapter_cloudfoundry.tls import TlsFiles
from pilot_core.adapter import Denied, Host, Unavailable

_TIMEOUT = 10.0
_RENEW = 0.8
"""The share of its life after which a token is renewed."""


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 0.0


_token = msgspec.json.Decoder(_Token)


class Uaa:
    """`url` is set by whoever knows it, where the settings do not say it."""

    def __init__(self, config: UaaConfig, host: Host) -> None:
        self.url = config.url
        self._config, self._host = config, host
        self._files = TlsFiles(config.ca_file)
        self._token, self._until = "", 0.0

    async def headers(self) -> dict[str, str]:
        """What a question has to carry. Raises Unavailable or Denied."""
        if not self._token or self._host.clock.monotonic() >= self._until:
            await self._renew()
        return {"authorization": f"bearer {self._token}"}

    def refuse(self) -> None:
        """The token has been refused: the next one is a new one."""
        self._token = ""

    async def _renew(self) -> None:
        https = Https(self.url, self._files, timeout=_TIMEOUT)
        try:
            response = await https.ask(
                "POST",
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(self._config.client_id, self._secret()),
                headers={"accept": "application/json"},
            )
        finally:
            await https.close()
        if response.status_code in (400, 401, 403):
            who = self._config.client_id
            raise Denied(f"{self.url} gives no token to {who} ({response.status_code})")
        if response.status_code != 200:
            raise Unavailable(f"{self.url} answers {response.status_code}")
        try:
            found = _token.decode(response.content)
        except msgspec.MsgspecError:
            raise Unavailable(f"{self.url} answers with no token") from None
        self._token = found.access_token
        self._until = self._host.clock.monotonic() + _RENEW * found.expires_in

    def _secret(self) -> str:
        path = self._config.client_secret_file
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"{path} cannot be read: {type(error).__name__}") from None
