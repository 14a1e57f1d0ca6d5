from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilot_core.builtin.file import File, FileConfig
from pilot_core.testing import RecordingSink, host, session


def text(*hostnames: str, address: str = "10.0.0.1") -> str:
    entries = "".join(
        f"- {{hostname: {h}, ports: [{{name: http, number: 80}}], "
        f"endpoints: [{{address: {address}}}]}}\n"
        for h in hostnames
    )
    return "services:\n" + entries if hostnames else "services: []\n"


def adapter(*paths: Path | str) -> File:
    return File(FileConfig(paths=tuple(Path(p) for p in paths)), host())


def has(sink: RecordingSink, *hostnames: str):
    return lambda: sink.hostnames == sorted(hostnames)


def replace(path: Path, content: str) -> None:
    """As careful programs do: written beside, then moved over."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(content)
    beside.rename(path)


async def test_the_files_of_a_folder_are_put_one_source_each_and_then_it_is_synced(tmp_path):
    (tmp_path / "a.yaml").write_text(text("a.mesh"))
    (tmp_path / "b.yml").write_text(text("b.mesh"))
    (tmp_path / "c.json").write_text('{"services": [{"hostname": "c.mesh"}]}')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.yaml").write_text(text("d.mesh"))
    (tmp_path / "readme.txt").write_text("no catalogue")
    (tmp_path / ".hidden.yaml").write_text(text("hidden.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert {str(tmp_path / n) for n in ("a.yaml", "b.yml", "c.json", "sub/d.yaml")} == set(
            sink.sources
        )
        assert ["a.mesh", "b.mesh", "c.mesh", "d.mesh"] == sink.hostnames
        assert [] == sink.problems


async def test_an_empty_folder_is_synced_too(tmp_path):
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert {} == sink.sources


async def test_records_know_their_place(tmp_path):
    (tmp_path / "a.yaml").write_text(text("a.mesh", "b.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        records = sink.sources[str(tmp_path / "a.yaml")]
        assert [f"{tmp_path}/a.yaml:{n}:3" for n in (2, 2, 3, 3)] == [
            record.origin.place for record in records
        ]


@pytest.mark.parametrize("write", [Path.write_text, replace], ids=["in place", "moved over"])
async def test_a_changed_file_is_read_again_and_the_others_are_not(tmp_path, write):
    (tmp_path / "a.yaml").write_text(text("a.mesh"))
    (tmp_path / "b.yaml").write_text(text("b.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        sink.puts.clear()
        write(tmp_path / "a.yaml", text("a.mesh", address="10.0.0.2"))
        await sink.until(lambda: sink.addresses("a.mesh") == ["10.0.0.2"])
        write(tmp_path / "a.yaml", text("a.mesh", address="10.0.0.3"))
        await sink.until(lambda: sink.addresses("a.mesh") == ["10.0.0.3"])
        assert {str(tmp_path / "a.yaml")} == set(sink.puts)


async def test_files_may_come_and_go(tmp_path):
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        (tmp_path / "a.yaml").write_text(text("a.mesh"))
        await sink.until(has(sink, "a.mesh"))
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "b.yaml").write_text(text("b.mesh"))
        await sink.until(has(sink, "a.mesh", "b.mesh"))
        (tmp_path / "a.yaml").unlink()
        await sink.until(has(sink, "b.mesh"))
        assert [{str(tmp_path / "a.yaml")}] == sink.sweeps


async def test_a_file_that_is_renamed_keeps_its_services_on_the_way(tmp_path):
    (tmp_path / "a.yaml").write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        gaps = []
        (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")

        def renamed() -> bool:
            gaps.append(not sink.hostnames)
            return list(sink.sources) == [str(tmp_path / "b.yaml")]

        await sink.until(renamed)
        assert not any(gaps)


async def test_an_editor_that_moves_the_old_file_away_first_makes_no_gap(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        path.rename(tmp_path / "a.yaml~")
        path.write_text(text("a.mesh", "b.mesh"))
        await sink.until(has(sink, "a.mesh", "b.mesh"))
        assert [] == sink.sweeps


async def test_a_folder_that_does_not_exist_yet_is_waited_for(tmp_path):
    folder = tmp_path / "not" / "yet"
    async with session(adapter(folder)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert [(str(folder), "does not exist: nothing is read from it")] == sink.problems
        folder.mkdir(parents=True)
        (folder / "a.yaml").write_text(text("a.mesh"))
        await sink.until(has(sink, "a.mesh"))
        assert [] == sink.problems


async def test_a_folder_may_be_replaced_as_a_whole(tmp_path):
    folder, other = tmp_path / "live", tmp_path / "next"
    for each, name in ((folder, "a.mesh"), (other, "b.mesh")):
        each.mkdir()
        (each / "x.yaml").write_text(text(name))
    async with session(adapter(folder)) as sink:
        await sink.until(has(sink, "a.mesh"))
        folder.rename(tmp_path / "old")
        other.rename(folder)
        await sink.until(has(sink, "b.mesh"))
        (folder / "x.yaml").write_text(text("c.mesh"))
        await sink.until(has(sink, "c.mesh"))


async def test_the_swap_of_links_in_a_mounted_volume_is_one_change(tmp_path):
    """As mounted configuration comes: files are links through `..data`, which is swapped."""
    for version, name in (("..v1", "a.mesh"), ("..v2", "b.mesh")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "shop.yaml").write_text(text(name))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "shop.yaml").symlink_to("..data/shop.yaml")
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh"))
        (tmp_path / "..tmp").symlink_to("..v2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        await sink.until(has(sink, "b.mesh"))
        assert [str(tmp_path / "shop.yaml")] == list(sink.sources)


async def test_a_file_behind_a_link_is_followed_where_it_lies(tmp_path):
    folder, elsewhere = tmp_path / "conf", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "real.yaml").write_text(text("a.mesh"))
    (folder / "link.yaml").symlink_to(elsewhere / "real.yaml")
    async with session(adapter(folder)) as sink:
        await sink.until(has(sink, "a.mesh"))
        replace(elsewhere / "real.yaml", text("b.mesh"))
        await sink.until(has(sink, "b.mesh"))


async def test_one_file_and_patterns_can_be_named(tmp_path):
    for team in ("red", "blue"):
        (tmp_path / "teams" / team).mkdir(parents=True)
        (tmp_path / "teams" / team / "mesh.yaml").write_text(text(f"{team}.mesh"))
        (tmp_path / "teams" / team / "other.yaml").write_text("x: [")
    (tmp_path / "one.conf").write_text(text("one.mesh"))
    paths = (tmp_path / "teams" / "*" / "mesh.yaml", tmp_path / "one.conf")
    async with session(adapter(*paths)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["blue.mesh", "one.mesh", "red.mesh"] == sink.hostnames
        (tmp_path / "teams" / "green").mkdir()
        (tmp_path / "teams" / "green" / "mesh.yaml").write_text(text("green.mesh"))
        await sink.until(has(sink, "blue.mesh", "green.mesh", "one.mesh", "red.mesh"))


async def test_a_file_with_two_names_is_one_source(tmp_path):
    (tmp_path / "a.yaml").write_text(text("a.mesh"))
    os.link(tmp_path / "a.yaml", tmp_path / "b.yaml")
    (tmp_path / "c.yaml").symlink_to("a.yaml")
    async with session(adapter(tmp_path, tmp_path / "a.yaml")) as sink:
        await sink.until(lambda: sink.is_synced)
        assert [str(tmp_path / "a.yaml")] == list(sink.sources)
        (tmp_path / "a.yaml").unlink()
        await sink.until(lambda: list(sink.sources) == [str(tmp_path / "b.yaml")])


# Faults


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"services: [", ":2:1", "not YAML: "),
        (b"\x00\xff\xfe\x80" * 1000, ":1:2", "not text: byte 0xff is not UTF-8"),
        (b"\x7fELF\x01", ":1:1", "not YAML: character U+007F is not allowed"),
        (b"just words", ":1:1", "expected a mapping with the key services"),
        (b"servces: []", ":1:1", 'unknown key "servces", did you mean "services"?'),
        (b"services: 5", ":1:11", "services: expected a list, found the number 5"),
        (b"[" * 100_000, "", "nest"),
        (b"#" * (64 * 1024 * 1024 + 1), "", "larger than 64 MiB"),
    ],
    ids=["half", "garbage", "binary", "words", "unknown", "wrong", "deep", "huge"],
)
async def test_a_file_that_cannot_be_read_keeps_what_it_last_gave(tmp_path, content, place, words):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh"))
        path.write_bytes(content)
        await sink.until(lambda: sink.problems)
        [(origin, problem)] = sink.problems
        assert origin.startswith(f"{path}{place}")
        assert words in problem
        assert ["a.mesh"] == sink.hostnames
        path.write_text(text("b.mesh"))
        await sink.until(has(sink, "b.mesh"))
        assert [] == sink.problems


async def test_a_broken_file_is_shown_with_its_newest_error_only(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh"))
        path.write_text("servces: []\n")
        await sink.until(lambda: sink.problems)
        path.write_text("# moved down\nservces: []\n")
        await sink.until(lambda: [f"{path}:2:1"] == [origin for origin, _ in sink.problems])


async def test_a_bad_entry_is_refused_alone_and_its_service_stays_as_it_was(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh", "b.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh", "b.mesh"))
        changed = text("a.mesh", "b.mesh", "c.mesh", address="10.0.0.2").splitlines()
        changed[1] = changed[1].replace("number: 80", "number: eighty")
        path.write_text("\n".join(changed))
        await sink.until(has(sink, "a.mesh", "b.mesh", "c.mesh"))
        assert (["10.0.0.1"], ["10.0.0.2"]) == (sink.addresses("a.mesh"), sink.addresses("b.mesh"))
        place = f"{path}:2:{changed[1].index('eighty') + 1}"
        await sink.until(lambda: sink.problems)
        assert [place] == [origin for origin, _ in sink.problems]


async def test_many_bad_entries_are_told_up_to_a_limit(tmp_path):
    (tmp_path / "a.yaml").write_text("services:\n" + "- {}\n" * 500)
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 201 == len(sink.problems)
        assert (str(tmp_path / "a.yaml"), "300 more entries are refused") in sink.problems


async def test_a_file_that_somebody_is_writing_is_read_when_it_is_finished(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh", "b.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh", "b.mesh"))
        seen = []
        with path.open("w") as writing:
            for line in text("a.mesh", "b.mesh", "c.mesh").splitlines(keepends=True):
                writing.write(line)
                writing.flush()
                other = f"o{len(seen)}.mesh"
                (tmp_path / "other.yaml").write_text(text(other))
                await sink.until(lambda name=other: name in sink.hostnames)
                seen.append({"a.mesh", "b.mesh"} <= set(sink.hostnames))
        await sink.until(lambda: "c.mesh" in sink.hostnames)
        assert all(seen)
        assert [] == sink.problems


async def test_a_file_that_is_truncated_and_written_again_is_never_empty(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh"))
        gaps = []
        for n in range(30):
            path.write_text(text("a.mesh", address=f"10.0.1.{n}"))

            def arrived(n: int = n) -> bool:
                gaps.append(not sink.hostnames)
                return sink.addresses("a.mesh") == [f"10.0.1.{n}"]

            await sink.until(arrived)
        assert not any(gaps)


async def test_links_that_lead_nowhere_or_in_circles_harm_nothing(tmp_path):
    folder = tmp_path / "all" / "mesh"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(text("a.mesh"))
    (folder / "nowhere.yaml").symlink_to("missing.yaml")
    (folder / "circle.yaml").symlink_to("circle.yaml")
    (folder / "up").symlink_to("..")
    (folder / "self").symlink_to(".")
    async with session(adapter(folder)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["a.mesh"] == sink.hostnames
        circle = folder / "circle.yaml"
        message = "cannot be looked at: Too many levels of symbolic links"
        assert (str(circle), message) in sink.problems


async def test_a_link_to_a_folder_above_brings_what_else_lies_there(tmp_path):
    for name in ("mesh", "beside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.yaml").write_text(text(f"{name}.mesh"))
    (tmp_path / "mesh" / "up").symlink_to("..")
    async with session(adapter(tmp_path / "mesh")) as sink:
        await sink.until(lambda: sink.is_synced)
        names = {str(tmp_path / "mesh" / n) for n in ("x.yaml", "up/beside/x.yaml")}
        assert names == set(sink.sources)


async def test_a_named_file_that_is_removed_gives_nothing_any_more(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    files = adapter(path)
    async with session(files) as sink:
        await sink.until(has(sink, "a.mesh"))
        path.unlink()
        await sink.until(lambda: not sink.sources)
        assert [(str(path), "does not exist: nothing is read from it")] == sink.problems


async def test_a_named_file_that_went_between_two_sessions_leaves_no_ghost(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    async with session(adapter(path)) as sink:
        await sink.until(has(sink, "a.mesh"))
    path.unlink()
    sink.next_session()
    async with session(adapter(path), sink):
        await sink.until(lambda: sink.is_synced)
        assert {} == sink.sources


async def test_a_file_that_cannot_be_looked_at_any_more_keeps_what_it_gave(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(has(sink, "a.mesh"))
        (tmp_path / "link").symlink_to("a.yaml")
        path.rename(tmp_path / "kept")
        path.symlink_to("a.yaml")
        await sink.until(lambda: sink.problems)
        assert ["a.mesh"] == sink.hostnames
        (tmp_path / "kept").rename(path)
        await sink.until(lambda: not sink.problems)
        assert ["a.mesh"] == sink.hostnames


async def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "a.yaml").write_text(text("a.mesh"))
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["a.mesh"] == sink.hostnames
        assert [(str(tmp_path / "pipe.yaml"), "is no file")] == sink.problems


# Sessions


async def test_the_next_session_is_told_everything_again(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text("a.mesh"))
    (tmp_path / "b.yaml").write_text(text("b.mesh"))
    files = adapter(tmp_path)
    async with session(files) as sink:
        await sink.until(lambda: sink.is_synced)
        path.write_text("services: [")
        await sink.until(lambda: sink.problems)
        problems = sink.problems
    (tmp_path / "b.yaml").unlink()
    async with session(files) as sink:
        await sink.until(lambda: sink.is_synced and sink.sources and sink.problems)
        assert ["a.mesh"] == [h for h in sink.hostnames if h == "a.mesh"]
        assert problems == sink.problems
        assert "b.mesh" not in sink.hostnames


async def test_a_broken_file_that_never_gave_anything_is_a_warning_and_no_put(tmp_path):
    (tmp_path / "a.yaml").write_text("services: [")
    async with session(adapter(tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ({}, 1) == (sink.sources, len(sink.problems))


def test_the_check_finds_all_that_is_wrong_in_the_files(tmp_path):
    (tmp_path / "a.yaml").write_text("services:\n- {}\n- {hostname: A b}\n")
    (tmp_path / "b.yaml").write_text("services: [")
    (tmp_path / "c.yaml").symlink_to("c.yaml")
    config = FileConfig(paths=(tmp_path, tmp_path / "missing"))
    words = sorted(str(finding) for finding in File.check(config))
    assert [
        f'{tmp_path}/a.yaml:2:3: services[0]: the key "hostname" is missing',
        f'{tmp_path}/a.yaml:3:14: services[1].hostname: "A b" is no hostname: labels of letters, '
        "digits, - and _ with dots between, and at most a `*.` in front",
        f"{tmp_path}/b.yaml:2:1: not YAML: while parsing a flow node "
        "did not find expected node content",
        f"{tmp_path}/c.yaml: cannot be looked at: Too many levels of symbolic links",
    ] == words
