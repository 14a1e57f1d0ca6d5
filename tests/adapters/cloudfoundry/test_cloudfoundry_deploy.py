"""What `cf push` takes: a manifest in the platform's words, and files that fit together."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig

from consul_tls import Authority
from pilot_core.adapter import Adapter
from pilot_core.config import check, load
from repository import ROOT

FOLDER = ROOT / "deploy" / "cloudfoundry"
SERVICE = "pilot-core-credentials"
NAMES = ("bbs_ca", "bbs_cert", "bbs_key", "instance_ca", "admin_token")
KEYS = {
    "buildpacks",
    "command",
    "disk_quota",
    "env",
    "health-check-http-endpoint",
    "health-check-type",
    "instances",
    "memory",
    "name",
    "readiness-health-check-http-endpoint",
    "readiness-health-check-type",
    "routes",
    "services",
    "stack",
    "timeout",
}
"""Attributes of an application in a manifest, as Cloud Foundry's reference lists them."""


def kinds(kind: str) -> type[Adapter]:
    assert "cloudfoundry" == kind
    return CloudFoundry


def profile(home: Path, credentials: Mapping[str, str] | None) -> subprocess.CompletedProcess[str]:
    """Run `.profile` as the platform does."""
    bound = {"credhub": [{"name": SERVICE, "credentials": credentials}]} if credentials else {}
    environment = {**os.environ, "HOME": str(home), "VCAP_SERVICES": json.dumps(bound)}
    return subprocess.run(
        ["bash", "-c", f"source {FOLDER / '.profile'}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    pair = authority.issue("mesh")
    ca = authority.file.read_text()
    texts = (ca, pair.cert.read_text(), pair.key.read_text(), ca, "a-token")
    done = profile(tmp_path, dict(zip(NAMES, texts, strict=True)))
    assert (0, "") == (done.returncode, done.stderr)
    return tmp_path


def test_the_manifest_speaks_the_words_of_the_platform() -> None:
    manifest: dict[str, Any] = yaml.safe_load((FOLDER / "manifest.yml").read_text())
    [application] = manifest["applications"]
    assert set() == application.keys() - KEYS
    assert "exec pilot-core run -c pilot.yaml" == application["command"]
    assert [SERVICE] == application["services"]
    assert all(set(route) == {"route"} for route in application["routes"])


def test_the_configuration_is_sound_with_what_the_platform_gives(home: Path) -> None:
    environment = {"HOME": str(home), "FOUNDATION_REGION": "eu-1"}
    file = FOLDER / "pilot.yaml"
    assert [] == check.check(file, adapter_types=kinds, environment=environment)
    settings = load.load(file, adapter_types=kinds, environment=environment)
    [adapter] = settings.adapters
    assert isinstance(adapter.config, CloudFoundryConfig)
    assert "eu-1" == adapter.config.region
    assert all(path.is_relative_to(home) for _, path in adapter.config.files())
    assert ":8080" in settings.admin.address


def test_only_the_application_reads_its_credentials(home: Path) -> None:
    folder = home / "credentials"
    assert sorted(f"{name}.pem" for name in NAMES) == sorted(p.name for p in folder.iterdir())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert 0o700 == folder.stat().st_mode & 0o777


def test_credentials_that_are_missing_are_told_by_name(tmp_path: Path) -> None:
    assert "no service pilot-core-credentials is bound" in profile(tmp_path, None).stderr
    told = profile(tmp_path, {"bbs_ca": "x"}).stderr
    assert "pilot-core-credentials has no bbs_cert" in told


def test_the_security_group_is_one() -> None:
    for rule in json.loads((FOLDER / "security-group.json").read_text()):
        assert {"protocol", "destination", "ports", "description"} == set(rule)
