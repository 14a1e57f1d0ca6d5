"""The API's own description, made from the shapes themselves."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from aiohttp import web

from pilot_core import __version__
from pilot_core.admin import identity, shapes

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
    "/api/v1/ca": ("the certificate authority", shapes.ShownAuthority),
    "/api/v1/certs": (
        "the certificates that are valid",
        shapes.Listing[shapes.ShownCertificate],
    ),
    "/api/v1/problems": ("everything that is wrong now", shapes.Listing[shapes.ShownProblem]),
}
_CHANGES: dict[str, tuple[str, Any, Any]] = {
    "/api/v1/ca/{step}": (
        "a step of a rotation: prepare, activate, taint or drop",
        identity.StepAsked,
        shapes.ShownSigner,
    ),
    "/api/v1/tokens": ("a new join token", identity.TokenAsked, shapes.ShownToken),
}
"""Paths that take a POST, with the shapes of body and answer. They need a token everywhere."""
_BUNDLE = {
    "summary": "the roots to trust",
    "parameters": [],
    "responses": {
        "200": {
            "description": "certificates in PEM",
            "content": {"application/x-pem-file": {"schema": {"type": "string"}}},
        }
    },
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
    types += [shape for _, *both in _CHANGES.values() for shape in both]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    error, changes = schemas[len(_PATHS)], schemas[len(_PATHS) + 1 :]
    paths = {
        path: {"get": _operation(path, summary, schema, error)}
        for (path, (summary, _)), schema in zip(_PATHS.items(), schemas, strict=False)
    }
    for (path, (summary, *_)), asked, given in zip(
        _CHANGES.items(), changes[::2], changes[1::2], strict=True
    ):
        body = {"content": {_JSON: {"schema": asked}}}
        paths[path] = {"post": _operation(path, summary, given, error) | {"requestBody": body}}
    paths["/api/v1/ca/bundle"] = {"get": _BUNDLE}
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
