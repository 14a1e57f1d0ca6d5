"""Disks as they are on bad days: full, read-only. Real ones, in a mount namespace of the test's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import disk_states
from components import absent


def has_mounts() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.parametrize("scene", disk_states.SCENES)
def test_a_disk_on_a_bad_day_loses_nothing_and_is_shown_until_it_is_mended(tmp_path, scene):
    if not has_mounts():
        absent("root and unshare", "run as root, with util-linux installed")
    command = ["unshare", "--mount", sys.executable, disk_states.__file__, scene, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert (0, disk_states.SCENES[scene]) == (said.returncode, said.stdout.split()), said.stderr
