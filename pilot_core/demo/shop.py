"""The book shop: four small HTTP services on the standard library, which know nothing of the mesh.

Each one listens on loopback, and calls the others by name through the proxy beside it: an
ordinary HTTP proxy port, chosen by the Host header.

    python -m pilot_core.demo.shop reviews --instance v2 --proxy 127.1.2.3:15001
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

CALLS = {
    "storefront": ("details", "reviews"),
    "details": (),
    "reviews": ("ratings",),
    "ratings": (),
}
DOMAIN = "books.mesh"

_WORDS: dict[str, dict[str, Any]] = {
    "storefront": {"title": "The Book Shop"},
    "details": {"book": "The Comedy of Errors", "pages": 200},
    "reviews": {"text": "an extremely entertaining play"},
    "ratings": {"stars": 5},
}


def answer(name: str, instance: str, proxy: str) -> dict[str, Any]:
    """What the service says: its own words, who it is, and what those it calls said."""
    said = dict(_WORDS[name], service=name, instance=instance)
    for other in CALLS[name]:
        said[other] = _call(proxy, other)
    return said


class CallFailed(Exception):
    """A service that this one needs did not answer with 200."""


def _call(proxy: str, service: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(proxy, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": f"{service}.{DOMAIN}"})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise CallFailed(f"{service} answered {response.status}: {body[:200]!r}")
        said: dict[str, Any] = json.loads(body)
        return said
    finally:
        connection.close()


def server(name: str, instance: str, proxy: str) -> ThreadingHTTPServer:
    """The service's server, bound to a free port of 127.0.0.1."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                status, said = 200, answer(name, instance, proxy)
            except (CallFailed, OSError, http.client.HTTPException) as error:
                status, said = 502, {"service": name, "error": str(error)}
            said["caller"] = _caller(self.headers.get("x-forwarded-client-cert", ""))
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: the tour says what is worth saying."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    listening.daemon_threads = True
    return listening


def _caller(certificate: str) -> str | None:
    """Who calls, as the proxy beside this service has seen it proved (XFCC); None: nobody said."""
    parts = (part.partition("=") for part in certificate.split(";"))
    return next((value for name, _, value in parts if name == "URI"), None)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("name", choices=sorted(CALLS))
    arguments.add_argument("--instance", default="v1")
    arguments.add_argument("--proxy", required=True, metavar="IP:PORT")
    given = arguments.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    listening = server(given.name, given.instance, given.proxy)
    print(listening.server_address[1], flush=True)
    listening.serve_forever()


if __name__ == "__main__":
    main()
