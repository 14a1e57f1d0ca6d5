"""The suite that every adapter passes, over a real Consul."""

from __future__ import annotations

import pytest

from consul_catalogue import ConsulPlatform
from consul_server import ConsulAgent
from pilot_adapter_consul.adapter import Consul
from pilot_core.testing import AdapterConformance, Platform


class TestConsul(AdapterConformance):
    adapter = Consul

    @pytest.fixture
    def platform(self, agent: ConsulAgent) -> Platform:
        return ConsulPlatform(agent)
