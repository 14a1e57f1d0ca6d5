"""`pilot-core run` as a process: how it starts, what stops it from starting, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
from pathlib import Path

import pytest

from program import Running, pilot, process, running, write_mesh


def _stop(daemon: Running, number: signal.Signals = signal.SIGTERM) -> int:
    daemon.child.send_signal(number)
    return daemon.child.wait(30)


def _events(daemon: Running) -> list[str]:
    lines = [line for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [json.loads(line)["event"] for line in lines]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_drains_when_it_is_asked_to_end(tmp_path, number):
    with running(write_mesh(tmp_path)) as daemon:
        daemon.says('"event":"serving"')
        ports = [int(where.rpartition(":")[2]) for where in (daemon.xds, daemon.admin)]
        served = pilot("services", "-o", "name", "--server", daemon.server)
        code = _stop(daemon, number)
        events = _events(daemon)
        gone = pilot("services", "--server", daemon.server)

    assert all(0 < port < 65536 for port in ports)
    assert "ratings.shop.mesh\nreviews.shop.mesh\n" == served.out
    assert (0, 3) == (code, gone.code)
    assert ["started", "serving", "draining", "stopped"] == [
        e for e in events if e in ("started", "serving", "draining", "stopped")
    ]


def test_port_0_becomes_a_real_one_on_every_family(tmp_path):
    config = write_mesh(tmp_path)
    config.write_text(config.read_text().replace("127.0.0.1:0", "[::1]:0"))

    with running(config) as daemon:
        daemon.says('"event":"serving"')
        answered = pilot("services", "--server", daemon.server).code

    assert daemon.xds.startswith("[::1]:")
    assert "[::1]:0" not in (daemon.xds, daemon.admin)
    assert 0 == answered


@pytest.mark.parametrize("key", ["xds", "admin"])
def test_a_port_in_use_is_named_with_its_setting_and_nothing_else_is_said(tmp_path, key):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        config = tmp_path / "pilot.yaml"
        other = "admin" if key == "xds" else "xds"
        config.write_text(
            f'apiVersion: pilot-core/v1\n{key}: {{address: "{where}"}}\n'
            f'{other}: {{address: "127.0.0.1:0"}}\n'
        )
        ran = process("run", "-c", str(config))

    assert (2, "") == (ran.code, ran.out)
    assert (
        f"pilot-core: {key}.address: cannot listen on {where}: address already in use; "
        f"is another pilot-core running? {key}.address in the configuration moves it\n" == ran.err
    )


def test_an_address_of_another_machine_is_named(tmp_path):
    config = tmp_path / "pilot.yaml"
    config.write_text('apiVersion: pilot-core/v1\nxds: {address: "192.0.2.1:0", insecure: true}\n')

    ran = process("run", "-c", str(config))

    assert 2 == ran.code
    assert "xds.address: cannot listen on 192.0.2.1:0: cannot assign" in ran.err


def test_two_daemons_do_not_share_a_state_dir_and_the_first_goes_on(tmp_path):
    config = write_mesh(tmp_path)
    config.write_text(config.read_text() + "state_dir: state\n")
    with running(config) as daemon:
        daemon.says('"event":"serving"')
        second = process("run", "-c", str(config))
        first = pilot("services", "--server", daemon.server)

    assert (2, "") == (second.code, second.out)
    assert f"state_dir {tmp_path}/state is used by another pilot-core" in second.err
    assert 0 == first.code


def test_what_is_kept_is_for_its_owner_alone(tmp_path):
    config = write_mesh(tmp_path)
    config.write_text(config.read_text() + "state_dir: state\n")
    with running(config) as daemon:
        daemon.says('"event":"serving"')
        _stop(daemon)
    files = sorted((tmp_path / "state").iterdir())

    assert "state.sqlite" in [file.name for file in files]
    assert {0} == {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files}
    assert 0 == stat.S_IMODE((tmp_path / "state").stat().st_mode) & 0o077
    with sqlite3.connect(tmp_path / "state" / "state.sqlite") as state:
        assert [("ok",)] == state.execute("pragma integrity_check").fetchall()
    state.close()


@pytest.mark.parametrize("where", ["/proc/none/state", "file/state"])
def test_a_state_dir_that_cannot_be_made_is_an_error_that_names_it(tmp_path, where):
    (tmp_path / "file").write_text("")
    config = tmp_path / "pilot.yaml"
    config.write_text(f"apiVersion: pilot-core/v1\nstate_dir: {where}\n")

    ran = process("run", "-c", str(config))

    assert (2, "") == (ran.code, ran.out)
    assert f"state_dir {tmp_path / where} cannot be used: " in ran.err


def test_the_state_directory_of_systemd_is_used_where_none_is_configured(tmp_path):
    folder = tmp_path / "systemd"
    with running(write_mesh(tmp_path), STATE_DIRECTORY=str(folder)) as daemon:
        daemon.says('"event":"serving"')

        assert (folder / "lock").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", 'the key "apiVersion" is missing'),
        (b"a: [\n", ":2:1: not YAML"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"# " + b"x" * (1 << 20), "larger than 1 MiB"),
        (b"apiVersion: pilot-core/v1\nadapters:\n- {name: a, kind: fi", ":4:1: not YAML"),
        (b"- 1\n", "expected a mapping, found a list"),
        (b"apiVersion: pilot-core/v1\nadmin: {token_file: none}\n", "No such file"),
    ],
    ids=["empty", "broken", "bytes", "huge", "half", "list", "token"],
)
def test_garbage_does_not_start(tmp_path, content, words):
    config = tmp_path / "pilot.yaml"
    config.write_bytes(content)

    ran = process("run", "-c", str(config))

    assert (2, "") == (ran.code, ran.out)
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_configuration_is_named(tmp_path):
    ran = process("run", "-c", str(tmp_path / "none.yaml"))

    assert (
        2,
        f"pilot-core: {tmp_path}/none.yaml: cannot be read: No such file or directory\n",
    ) == (
        ran.code,
        ran.err,
    )


def test_logs_are_for_people_where_they_are_asked_for(tmp_path):
    with running(write_mesh(tmp_path), "--log-format", "console") as daemon:
        daemon.says(r"^\d\d:\d\d:\d\d info    serving services=2$")
        lines = daemon.log.read_text().splitlines()

    assert [] == [line for line in lines if line.startswith("{")]


def test_logs_below_the_level_are_not_said(tmp_path):
    with running(write_mesh(tmp_path), "--log-level", "error") as daemon:
        code = _stop(daemon)
        lines = daemon.log.read_text().splitlines()

    assert (0, [f"listening xds={daemon.xds} admin={daemon.admin}"]) == (code, lines)


class Systemd:
    """What systemd is to a service: a datagram socket that hears how it is doing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def hears(self) -> list[str]:
        """The next thing that is said, a watchdog's ping aside."""
        while True:
            said = self._socket.recv(4096).decode().split("\n")
            if said != ["WATCHDOG=1"]:
                return said

    def pings(self) -> bool:
        return self._socket.recv(4096) == b"WATCHDOG=1"

    def close(self) -> None:
        self._socket.close()


def test_systemd_hears_of_readiness_reloads_the_watchdog_and_the_end(tmp_path):
    systemd = Systemd(tmp_path / "notify")
    with running(
        write_mesh(tmp_path), NOTIFY_SOCKET=str(systemd.path), WATCHDOG_USEC="200000"
    ) as daemon:
        ready = systemd.hears()
        pinged = systemd.pings()
        daemon.child.send_signal(signal.SIGHUP)
        reloading, ready_again = systemd.hears(), systemd.hears()
        _stop(daemon)
        stopping = systemd.hears()
    systemd.close()

    assert ["READY=1", "STATUS=serving"] == ready
    assert pinged
    assert ["RELOADING=1", "MONOTONIC_USEC"] == [reloading[0], reloading[1].partition("=")[0]]
    assert ["READY=1"] == ready_again
    assert ["STOPPING=1"] == stopping


def test_a_notify_socket_that_nobody_reads_does_not_matter(tmp_path):
    with running(write_mesh(tmp_path), NOTIFY_SOCKET=str(tmp_path / "nobody")) as daemon:
        daemon.says('"event":"serving"')

        assert 0 == _stop(daemon)


def test_who_asks_twice_does_not_wait(tmp_path):
    with running(write_mesh(tmp_path)) as daemon:
        daemon.says('"event":"serving"')
        os.kill(daemon.child.pid, signal.SIGTERM)
        daemon.says('"event":"draining"|"event":"stopped"')
        os.kill(daemon.child.pid, signal.SIGTERM)

        assert daemon.child.wait(5) in (0, -signal.SIGTERM)
