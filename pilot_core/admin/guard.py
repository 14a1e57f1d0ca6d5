"""Who may ask: a token off loopback, and never a page that some browser happens to show."""

from __future__ import annotations

import hmac
import ipaddress
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pilot_core.admin.answers import answer
from pilot_core.admin.shapes import ShownError

_OPEN = frozenset({"/livez", "/readyz"})
"""Asked by machinery that carries no token."""


def guard(token_file: Path | None) -> Middleware:
    """Every request passes here first."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token_file is None:
            # Not `request.host`, which asks DNS where the header is missing.
            host = request.headers.get("host", "localhost")
            if not is_local(host):
                return _refuse(403, f"this server answers to localhost, not to {host}")
        elif request.path not in _OPEN and not has_token(request, token_file):
            return _refuse(401, "a token is needed: --token-file FILE, or PILOT_CORE_TOKEN_FILE")
        return await handler(request)

    return check


def is_local(host: str) -> bool:
    """Against DNS rebinding: a page on a foreign name must not reach this server by it."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():
        name = host
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def has_token(request: web.Request, token_file: Path) -> bool:
    """Does it carry the token that the file holds now?"""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        # Read each time: a rotated token holds from the next request on.
        token = token_file.read_bytes().strip()
    except OSError:
        return False
    same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token)
    return scheme.lower() == "bearer" and bool(token) and same


def _refuse(status: int, error: str) -> web.Response:
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return answer(ShownError(error=error), status, headers=headers)
