"""Reloading: parse, check, compare, swap. What is equal is not touched, what is bad is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inside import Inside, inside
from mesh import document, free_port, http_get, mesh, service, until
from pilot_core.daemon import watch
from program import write_mesh


@pytest.fixture
async def daemon(tmp_path) -> AsyncIterator[Inside]:
    async with inside(write_mesh(tmp_path)) as made:
        yield made


def _replace(daemon: Inside, old: str, new: str) -> None:
    text = daemon.config.read_text()
    assert old in text
    daemon.config.write_text(text.replace(old, new))


async def _registries(daemon: Inside) -> dict[str, int]:
    return {r["name"]: r["sessions"] for r in await daemon.items("/api/v1/registries")}


def _more(daemon: Inside, name: str, folder: str) -> None:
    _replace(
        daemon,
        "adapters:\n",
        f"adapters:\n- {{name: {name}, kind: file, config: {{paths: [{folder}]}}}}\n",
    )


async def test_an_adapter_that_is_added_starts_and_the_others_are_not_touched(daemon, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.yaml").write_text("services: [{hostname: added.mesh}]\n")
    _more(daemon, "more", "more")
    await daemon.reloader.reload()

    async def added() -> bool:
        return (await daemon.get("/api/v1/services/added.mesh"))[0] == 200

    await until(added, "the new adapter's service")
    assert {"more": 1, "files": 1} == await _registries(daemon)


async def test_an_adapter_that_is_removed_takes_its_services_along(daemon):
    _replace(daemon, "adapters:\n- {name: files, kind: file, config: {paths: [catalogue]}}\n", "")
    await daemon.reloader.reload()

    async def gone() -> bool:
        return await daemon.items("/api/v1/services") == []

    await until(gone, "its services to be gone")
    assert {} == await _registries(daemon)


async def test_an_adapter_whose_settings_differ_begins_a_new_session(daemon, tmp_path):
    (tmp_path / "catalogue" / "shop.yaml").rename(tmp_path / "moved.yaml")
    _replace(daemon, "paths: [catalogue]", "paths: [moved.yaml]")
    await daemon.reloader.reload()

    async def moved() -> bool:
        [first, *_] = await daemon.items("/api/v1/services/reviews.shop.mesh/endpoints")
        return str(first["source"]).endswith("/moved.yaml")

    await until(moved, "the endpoints to come from the new file")


async def test_what_needs_a_restart_is_named_until_it_is_changed_back(daemon):
    _replace(daemon, 'xds: {address: "127.0.0.1:0"}', 'xds: {address: "127.0.0.1:15010"}')
    await daemon.reloader.reload()
    [shown] = [p for p in await daemon.items("/api/v1/problems") if p["code"] == "restart-needed"]
    _replace(daemon, 'xds: {address: "127.0.0.1:15010"}', 'xds: {address: "127.0.0.1:0"}')
    await daemon.reloader.reload()

    assert ("xds.address", str(daemon.config)) == (shown["object"], shown["origin"])
    assert "takes effect at the next start" in shown["message"]
    assert "restart-needed" not in await daemon.codes()


@pytest.mark.parametrize(
    "bad",
    ["adapters: 5\n", "a: [\n", "", "\0", "apiVersion: pilot-core/v1\nadapters: [{kind: x}]\n"],
    ids=["type", "yaml", "empty", "byte", "plugin"],
)
async def test_a_bad_file_changes_nothing_and_is_a_problem_until_it_is_mended(daemon, bad):
    good = daemon.config.read_text()
    before = await daemon.items("/api/v1/services")
    daemon.config.write_text(bad)
    await daemon.reloader.reload()
    shown = [p for p in await daemon.items("/api/v1/problems") if p["code"] == "config-invalid"]
    kept = await daemon.items("/api/v1/services"), await _registries(daemon)
    daemon.config.write_text(good)
    await daemon.reloader.reload()

    assert shown
    assert all(p["severity"] == "error" for p in shown)
    assert all(p["origin"].startswith(f"{daemon.config}:") for p in shown)
    assert all("the configuration in use stays" in p["message"] for p in shown)
    assert (before, {"files": 1}) == kept
    assert "config-invalid" not in await daemon.codes()


async def test_a_file_that_vanishes_changes_nothing(daemon):
    daemon.config.unlink()
    await daemon.reloader.reload()

    [shown] = [p for p in await daemon.items("/api/v1/problems") if p["code"] == "config-invalid"]
    assert "cannot be read: No such file" in shown["message"]
    assert {"files": 1} == await _registries(daemon)


async def test_reloads_are_counted_by_what_came_of_them(daemon):
    await daemon.reloader.reload()
    _replace(daemon, "kind: file", "kind: file, max_drop: 0.9")
    await daemon.reloader.reload()
    daemon.config.write_text("a: [")
    await daemon.reloader.reload()

    _, page = await daemon.get("/metrics")
    for result in ("equal", "changed", "refused"):
        assert f'pilot_config_reloads{{result="{result}"}} 1.0' in page


async def _changed(config, before: bytes | None, write: Any) -> bool:
    """Whether the watch tells of what `write` does."""
    told = asyncio.Event()
    following = asyncio.create_task(watch.follow(config, before, told))
    try:
        write()
        async with asyncio.timeout(30):
            await told.wait()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return told.is_set()


async def test_a_file_that_is_written_in_place_is_noticed(tmp_path):
    config = tmp_path / "pilot.yaml"
    config.write_text("one")

    assert await _changed(config, b"one", lambda: config.write_text("two"))


async def test_a_file_that_an_editor_replaces_is_noticed(tmp_path):
    config = tmp_path / "pilot.yaml"
    config.write_text("one")
    (tmp_path / "new").write_text("two")

    assert await _changed(config, b"one", lambda: (tmp_path / "new").rename(config))


async def test_a_folder_behind_a_link_that_is_exchanged_is_noticed(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pilot.yaml").write_text(name)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "pilot.yaml").symlink_to("data/pilot.yaml")

    def exchange() -> None:
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "data")

    assert await _changed(tmp_path / "pilot.yaml", b"one", exchange)


async def test_what_was_written_before_the_watch_began_is_noticed(tmp_path):
    config = tmp_path / "pilot.yaml"
    config.write_text("two")

    assert await _changed(config, b"one", lambda: None)


@pytest.mark.envoy
async def test_equal_puts_and_equal_reloads_push_nothing_to_a_real_envoy():
    async with mesh() as stage:
        text = document(service("reviews.shop.mesh", ["127.0.0.1:9"]))
        stage.write("shop.yaml", text)
        daemon = await stage.daemon()
        listener = f"127.0.0.1:{free_port()}"
        await stage.envoy(daemon, "web", "--http-listener", listener)

        async def synced() -> bool:
            [proxy] = await daemon.items("/api/v1/proxies")
            types = ("CDS", "LDS", "EDS", "RDS")
            return all((proxy["types"][t] or {}).get("state") == "synced" for t in types)

        async def reloads() -> str:
            _, page = await http_get(daemon.admin, "/metrics")
            lines = page.decode().splitlines()
            return next((x for x in lines if x.startswith("pilot_config_reloads{")), "")

        await until(synced, "the proxy to be in sync")
        before = await _pushes(daemon)
        # The same content in other words is an equal put; a comment is an equal reload.
        stage.write("shop.yaml", "# said anew\n" + text)
        daemon.config.write_text(daemon.config.read_text() + "# the same\n")
        reloaded = await until(reloads, "the configuration to be read again")
        # What comes behind them is pushed, and only that.
        stage.write("shop.yaml", text.replace("main: 9}", "main: 10}"))

        async def pushed() -> bool:
            return await _pushes(daemon) != before

        await until(pushed, "a change that is one")
        after = await _pushes(daemon)

    assert 'pilot_config_reloads{result="equal"} 1.0' == reloaded
    assert {**before, "EDS": before["EDS"] + 1} == after


async def _pushes(daemon: Any) -> dict[str, float]:
    _, page = await http_get(daemon.admin, "/metrics")
    lines = [x for x in page.decode().splitlines() if x.startswith("pilot_xds_pushes{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}
