"""Errors as the API shows them: JSON with what to do, for unknown paths and for bugs too."""

from __future__ import annotations

import difflib
import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from pilot_core.admin.answers import answer, missing
from pilot_core.admin.shapes import ShownError

log = logging.getLogger(__name__)


@web.middleware
async def shown(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer that is an error becomes a ShownError."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return missing(f"there is nothing at {request.path}", _near(request))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{request.method} is not for {request.path}"
        said = ShownError(error=text, hint=f"it takes {allowed}")
        return answer(said, 405, headers={"allow": allowed})
    except web.HTTPException as error:
        return answer(ShownError(error=error.reason), error.status)
    except ConnectionError:
        # Whoever asked has gone away; aiohttp knows what to do then.
        raise
    except Exception:
        log.exception("an answer failed", extra={"path": request.path})
        return answer(ShownError(error="internal error: see the log of pilot-core"), 500)


def _near(request: web.Request) -> str | None:
    paths = [
        resource.canonical
        for resource in request.app.router.resources()
        if "{" not in resource.canonical
    ]
    return next(iter(difflib.get_close_matches(request.path, paths, 1)), None)
