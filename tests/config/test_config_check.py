from __future__ import annotations

from pathlib import Path

from kinds import adapter_types
from pilot_core.config import check


def checked(file: Path, text: str) -> list[str]:
    file.write_text("apiVersion: pilot-core/v1\n" + text)
    return [str(f) for f in check.check(file, adapter_types=adapter_types, environment={})]


def test_a_sound_configuration_has_no_findings(tmp_path):
    assert [] == checked(tmp_path / "p.yaml", "adapters: [{name: a, kind: bare}]\n")


def test_what_is_wrong_with_the_configuration_is_found(tmp_path):
    file = tmp_path / "p.yaml"
    assert [f'{file}:2:1: unknown key "x"; known: {KEYS}'] == checked(file, "x: 1\n")


KEYS = "adapters, admin, apiVersion, batch, identity, mesh, startup, state_dir, xds"


def test_adapters_check_their_local_files(tmp_path):
    file = tmp_path / "p.yaml"
    text = "adapters: [{name: a, kind: tree, config: {url: bad, folders: [x, y/bad]}}]\n"
    assert [
        f"{file}:2:42: adapter a: the URL is bad",
        f"{tmp_path}/y/bad:3:1: is bad",
    ] == checked(file, text)


def test_the_admin_token_has_to_be_there(tmp_path):
    file, token = tmp_path / "p.yaml", tmp_path / "token"
    text = "admin: {address: '0.0.0.0:0', token_file: token}\n"
    missing = f"{file}:2:43: admin.token_file: {token}: No such file or directory"
    assert [missing] == checked(file, text)
    token.write_text("\n")
    assert [f"{file}:2:43: admin.token_file: {token} is empty"] == checked(file, text)
    token.write_text("secret\n")
    assert [] == checked(file, text)
