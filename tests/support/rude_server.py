"""A TLS server in a thread of its own that never says goodbye: it answers, and leaves it there."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"


class RudeServer:
    """`/whole` is answered, `/half` half, `/never` not at all; a request for anything else, and
    then the connection stays as it is."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._accepted: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.seen = threading.Semaphore(0)
        """Released once for every request."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def descriptors(self) -> set[str]:
        """Its own sockets, as /proc names them."""
        mine = [self._listening, *self._accepted]
        return {os.readlink(f"/proc/self/fd/{each.fileno()}") for each in mine}

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            # To close it would leave `accept` waiting.
            self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listening, *self._accepted):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = self._tls.wrap_socket(plain, server_side=True)
        self._accepted.append(connection)
        while True:
            try:
                asked = connection.recv(65536)
            except OSError:
                return
            path = asked.split(b" ", 2)[1:2]
            if not path:
                return
            if path == [b"/whole"]:
                connection.sendall(_HEAD % 2 + b"ok")
            elif path == [b"/half"]:
                connection.sendall(_HEAD % 100 + b"half")
            self.seen.release()
