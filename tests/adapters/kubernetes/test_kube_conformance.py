"""The suite that every adapter passes, on a real API server and on the fake that stands in for it
where faults are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import kube_platforms
import pytest
from kube_platforms import FakePlatform, RealPlatform, TwoClusters
from pilot_adapter_kubernetes.adapter import Kubernetes

from kube_server import KubeApi
from pilot_core.testing import AdapterConformance, Platform


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApi]:
    server = kube_platforms.run_server()
    yield server
    kube_platforms.stop_server(server)


class TestRealKubernetes(AdapterConformance):
    adapter = Kubernetes

    @pytest.fixture
    def platform(self, server: KubeApi) -> Platform:
        return RealPlatform(server)


class TestFakeKubernetes(AdapterConformance):
    adapter = Kubernetes

    @pytest.fixture
    def platform(self, tmp_path: Path) -> Platform:
        return FakePlatform(tmp_path)


class TestTwoClusters(AdapterConformance):
    adapter = Kubernetes

    @pytest.fixture
    def platform(self, tmp_path: Path) -> Platform:
        return TwoClusters(tmp_path)
