"""Which words do not belong where."""

from __future__ import annotations

import re

import repository
from repository import ROOT

_PLATFORMS = re.compile(
    r"kubernetes|k8s|kube|openshift|consul|mesos|marathon|dcos|cloud ?foundry|diego|"
    r"\bnomad|eureka|nacos|\becs\b|docker|podman|openstack|\baws\b|\bgcp\b|azure",
    re.IGNORECASE,
)
_CORE = (ROOT / "pilot_core", ROOT / "xds" / "pilot_xds", ROOT / "certs" / "pilot_certs")
_FOREIGN = {
    # Type names of Envoy's API, as they are there.
    ROOT / "xds" / "pilot_xds" / "protos.pyi",
}
_MACHINE = re.compile(r"(?<![\w.}$~:-])/(?:work|root|home|Users|tmp)/")
_INDEXES = re.compile(r"--(?:extra-)?index-url|--trusted-host|--registry[= ]https?:|GOPROXY=http")


def test_no_platform_is_named_in_the_core() -> None:
    named = [
        f"{repository.shown(path)}:{number}: {line.strip()}"
        for path, text in repository.texts()
        if path.is_relative_to(_CORE[0]) or path.is_relative_to(_CORE[1])
        if path not in _FOREIGN
        for number, line in enumerate(text.splitlines(), 1)
        if _PLATFORMS.search(line)
    ]

    assert [] == named


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert [] == _lines_with(_MACHINE)


def test_packages_come_from_wherever_the_installer_is_set_up_for() -> None:
    assert [] == _lines_with(_INDEXES)


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{repository.shown(path)}:{number}: {line.strip()}"
        for path, text in repository.texts()
        if path.name != "test_words.py"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
