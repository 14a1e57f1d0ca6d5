"""A registry in another language, as it were: it serves one catalogue file over HTTP with an ETag.

python -m pilot_core.demo.catalogue_server FILE --address 127.1.2.3:8600
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType


def server(file: Path, address: str, port: int) -> ThreadingHTTPServer:
    """A server whose every path is the file, as it is at the moment."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = file.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            known = self.headers.get("if-none-match") == tag
            self.send_response(304 if known else 200)
            self.send_header("etag", tag)
            self.send_header("content-type", "application/yaml")
            self.send_header("content-length", "0" if known else str(len(body)))
            self.end_headers()
            if not known:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: it is polled all the time."""

    listening = ThreadingHTTPServer((address, port), Request)
    listening.daemon_threads = True
    return listening


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--address", required=True, metavar="IP:PORT")
    given = arguments.parse_args()
    address, _, port = given.address.rpartition(":")
    signal.signal(signal.SIGTERM, _stop)
    listening = server(given.file, address, int(port))
    print(listening.server_address[1], flush=True)
    listening.serve_forever()


if __name__ == "__main__":
    main()
