"""The ACL token that an agent is shown: out of a file, or by logging in.

Rule 1: a file is read again whenever it changes.
Rule 2: whoever logs in does so at the beginning of a session, anew before the token expires, and
logs out of what is needed no more.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from pilot_adapter_consul.settings import LoginSettings
from pilot_core.adapter import Denied, Unavailable

_SPENT = 2 / 3
"""The share of a token's life after which another one is asked for."""


class Source(Protocol):
    """Where a token comes from."""

    def headers(self) -> dict[str, str]:
        """What to send. Raises Unavailable where there is no token."""

    def cure(self, needed: str) -> str:
        """What to do where it is refused; `needed` are the rules that a policy has to have."""


class File:
    """The token in a file, which may be replaced at any time; none without a file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._headers: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        if self._file is None:
            return {}
        try:
            status = self._file.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                self._headers = header(word(self._file, "token_file"))
                self._seen = seen
        except OSError as error:
            raise _unreadable(self._file, "token_file", error) from None
        return self._headers

    def cure(self, needed: str) -> str:
        if self._file is None:
            return "token_file names a file with an ACL token, or login an auth method"
        return f"the token in {self._file} needs {needed}"


class Given(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to a login."""

    secret_id: str = msgspec.field(name="SecretID")
    create_time: datetime.datetime | None = None
    expiration_time: datetime.datetime | None = None

    @property
    def renewal(self) -> float | None:
        """Seconds from the login until another token is to be asked for; None: it lasts."""
        if self.expiration_time is None or self.create_time is None:
            return None
        return (self.expiration_time - self.create_time).total_seconds() * _SPENT


class Login:
    """A token that an auth method gives for a bearer token, such as a service account's."""

    def __init__(self, settings: LoginSettings) -> None:
        self.settings = settings
        self.given: Given | None = None

    def request(self) -> bytes:
        """The body of a login. Raises Unavailable where the file holds no bearer token."""
        body = {
            "AuthMethod": self.settings.auth_method,
            "BearerToken": word(self.settings.bearer_file, "bearer_file"),
        }
        return msgspec.json.encode(body)

    def headers(self) -> dict[str, str]:
        return header(self.given.secret_id) if self.given else {}

    def cure(self, needed: str) -> str:
        method = self.settings.auth_method
        return f"what the binding rules of the auth method {method} give needs {needed}"


given = msgspec.json.Decoder(Given)


def source(file: Path | None, login: LoginSettings | None) -> Source:
    return Login(login) if login else File(file)


def header(token: str) -> dict[str, str]:
    return {"X-Consul-Token": token}


def word(file: Path, setting: str) -> str:
    """The one word in a file. Raises Unavailable."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, setting, error) from None
    if not token or not token.isprintable() or " " in token:
        raise Unavailable(f"{setting} {file} holds no token: one word is expected")
    return token


def refused(settings: LoginSettings, said: str) -> Denied:
    return Denied(
        f"auth method {settings.auth_method} does not take what is in {settings.bearer_file}: "
        f"{said}"
    )


def _unreadable(file: Path, setting: str, error: Exception) -> Unavailable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unavailable(f"{setting} {file} cannot be read: {reason}")
