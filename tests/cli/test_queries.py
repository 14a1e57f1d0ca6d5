"""The verbs that ask a daemon, against one that runs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from components import envoy_binary
from mesh import free_port
from program import FAULT, Ran, Running, command, pilot, running, write_mesh

LISTS = {
    "registries": "RegistryList",
    "services": "ServiceList",
    "ps": "ProxyList",
    "problems": "ProblemList",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[Running]:
    with running(write_mesh(tmp_path_factory.mktemp("queries"))) as made:
        made.says('"event":"serving"')
        yield made


def ask(daemon: Running, *arguments: str) -> Ran:
    return pilot(*arguments, PILOT_CORE_SERVER=daemon.server)


def test_a_table_has_one_line_for_each_and_says_what_matters(daemon):
    ran = ask(daemon, "services")

    assert [
        "HOSTNAME           NAMESPACE  REGISTRIES  PORTS        HEALTHY  CONFLICTS",
        "ratings.shop.mesh  shop       files       27017/mongo  0/0      -",
        "reviews.shop.mesh  shop       files       80/http      1/2      -",
    ] == ran.out.splitlines()
    assert (0, "") == (ran.code, ran.err)


def test_wide_has_more_columns_than_table(daemon):
    for verb in [*LISTS, "endpoints reviews.shop.mesh"]:
        table = ask(daemon, *verb.split()).out.splitlines()[0].split()
        wide = ask(daemon, *verb.split(), "-o", "wide").out.splitlines()[0].split()

        assert set(table) < set(wide)


def test_without_headers_only_the_lines_are_left(daemon):
    whole = ask(daemon, "services").out.splitlines()

    bare = ask(daemon, "services", "--no-headers").out.splitlines()

    assert [line.split() for line in whole[1:]] == [line.split() for line in bare]


def test_names_alone_for_pipes(daemon):
    names = ask(daemon, "services", "-o", "name").out

    assert "ratings.shop.mesh\nreviews.shop.mesh\n" == names
    assert "10.0.0.7\n10.0.0.8\n" == ask(daemon, "endpoints", names.split()[1], "-o", "name").out


@pytest.mark.parametrize(("verb", "kind"), LISTS.items())
def test_json_and_yaml_say_the_same_in_the_same_envelope(daemon, verb, kind):
    as_json = json.loads(ask(daemon, verb, "-o", "json").out)
    as_yaml = yaml.safe_load(ask(daemon, verb, "-o", "yaml").out)

    assert ("pilot-core/v1", kind) == (as_json["apiVersion"], as_json["kind"])
    assert as_json == as_yaml


def test_endpoints_are_shown_with_all_that_is_known_of_them(daemon):
    [first, second] = json.loads(ask(daemon, "endpoints", "reviews.shop.mesh", "-o", "json").out)[
        "items"
    ]

    assert ("10.0.0.7", {"http": 9000}, "healthy", 1, "west/a/1", "reviews-v1", "reviews") == tuple(
        first[k]
        for k in ("address", "ports", "health", "weight", "locality", "workload", "service_account")
    )
    assert ("unhealthy", 3, None) == (second["health"], second["weight"], second["workload"])


def test_hostnames_are_found_in_whatever_case(daemon):
    assert 0 == ask(daemon, "endpoints", "Reviews.Shop.Mesh").code


def test_problems_name_the_place_and_exit_with_1_when_there_is_an_error(daemon):
    ran = ask(daemon, "problems")

    assert 1 == ran.code
    assert "object-refused" in ran.out
    assert f"shop.yaml{FAULT}" in ran.out
    assert "" == ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("endpoints", "review.shop.mesh"), "did you mean reviews.shop.mesh?"),
        (("endpoints", "x"), "no service x; pilot-core services lists all"),
        (("ps", "nobody"), "no proxy nobody is connected; pilot-core ps lists those that are"),
        (("pc", "all", "nobody"), "no proxy nobody is connected"),
    ],
)
def test_a_name_that_is_unknown_exits_with_1_and_says_what_to_do(daemon, arguments, words):
    ran = ask(daemon, *arguments)

    assert (1, "") == (ran.code, ran.out)
    assert words in ran.err


PROXY = "sidecar~127.0.0.1~web.shop~shop.svc.cluster.local"


@pytest.fixture(scope="module")
def envoy(daemon, tmp_path_factory) -> Iterator[str]:
    """A real Envoy, run by the program itself; in sync."""
    envoy_binary()
    log = tmp_path_factory.mktemp("envoy") / "log"
    with log.open("wb") as errors:
        child = subprocess.Popen(
            command(
                *("proxy", "--workload", "web", "--namespace", "shop", "--xds", daemon.xds),
                *("--admin", "127.0.0.1:0", "--http-listener", f"127.0.0.1:{free_port()}"),
                "--base-id-auto",
            ),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    deadline = time.monotonic() + 30
    while ask(daemon, "ps", "web", "--no-headers").out.split()[1:5] != ["synced"] * 4:
        assert time.monotonic() < deadline, log.read_text()
        assert child.poll() is None, log.read_text()
    yield "web"
    child.terminate()
    child.wait(30)


@pytest.mark.envoy
def test_a_proxy_is_found_by_its_id_and_by_its_workload(daemon, envoy):
    by_id = json.loads(ask(daemon, "ps", PROXY, "-o", "json").out)

    assert by_id == json.loads(ask(daemon, "ps", envoy, "-o", "json").out)
    assert ("delta", "none", "shop") == (by_id["variant"], by_id["mode"], by_id["namespace"])
    assert f"{PROXY}\n" == ask(daemon, "ps", "-o", "name").out
    assert "did you mean web?" in ask(daemon, "ps", "wen").err


@pytest.mark.envoy
@pytest.mark.parametrize("kind", ["clusters", "listeners", "routes", "endpoints", "all"])
def test_what_the_server_holds_for_a_proxy_is_the_same_in_every_format(daemon, envoy, kind):
    said = {
        format: ask(daemon, "pc", kind, envoy, "-o", format).out
        for format in ("json", "yaml", "name", "table")
    }

    whole = json.loads(said["json"])
    assert whole == yaml.safe_load(said["yaml"])
    rows = [row for part in whole.values() for row in part] if kind == "all" else whole
    names = [row.get("name") or row["cluster_name"] for row in rows]
    assert names
    assert names == said["name"].splitlines()
    assert names == [line.split()[1] for line in said["table"].splitlines()[1:]]


@pytest.mark.envoy
def test_a_proxy_without_secrets_has_an_empty_list_of_them(daemon, envoy):
    assert (0, "[]\n", "") == ask(daemon, "proxy-config", "secrets", envoy, "-o", "json")


def test_watching_asks_again_and_again(daemon):
    child = subprocess.Popen(
        command("services", "--watch", "--every", "0.1", "-o", "name", "--server", daemon.server),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(6)]
    child.kill()
    child.communicate()

    assert ["ratings.shop.mesh\n", "reviews.shop.mesh\n"] * 3 == lines


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_states_are_coloured_on_a_terminal_unless_no_color_is_set(daemon, no_color, is_coloured):
    ours, theirs = pty.openpty()
    subprocess.run(
        command("registries", "--server", daemon.server),
        stdout=theirs,
        env={**os.environ, "NO_COLOR": no_color},
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)

    assert is_coloured == ("\x1b[32msynced\x1b[0m" in shown)
    assert "synced" in shown


def test_off_a_terminal_nothing_is_coloured(daemon):
    assert "\x1b" not in ask(daemon, "registries").out


def test_the_option_wins_over_the_environment(daemon):
    ran = pilot("services", "--server", daemon.server, PILOT_CORE_SERVER="http://127.0.0.1:1")

    assert 0 == ran.code


def test_a_server_that_is_not_there_exits_with_3_and_says_how_to_name_another():
    where = f"http://127.0.0.1:{free_port()}"

    ran = pilot("services", "--server", where)

    assert (3, "") == (ran.code, ran.out)
    assert f"no pilot-core at {where} (" in ran.err
    assert "--server URL or PILOT_CORE_SERVER says where" in ran.err


@pytest.mark.parametrize("where", ["localhost:15014", "ftp://x", "127.0.0.1"])
def test_a_server_that_is_no_url_is_wrong_usage(where):
    ran = pilot("services", "--server", where)

    assert (2, "") == (ran.code, ran.out)
    assert "expected a URL such as http://127.0.0.1:15014" in ran.err


def test_a_token_file_that_cannot_be_read_is_wrong_usage(tmp_path):
    ran = pilot("services", "--token-file", str(tmp_path / "none"))

    assert 2 == ran.code
    assert f"--token-file {tmp_path}/none: No such file" in ran.err


class _Elsewhere(BaseHTTPRequestHandler):
    """Some other program that happens to listen there."""

    def do_GET(self) -> None:
        status = 500 if "registries" in self.path else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_whatever_else_answers_there_is_no_traceback():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = f"http://127.0.0.1:{server.server_address[1]}"

    page, failed = (
        pilot("services", "--server", where),
        pilot("registries", "--server", where),
    )
    server.shutdown()
    server.server_close()

    assert (3, "") == (page.code, page.out)
    assert (1, "") == (failed.code, failed.out)
    assert "the server answered 500" in failed.err
