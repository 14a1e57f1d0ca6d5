"""One stream of a connection: which halves are open, and how much may be sent and received."""

from __future__ import annotations


class StreamState:
    """Changed by the connection alone."""

    __slots__ = ("expected", "is_local_over", "is_remote_over", "receive", "send", "used")

    def __init__(self, *, send: int, receive: int, expected: int | None) -> None:
        self.send = send
        """What we may send; below 0 where the client has made its windows smaller."""
        self.receive = receive
        """What the client may send."""
        self.used = 0
        """What has been given back to the client, but has not been told yet."""
        self.expected = expected
        """What is left of the length that the request says it has."""
        self.is_remote_over = False
        self.is_local_over = False

    def took(self, size: int, *, is_end: bool) -> bool:
        """Note data that has come. False where it is not what the request said it would be."""
        if self.expected is not None:
            self.expected -= size
            if self.expected < 0 or (is_end and self.expected):
                return False
        self.is_remote_over = is_end
        return True
