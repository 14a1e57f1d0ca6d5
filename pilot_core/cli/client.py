"""Asking the daemon, over its HTTP API; urllib, because it is here before anything is imported."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from pilot_core.errors import ConfigError, NotPermitted, NotReachable, ServerError

DEFAULT = "http://127.0.0.1:15014"
_TIMEOUT = 30.0


class Client(NamedTuple):
    """Where the daemon is, and the token to show it."""

    server: str
    token: str = ""

    def get(self, path: str) -> Any:
        """The decoded answer. Raises NotReachable, NotPermitted or ServerError."""
        return self._decoded(path, None)

    def post(self, path: str, body: Any) -> Any:
        """Have something changed; the decoded answer. Raises as `get` does."""
        return self._decoded(path, json.dumps(body).encode())

    def text(self, path: str) -> str:
        """An answer that is not JSON. Raises as `get` does."""
        return self._asked(path, None).decode()

    def _decoded(self, path: str, body: bytes | None) -> Any:
        answer = self._asked(path, body)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise NotReachable(_unreachable(self.server, error)) from None

    def _asked(self, path: str, body: bytes | None) -> bytes:
        url = self.server.rstrip("/") + path
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        try:
            # No proxy of the environment stands between us and a daemon that we name by address.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            request = urllib.request.Request(url, data=body, headers=headers)
            with opener.open(request, timeout=_TIMEOUT) as answer:
                read: bytes = answer.read()
                return read
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except (OSError, ValueError) as error:
            raise NotReachable(_unreachable(self.server, error)) from None


def client(server: str | None, token_file: str | None) -> Client:
    """From the options, the environment, or the default. Raises ConfigError."""
    where = server or os.environ.get("PILOT_CORE_SERVER") or DEFAULT
    if not where.startswith(("http://", "https://")):
        raise ConfigError(f"--server {where}: expected a URL such as {DEFAULT}")
    path = token_file or os.environ.get("PILOT_CORE_TOKEN_FILE")
    if not path:
        return Client(where)
    try:
        return Client(where, Path(path).read_text().strip())
    except OSError as error:
        raise ConfigError(f"--token-file {path}: {error.strerror}") from None


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _refused(error: urllib.error.HTTPError) -> ServerError:
    try:
        said = json.load(error)
    except ValueError:
        said = {}
    text = said.get("error") or f"the server answered {error.code}"
    if said.get("hint"):
        text += f"; {said['hint']}"
    return NotPermitted(text) if error.code in (401, 403) else ServerError(text)


def _unreachable(server: str, error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return (
        f"no pilot-core at {server} ({reason}); "
        "is it running? --server URL or PILOT_CORE_SERVER says where"
    )
