"""How an agent proves who it is where it has no certificate yet: the client's side of proofs."""

from __future__ import annotations

from pathlib import Path

from pilot_core.errors import Denied


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
