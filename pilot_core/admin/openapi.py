"""The API's own description, made from the shapes themselves."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from aiohttp import web

from pilot_core import __version__
from pilot_core.admin import shapes

_JSON = "application/json"
_PATHS: dict[str, tuple[str, Any]] = {
    "/version": ("what runs", shapes.ShownVersion),
    "/api/v1/services": ("all services of all registries", shapes.Listing[shapes.ShownService]),
    "/api/v1/services/{hostname}": ("one service", shapes.ShownService),
    "/api/v1/services/{hostname}/endpoints": (
        "the endpoints of one service",
        shapes.Listing[shapes.ShownEndpoint],
    ),
    "/api/v1/registries": ("the configured registries", shapes.Listing[shapes.ShownRegistry]),
    "/api/v1/proxies": ("the connected proxies", shapes.Listing[shapes.ShownProxy]),
    "/api/v1/proxies/{id}": ("one proxy", shapes.ShownProxy),
    "/api/v1/proxies/{id}/config": ("what the server holds for a proxy", shapes.ShownConfig),
    "/api/v1/problems": ("everything that is wrong now", shapes.Listing[shapes.ShownProblem]),
}

_EVENTS = {
    "summary": "what changes, as it changes: the events `change` and `problems`",
    "parameters": [],
    "responses": {
        "200": {
            "description": "server-sent events without end",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
}


@functools.cache
def document() -> dict[str, Any]:
    """The description, OpenAPI 3.1."""
    types = [shape for _, shape in _PATHS.values()] + [shapes.ShownError]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    error = schemas[-1]
    paths = {
        path: {"get": _operation(path, summary, schema, error)}
        for (path, (summary, _)), schema in zip(_PATHS.items(), schemas[:-1], strict=True)
    }
    paths["/api/v1/events"] = {"get": _EVENTS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "pilot-core", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(path: str, summary: str, schema: Any, error: Any) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    if path.endswith("/config"):
        parameters.append({"name": "type", "in": "query", "schema": {"type": "string"}})
    responses = {"200": {"description": summary, "content": {_JSON: {"schema": schema}}}}
    if names:
        content = {_JSON: {"schema": error}}
        responses["404"] = {"description": "there is none of that name", "content": content}
    return {"summary": summary, "parameters": parameters, "responses": responses}


async def description(request: web.Request) -> web.Response:
    return web.Response(body=msgspec.json.encode(document()), content_type=_JSON)
