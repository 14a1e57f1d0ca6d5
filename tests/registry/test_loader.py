from __future__ import annotations

import pytest

from distributions import ADAPTER, site
from pilot_core.builtin.file import File
from pilot_core.errors import PluginError
from pilot_core.registry import loader
from pilot_core.registry.loader import PluginState


@pytest.fixture
def installed(tmp_path):
    with site(tmp_path) as made:
        yield made


def refusal(kind: str) -> str:
    with pytest.raises(PluginError) as refused:
        loader.load(kind)
    return str(refused.value)


def shown(kind: str) -> list[loader.Plugin]:
    return [plugin for plugin in loader.installed() if plugin.name == kind]


def test_an_adapter_in_the_box_is_loaded():
    assert File is loader.load("file")
    [plugin] = shown("file")
    assert ("pilot-core", 1, PluginState.READY, None) == (
        plugin.distribution,
        plugin.contract,
        plugin.state,
        plugin.error,
    )


def test_an_installed_plugin_is_loaded_and_shown(installed):
    installed.install("pilot-adapter-tree", kind="tree")
    assert "Registry" == loader.load("tree").__name__
    assert [
        loader.Plugin("tree", "pilot-adapter-tree", "1.2", 1, PluginState.READY, None)
    ] == shown("tree")


def test_a_plugin_that_is_installed_while_we_run_is_found(installed):
    assert 'no adapter "tree"' in refusal("tree")
    installed.install("pilot-adapter-tree", kind="tree")
    assert "Registry" == loader.load("tree").__name__


def test_a_missing_plugin_is_named_with_what_is_there_and_what_to_install():
    said = refusal("nowhere")
    names = ", ".join(sorted({plugin.name for plugin in loader.installed()}))
    assert said.startswith(f'no adapter "nowhere" (installed: {names}); ')
    assert {"file", "http"} <= set(names.split(", "))
    assert said.endswith("try: pip install pilot-adapter-nowhere")
    assert refusal("flie").endswith('did you mean "file"?')


def test_two_plugins_of_one_name_are_an_error_that_names_both(installed):
    installed.install("one-tree", kind="tree")
    installed.install("other-tree", kind="tree")
    said = 'adapter "tree" is claimed by one-tree and other-tree: uninstall one of them'
    assert said == refusal("tree")
    assert [("one-tree", PluginState.BROKEN, said), ("other-tree", PluginState.BROKEN, said)] == [
        (p.distribution, p.state, p.error) for p in shown("tree")
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be"),
        ("raise OSError('no licence')", "OSError: no licence"),
        ("assert False, 'not on this machine'", "AssertionError: not on this machine"),
        ("import sys; sys.exit(4)", "SystemExit: 4"),
        ("this is no Python", "SyntaxError: invalid syntax"),
        ("Registri = 1", "AttributeError: module 'broken_tree' has no attribute 'Registry'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_the_reason_and_the_cure(
    installed, source, reason
):
    installed.install("broken-tree", source, kind="tree")
    said = refusal("tree")
    assert f'adapter "tree" of broken-tree cannot be loaded: {reason}' in said
    assert said.endswith("try: pip install --force-reinstall broken-tree")
    [plugin] = shown("tree")
    assert (PluginState.BROKEN, said) == (plugin.state, plugin.error)


@pytest.mark.parametrize("source", ["Registry = 7", "class Registry: ...", "def Registry(): ..."])
def test_what_is_no_adapter_is_said_to_be_none(installed, source):
    installed.install("odd-tree", source, kind="tree")
    assert 'adapter "tree" of odd-tree is odd_tree:Registry, which is no Adapter' == refusal("tree")


@pytest.mark.parametrize(("api", "cure"), [("2", "upgrade pilot-core"), ("0", "upgrade old-tree")])
def test_a_plugin_of_another_contract_is_told_who_has_to_move(installed, api, cure):
    installed.install("old-tree", ADAPTER.replace("api = 1", f"api = {api}"), kind="tree")
    said = refusal("tree")
    assert f"speaks contract {api}, this pilot-core speaks 1: {cure}" in said
    [plugin] = shown("tree")
    assert (PluginState.INCOMPATIBLE, said) == (plugin.state, plugin.error)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("api = 1", "api = 'one'"), "its api is 'one', not a number"),
        (("api = 1", "Config = dict"), "its Config is no pilot_core.adapter.Config"),
        (("api = 1", "Config = 7"), "its Config is no pilot_core.adapter.Config"),
        (("async def run", "async def ran"), "does not say how to run"),
    ],
)
def test_an_adapter_that_breaks_the_contract_is_told_which_part(installed, change, reason):
    installed.install("odd-tree", ADAPTER.replace(*change), kind="tree")
    assert reason in refusal("tree")


def test_one_broken_plugin_hides_no_other(installed):
    installed.install("broken-tree", "raise OSError", kind="broken")
    installed.install("pilot-adapter-tree", kind="tree")
    states = {plugin.name: plugin.state.value for plugin in loader.installed()}
    assert {"broken": "broken", "tree": "ready", "file": "ready"}.items() <= states.items()
