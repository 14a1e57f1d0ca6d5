from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinds import TreeConfig, adapter_types
from pilot_core.config import load
from pilot_core.config.schema import Settings
from pilot_core.document import Duration
from texts import findings_of

FILE = Path("/etc/pilot/pilot.yaml")
V = "apiVersion: pilot-core/v1\n"


def parsed(text: str | bytes, **environment: str) -> Settings:
    return load.parse(text, FILE, adapter_types=adapter_types, environment=environment)


def wrong(text: str | bytes, **environment: str) -> list[str]:
    """The findings, without the file's name."""
    found = findings_of(lambda: parsed(text, **environment))
    assert all(line.startswith(f"{FILE}:") for line in found)
    return [line.removeprefix(f"{FILE}:").strip() for line in found]


def test_a_configuration_of_one_line_has_all_the_defaults():
    settings = parsed(V)
    assert ("cluster.local", ()) == (settings.mesh.trust_domain, settings.adapters)
    assert ("127.0.0.1:15010", False) == (settings.xds.address, settings.xds.insecure)
    assert ("127.0.0.1:15014", None) == (settings.admin.address, settings.admin.token_file)
    assert (30.0, 0.01, 0.5) == (
        settings.startup.sync_timeout,
        settings.batch.quiet,
        settings.batch.max,
    )
    assert settings.state_dir is None


def test_the_whole_format_is_read():
    settings = parsed(
        V + "mesh: {trust_domain: example.org}\n"
        "adapters:\n"
        "- name: dc1\n"
        "  kind: tree\n"
        "  required: false\n"
        "  max_drop: 0.5\n"
        "  config: {url: 'http://${HOST}/', wait: 250ms, folders: [a, /b]}\n"
        "- {name: dc2, kind: bare}\n"
        "xds: {address: '[::]:0', insecure: true}\n"
        "admin: {address: '10.0.0.1:15014', token_file: token}\n"
        "state_dir: /var/lib/pilot-core\n"
        "startup: {sync_timeout: 1m}\n"
        "batch: {quiet: 5ms, max: 1s}\n",
        HOST="db.example",
    )
    first, second = settings.adapters
    assert (first.name, first.kind, first.required, first.max_drop) == ("dc1", "tree", False, 0.5)
    expected = TreeConfig(
        url="http://db.example/",
        wait=Duration(0.25),
        folders=(Path("/etc/pilot/a"), Path("/b")),
    )
    assert expected == first.config
    assert (second.required, second.max_drop) == (True, 1.0)
    assert "[::]:0" == settings.xds.address
    assert Path("/etc/pilot/token") == settings.admin.token_file
    assert (Path("/var/lib/pilot-core"), 60.0) == (
        settings.state_dir,
        settings.startup.sync_timeout,
    )


def test_everything_that_is_wrong_is_said_in_one_run():
    text = (
        "apiVersion: pilot-core/v2\n"
        "msh: {}\n"
        "adapters:\n"
        "- {name: a, kind: tree, required: yes, max_drop: 2}\n"
        "- {name: a, kind: tre, config: {url: x}}\n"
        "- name: 'a b'\n"
        "  kind: tree\n"
        "  config:\n"
        "    url: 5\n"
        "    weit: 5s\n"
        "    url: x\n"
        "- 5\n"
        "xds: {address: '0.0.0.0:15010', secure_address: localhost}\n"
        "admin: {address: '0.0.0.0:1'}\n"
        "batch: {quiet: 5s, max: 1s}\n"
        "state_dir: '${DIR}'\n"
    )
    assert [
        '1:13: apiVersion: expected one of pilot-core/v1, found "pilot-core/v2", '
        'did you mean "pilot-core/v1"?',
        '2:1: unknown key "msh", did you mean "mesh"?',
        '4:3: adapters[0].config: the key "url" is missing',
        '4:35: adapters[0].required: expected true or false, found the string "yes": '
        "only true and false are booleans, in lower case and without quotes",
        "4:50: adapters[0].max_drop: expected a number <= 1.0, found the number 2",
        '5:10: adapters[1].name: the name "a" is taken, at line 4',
        '5:19: adapters[1].kind: no adapter "tre" (installed: bare, tree)',
        "6:9: adapters[2].name: a name is 1 to 63 letters, digits, dots, - and _, "
        "with neither of these last",
        "9:10: adapters[2].config.url: expected a string, found the number 5: put it in quotes",
        '10:5: adapters[2].config: unknown key "weit", did you mean "wait"?',
        '11:5: duplicate key "url", first at line 9',
        "12:3: adapters[3]: expected a mapping, found the number 5",
        "13:16: xds.address: 0.0.0.0:15010 is not loopback, and this port is plaintext: "
        "put `insecure: true` beside it if that is meant",
        "13:49: xds.secure_address: expected IP:PORT, such as 127.0.0.1:15010 or [::1]:15010, "
        "found 'localhost'",
        "14:18: admin.address: 0.0.0.0:1 is not loopback: put `token_file` beside it, "
        "a file with the token that requests have to carry",
        "15:25: batch.max: it has to be at least as long as quiet (5s)",
        "16:12: the environment variable DIR is not set; ${DIR:-…} gives a default",
    ] == wrong(text)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", '1:1: the key "apiVersion" is missing'),
        ("- a", "1:1: expected a mapping, found a list"),
        ("a: [", "2:1: not YAML: while parsing a flow node did not find expected node content"),
        (
            V + "mesh: {trust_domain: A}",
            "2:22: mesh.trust_domain: a trust domain is made of "
            "lower-case letters, digits, dots, - and _",
        ),
        (
            V + "xds: {address: 15010}",
            "2:16: xds.address: expected a string, found the number 15010: put it in quotes",
        ),
        (
            V + "xds: {secure_address: '0.0.0.0:15012'}",
            "2:23: xds.secure_address: it needs a state_dir, for the keys of the authority: "
            "set state_dir",
        ),
        (
            V + "identity: {leaf_lifetime: 1s}",
            "2:27: identity.leaf_lifetime: it has to be 10s at least",
        ),
        (
            V + "identity: {leaf_lifetime: 2h, leaf_lifetime_max: 1h}",
            "2:50: identity.leaf_lifetime_max: it has to be as long as leaf_lifetime at least (2h)",
        ),
        (
            V + "identity: {authority_lifetime: 24h}",
            "2:32: identity.authority_lifetime: it has to be twice leaf_lifetime at least (24h)",
        ),
        (
            V + "xds: {address: ':15010'}",
            "2:16: xds.address: expected IP:PORT, such as "
            "127.0.0.1:15010 or [::1]:15010, found ':15010'",
        ),
        (
            V + "adapters: [{kind: bare, name: ''}]",
            "2:31: adapters[0].name: a name is 1 to 63 "
            "letters, digits, dots, - and _, with neither of these last",
        ),
        (
            V + "adapters: [{name: x, kind: bare, config: {a: 1}}]",
            '2:43: adapters[0].config: unknown key "a"; known: none',
        ),
        (V + "adapters: [{name: x}]", '2:12: adapters[0]: the key "kind" is missing'),
        (
            V + "startup: {sync_timeout: 30}",
            "2:25: startup.sync_timeout: expected a duration such "
            "as 250ms, 30s, 5m or 1h, found the number 30: it needs a unit",
        ),
        (V + "---\n" + V, "3:1: a second document begins here, where one is expected"),
    ],
)
def test_one_thing_that_is_wrong_is_one_finding(text, finding):
    assert [finding] == wrong(text)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:80", "localhost:15010"])
def test_loopback_needs_no_leave(address):
    settings = parsed(f"{V}xds: {{address: '{address}'}}\nadmin: {{address: '{address}'}}\n")
    assert (address, address) == (settings.xds.address, settings.admin.address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "1.2.3.4",
        "1.2.3.4:",
        ":1",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "::1:80",
        "[::1]",
        "[1.2.3.4]:80",
        "[fe80::1%eth0]:1",
        "host.example:80",
        "1.2.3.4:-1",
        "1.2.3.4:٥",
    ],
)
def test_what_is_no_address_is_refused(address):
    [finding] = wrong(f"{V}xds: {{address: '{address}', insecure: true}}\n")
    assert finding.startswith("2:16: xds.address: expected IP:PORT, such as")


def test_sections_without_content_are_as_if_they_were_not_there():
    text = V + "mesh:\nadapters:\nxds:\nadmin:\nstate_dir:\nstartup:\nbatch:\n"
    assert parsed(V) == parsed(text)


def test_the_state_directory_comes_from_systemd_unless_it_is_set():
    assert Path("/var/lib/a") == parsed(V, STATE_DIRECTORY="/var/lib/a:/var/lib/b").state_dir
    assert Path("/b") == parsed(V + "state_dir: /b", STATE_DIRECTORY="/var/lib/a").state_dir


def test_a_file_is_read_and_its_folder_is_what_paths_are_relative_to(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    file = tmp_path / "conf" / "pilot.yaml"
    file.write_text(V + "state_dir: state\n")
    monkeypatch.chdir(tmp_path)
    settings = load.load("conf/pilot.yaml", adapter_types=adapter_types)
    assert tmp_path / "conf" / "state" == settings.state_dir


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path):
    missing = tmp_path / "pilot.yaml"

    def loading() -> None:
        load.load(missing, adapter_types=adapter_types)

    assert [f"{missing}: cannot be read: No such file or directory"] == findings_of(loading)
    missing.mkdir()
    assert [f"{missing}: cannot be read: Is a directory"] == findings_of(loading)


def test_a_file_that_is_too_large_is_no_configuration(tmp_path):
    file = tmp_path / "pilot.yaml"
    file.write_bytes(b"#" * (load.MAX_BYTES + 1))
    assert [f"{file}: larger than 1 MiB: no configuration file"] == findings_of(
        lambda: load.load(file, adapter_types=adapter_types)
    )


KEYS = st.sampled_from(["adapters", "name", "kind", "config", "xds", "address", "mesh", "url"])
TEXTS = st.sampled_from(["tree", "bare", "a", "${HOME}", "127.0.0.1:0"]) | st.text(max_size=5)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9).map(str) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(TREES | st.fixed_dictionaries({"adapters": st.lists(TREES, max_size=3)}))
def test_no_configuration_raises_anything_but_a_config_error(tree):
    text = json.dumps(
        {"apiVersion": "pilot-core/v1", "rest": tree} | (tree if isinstance(tree, dict) else {})
    )
    wrong(text)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_config_error(content):
    wrong(content)
