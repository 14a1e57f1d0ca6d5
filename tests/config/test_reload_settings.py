from __future__ import annotations

from pathlib import Path

from kinds import adapter_types
from pilot_core.config import load
from pilot_core.config.reload import Changes, compare
from pilot_core.config.schema import Settings


def settings(*adapters: str, more: str = "") -> Settings:
    """An adapter is `NAME` or `NAME URL`."""
    lines = ["apiVersion: pilot-core/v1", "adapters:"]
    for adapter in adapters:
        name, _, url = adapter.partition(" ")
        lines.append(f"- {{name: {name}, kind: tree, config: {{url: '{url or 'x'}'}}}}")
    text = "\n".join(lines) + "\n" + more
    return load.parse(text, Path("/pilot.yaml"), adapter_types=adapter_types, environment={})


def test_equal_settings_change_nothing():
    changes = compare(settings("a", "b"), settings("a", "b", more="# only a comment\n"))
    assert Changes(keep=("a", "b")) == changes
    assert changes.is_empty


def test_adapters_start_stop_and_begin_anew_by_name():
    changes = compare(settings("a", "b", "c"), settings("b y", "c", "d"))
    assert Changes(start=("d",), stop=("a",), restart=("b",), keep=("c",)) == changes
    assert not changes.is_empty


def test_a_new_order_is_a_change_of_precedence():
    assert Changes(keep=("a", "b"), reorder=True) == compare(settings("a", "b"), settings("b", "a"))


def test_a_newcomer_in_front_does_not_change_the_order_of_the_others():
    changes = compare(settings("a", "b"), settings("n", "a", "b"))
    assert Changes(start=("n",), keep=("a", "b")) == changes


def test_what_needs_a_restart_is_named():
    new = settings(
        "a",
        more="xds: {address: '127.0.0.1:1'}\nadmin: {token_file: /t}\nstate_dir: /s\n"
        "mesh: {trust_domain: other}\nbatch: {quiet: 1ms}\nstartup: {sync_timeout: 1s}\n",
    )
    changes = compare(settings("a"), new)
    assert (
        "mesh.trust_domain",
        "xds.address",
        "admin.token_file",
        "startup.sync_timeout",
        "batch.quiet",
        "state_dir",
    ) == changes.needs_restart
    assert not changes.is_empty
