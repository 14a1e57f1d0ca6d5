"""An API server for the faults that a real one does not commit on command.

Lists in pages, watches with bookmarks and initial events, versions that are forgotten. What it has
in common with the real one is tested on both by the same tests.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

Json = dict[str, Any]
COLLECTIONS = {
    "Service": "/api/v1/services",
    "Pod": "/api/v1/pods",
    "Node": "/api/v1/nodes",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
}


class FakeKubeApi:
    """`put` and `drop` objects; set faults at will."""

    def __init__(self) -> None:
        self.token = "first"
        self.streams = True
        """Knows initial events in watches; older servers do not."""
        self.silent = False
        """Takes connections, and says nothing more on any of them."""
        self.refusals: dict[str, deque[tuple[int, dict[str, str]]]] = {}
        """By plural: what the next requests get instead of an answer."""
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._objects: dict[str, dict[str, Json]] = {path: {} for path in COLLECTIONS.values()}
        self._log: list[tuple[int, str, str, Json]] = []
        self._version = 10
        self._forgotten = 0
        self._news = asyncio.Condition()
        self._cut = 0
        self._expire_pages = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._get)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self.cut()
            await self._runner.cleanup()
            self._runner = None

    # What happens in the cluster

    async def put(self, *objects: Json) -> None:
        for sent in objects:
            path = COLLECTIONS[sent["kind"]]
            known = self._objects[path].get(_key(sent))
            self._version += 1
            meta = {"uid": f"uid-{_key(sent)}-{self._version}", **(sent.get("metadata") or {})}
            if known is not None:
                meta["uid"] = known["metadata"]["uid"]
            made = {**sent, "metadata": {**meta, "resourceVersion": str(self._version)}}
            self._objects[path][_key(sent)] = made
            self._log.append((self._version, path, "MODIFIED" if known else "ADDED", made))
        await self._tell()

    async def drop(self, *objects: Json) -> None:
        for sent in objects:
            path = COLLECTIONS[sent["kind"]]
            gone = self._objects[path].pop(_key(sent))
            self._version += 1
            meta = {**gone["metadata"], "resourceVersion": str(self._version)}
            self._log.append((self._version, path, "DELETED", {**gone, "metadata": meta}))
        await self._tell()

    def objects(self, kind: str) -> list[Json]:
        return list(self._objects[COLLECTIONS[kind]].values())

    async def forget(self) -> None:
        """Whatever happened so far cannot be watched any more: streams get an error, watches and
        pages from before a 410."""
        self._forgotten = self._version
        self._log.clear()
        self._expire_pages = self._version
        await self._tell()

    async def cut(self) -> None:
        """End every watch."""
        self._cut += 1
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    # What it answers

    async def _get(self, request: web.Request) -> web.StreamResponse:
        path, namespace = _scope("/" + request.match_info["path"])
        query = dict(request.query)
        plural = path.rpartition("/")[2]
        self.requests.append((plural, query))
        while self.silent:
            async with self._news:
                await self._news.wait()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        if self.refusals.get(plural):
            status, headers = self.refusals[plural].popleft()
            return _status(status, "as the test wants it", headers)
        if path not in self._objects:
            return _status(404, "the server could not find the requested resource")
        if "watch" in query:
            return await self._watch(request, path, namespace)
        return self._list(path, query, namespace)

    def _list(self, path: str, query: dict[str, str], namespace: str) -> web.Response:
        version, _, start = query.get("continue", f"{self._version}:0").partition(":")
        if int(version) < self._expire_pages:
            return _status(410, "The provided continue parameter is too old", reason="Expired")
        items = [made for made in self._objects[path].values() if _is_in(made, namespace)]
        end = int(start) + int(query.get("limit", len(items) or 1))
        meta = {"resourceVersion": version}
        if end < len(items):
            meta |= {"continue": f"{version}:{end}"}
        return web.json_response({"metadata": meta, "items": items[int(start) : end]})

    async def _watch(self, request: web.Request, path: str, namespace: str) -> web.StreamResponse:
        query = request.query
        if "sendInitialEvents" in query and not self.streams:
            return _status(422, "sendInitialEvents: Forbidden", reason="Invalid")
        version = int(query.get("resourceVersion") or 0)
        if version and version < self._forgotten:
            return _status(410, "too old resource version", reason="Expired")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        try:
            async for event in self._events(path, version, "sendInitialEvents" in query):
                if event["type"] not in _OBJECTS or _is_in(event["object"], namespace):
                    await answer.write(json.dumps(event).encode() + b"\n")
            await answer.write_eof()
        except ConnectionResetError:
            pass  # the client has gone meanwhile
        return answer

    async def _events(self, path: str, version: int, initial: bool) -> AsyncIterator[Json]:
        cut = self._cut
        if initial:
            version = self._version
            for made in list(self._objects[path].values()):
                yield {"type": "ADDED", "object": made}
            yield _bookmark(version, {"k8s.io/initial-events-end": "true"})
        while self._cut == cut:
            if version < self._forgotten:
                yield {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
                return
            news = [entry for entry in self._log if entry[0] > version]
            version = news[-1][0] if news else version
            for _, where, kind, made in news:
                if where == path and not self.silent:
                    yield {"type": kind, "object": made}
            if not news:
                async with self._news:
                    await self._news.wait()


_OBJECTS = ("ADDED", "MODIFIED", "DELETED")


def _scope(path: str) -> tuple[str, str]:
    """The path of the whole collection, and the namespace that is asked for."""
    group, found, rest = path.partition("/namespaces/")
    namespace, _, plural = rest.partition("/")
    return (f"{group}/{plural}", namespace) if found else (path, "")


def _is_in(made: Json, namespace: str) -> bool:
    return not namespace or made["metadata"].get("namespace") == namespace


def _key(sent: Json) -> str:
    meta = sent.get("metadata") or {}
    return f"{meta.get('namespace', '')}/{meta.get('name', '')}"


def _bookmark(version: int, annotations: dict[str, str]) -> Json:
    meta = {"resourceVersion": str(version), "annotations": annotations}
    return {"type": "BOOKMARK", "object": {"metadata": meta}}


def _status(
    code: int, message: str, headers: dict[str, str] | None = None, reason: str = ""
) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return web.json_response({**body, "reason": reason}, status=code, headers=headers)
