"""The command line as a whole: its verbs, its exit codes, what it costs to start."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pilot_core import __version__
from program import command, pilot, process

VERBS = [
    "run",
    "check",
    "init",
    "demo",
    "adapters",
    "adapter",
    "registries",
    "services",
    "endpoints",
    "ps",
    "proxy-config",
    "problems",
    "bootstrap",
    "proxy",
    "iptables",
    "translate",
]
DEAR = ("aiohttp", "grpc", "google.protobuf", "yaml", "stevedore", "msgspec", "prometheus_client")


def test_help_lists_every_verb_on_standard_output():
    ran = pilot("--help")

    assert (0, "") == (ran.code, ran.err)
    assert [] == [verb for verb in VERBS if f"\n  {verb} " not in ran.out]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_of_its_own(verb):
    ran = pilot(verb, "--help")

    assert (0, "") == (ran.code, ran.err)
    assert f"Usage: pilot-core {verb} " in ran.out


def test_no_verb_at_all_is_a_usage_error_that_shows_the_verbs():
    ran = pilot()

    assert (2, "") == (ran.code, ran.out)
    assert "proxy-config" in ran.err


@pytest.mark.parametrize(
    ("said", "meant"), [("servces", "services"), ("proxyconfig", "proxy-config"), ("chek", "check")]
)
def test_an_unknown_verb_gets_the_one_that_was_meant(said, meant):
    ran = pilot(said)

    assert (2, "") == (ran.code, ran.out)
    assert f"no verb '{said}'. Did you mean {meant}?" in ran.err


def test_an_unknown_verb_that_is_like_none_gets_the_way_to_the_list():
    assert "See pilot-core --help." in pilot("xyzzy").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("services", "--no-header"), "Did you mean '--no-headers'?"),
        (("services", "-o", "jsn"), "Did you mean json?"),
        (("pc", "clsters", "p"), "Did you mean clusters?"),
        (("bootstrap", "--workload", "w", "--mode", "nne"), "Did you mean none?"),
        (("run", "-c", "x", "--log-level", "warn"), "Did you mean warning?"),
        (("endpoints",), "Missing argument 'HOSTNAME'"),
        (("check",), "Missing option '-c'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_was_meant(arguments, words):
    ran = pilot(*arguments)

    assert (2, "") == (ran.code, ran.out)
    assert words in ran.err


def test_the_version_is_the_package_s():
    assert f"pilot-core, version {__version__}\n" == pilot("--version").out


@pytest.mark.parametrize("arguments", [("--help",), ("ps", "--server", "http://127.0.0.1:1")])
def test_neither_help_nor_a_query_imports_what_only_the_daemon_needs(arguments):
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('LOADED', [m for m in {DEAR!r} if m in sys.modules]))\n"
        f"sys.argv = ['pilot-core', *{arguments!r}]\n"
        "from pilot_core.cli import main\n"
        "main()\n"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "LOADED []" in ran.stdout


def test_a_reader_that_has_had_enough_is_no_error():
    line = " ".join(["set -o pipefail;", *command("init", "--adapter", "file"), "| true"])

    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert (0, "") == (ran.returncode, ran.stderr)


def test_output_that_cannot_be_written_is_an_error():
    line = " ".join([*command("init", "--adapter", "file"), "> /dev/full"])

    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert 0 != ran.returncode
    assert "No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_ctrl_c_ends_it_with_130(tmp_path):
    fifo = tmp_path / "config"
    child = subprocess.Popen(
        [sys.executable, "-c", _WAITING, str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert "waiting\n" == child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)

    assert 130 == child.returncode
    assert "Traceback" not in err


_WAITING = """
import os, sys, threading
os.mkfifo(sys.argv[1])
def opened():
    with open(sys.argv[1], "w"):
        print("waiting", flush=True)
        threading.Event().wait()
threading.Thread(target=opened, daemon=True).start()
sys.argv = ["pilot-core", "check", "-c", sys.argv[1]]
from pilot_core.cli import main
main()
"""


def test_it_is_a_module_too():
    ran = process("--version")

    assert (0, f"pilot-core, version {__version__}\n") == (ran.code, ran.out)
