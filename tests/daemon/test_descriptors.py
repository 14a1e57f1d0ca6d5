"""The daemon takes as many descriptors as it may have: a connected proxy needs one."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import resource
from pilot_core.daemon.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, 512))
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
from pilot_core.rpc.limits import ServerLimits
print(ServerLimits().connections)
"""


def run(soft: int) -> list[str]:
    command = [sys.executable, "-c", _PROGRAM.format(soft=soft)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_limit_is_raised_as_far_as_it_goes() -> None:
    assert ["512 (512, 512)", "156"] == run(128)
    assert "512 (512, 512)" == run(512)[0]
