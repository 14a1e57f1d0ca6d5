"""The adapters in the box pass the suite that every plugin passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalogues import catalogue_of
from http_registry import HttpRegistry
from pilot_core.builtin.file import File, FileConfig
from pilot_core.builtin.http import Http, HttpConfig
from pilot_core.document import Duration
from pilot_core.testing import AdapterConformance, Platform, Services


class Folder(Platform):
    """A folder with one file for each service; nobody can take it away."""

    can_disconnect = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def config(self) -> FileConfig:
        return FileConfig(paths=(self._folder,))

    def hostname(self, name: str) -> str:
        return f"{name}.mesh"

    async def set(self, services: Services) -> None:
        for path in self._folder.iterdir():
            if path.stem not in services:
                path.unlink()
        for name, addresses in services.items():
            self._write(name, catalogue_of({name: addresses}, domain="mesh"))

    async def spoil(self, name: str) -> None:
        self._write(name, catalogue_of({name: ["10.0.0.1"]}, domain="mesh", spoilt=name))

    def _write(self, name: str, content: str) -> None:
        beside = self._folder / f".{name}.new"
        beside.write_text(content)
        beside.rename(self._folder / f"{name}.yaml")


class OneFile(Folder):
    """All services in one file, written in place."""

    def config(self) -> FileConfig:
        return FileConfig(paths=(self._folder / "all.yaml",))

    async def set(self, services: Services) -> None:
        self._services = services
        (self._folder / "all.yaml").write_text(catalogue_of(services, domain="mesh"))

    async def spoil(self, name: str) -> None:
        content = catalogue_of(self._services, domain="mesh", spoilt=name)
        (self._folder / "all.yaml").write_text(content)


class Server(Platform):
    """A web server with one document."""

    has_etag = True

    async def __aenter__(self) -> Server:
        self._server = HttpRegistry()
        self._server.has_etag = self.has_etag
        await self._server.start()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._server.stop()

    def config(self) -> HttpConfig:
        return HttpConfig(url=self._server.url, interval=Duration(0.02))

    def hostname(self, name: str) -> str:
        return f"{name}.mesh"

    async def set(self, services: Services) -> None:
        self._services = services
        self._server.document = catalogue_of(services, domain="mesh")

    async def spoil(self, name: str) -> None:
        self._server.document = catalogue_of(self._services, domain="mesh", spoilt=name)

    async def disconnect(self) -> None:
        await self._server.stop()

    async def reconnect(self) -> None:
        await self._server.start()


class ForgetfulServer(Server):
    """Says nothing of what it has said before."""

    has_etag = False


class TestFolder(AdapterConformance):
    adapter = File

    @pytest.fixture
    def platform(self, tmp_path: Path) -> Platform:
        return Folder(tmp_path)


class TestOneFile(AdapterConformance):
    adapter = File

    @pytest.fixture
    def platform(self, tmp_path: Path) -> Platform:
        return OneFile(tmp_path)


class TestServer(AdapterConformance):
    adapter = Http

    @pytest.fixture
    def platform(self) -> Platform:
        return Server()


class TestForgetfulServer(AdapterConformance):
    adapter = Http

    @pytest.fixture
    def platform(self) -> Platform:
        return ForgetfulServer()
