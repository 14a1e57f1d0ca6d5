"""Which files the configured paths stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilot_core.builtin import survey
from pilot_core.builtin.survey import Survey


def names(found: Survey, folder: Path) -> list[str]:
    return [str(Path(name).relative_to(folder)) for name in found.files]


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))


def test_a_folder_stands_for_the_catalogue_files_in_it_and_below(tmp_path):
    write(*(tmp_path / n for n in ("b.yaml", "a.yml", "c.json", "d.txt", "x/e.yaml", "x/y/f.yaml")))

    found = survey.take([tmp_path])

    assert ["a.yml", "b.yaml", "c.json", "x/e.yaml", "x/y/f.yaml"] == names(found, tmp_path)
    watched = {path for path, _, _ in found.folders}
    assert {str(tmp_path / n) for n in (".", "x", "x/y")} == watched - {str(tmp_path.parent)}


def test_hidden_names_are_left_out(tmp_path):
    write(tmp_path / ".a.yaml", tmp_path / ".git" / "b.yaml", tmp_path / "..data" / "c.yaml")

    assert {} == survey.take([tmp_path]).files


def test_a_named_file_may_have_any_name(tmp_path):
    write(tmp_path / ".mesh.conf")

    assert [".mesh.conf"] == names(survey.take([tmp_path / ".mesh.conf"]), tmp_path)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*/mesh.yaml", ["a/mesh.yaml", "b/mesh.yaml"]),
        ("**/mesh.yaml", ["a/deep/mesh.yaml", "a/mesh.yaml", "b/mesh.yaml"]),
        ("[a]/*", ["a/deep/mesh.yaml", "a/mesh.yaml", "a/other.txt"]),
        ("none/*.yaml", []),
    ],
)
def test_patterns_stand_for_what_matches(tmp_path, pattern, wanted):
    write(
        *(tmp_path / n for n in ("a/mesh.yaml", "b/mesh.yaml", "a/deep/mesh.yaml", "a/other.txt"))
    )

    found = survey.take([tmp_path / pattern])

    assert wanted == names(found, tmp_path)
    assert (frozenset(), {}) == (found.missing, found.troubles)


def test_one_file_has_one_name_however_it_is_reached(tmp_path):
    write(tmp_path / "b.yaml")
    os.link(tmp_path / "b.yaml", tmp_path / "a.yaml")
    (tmp_path / "c.yaml").symlink_to("b.yaml")
    (tmp_path / "again").symlink_to(".")

    found = survey.take([tmp_path, tmp_path / "b.yaml", tmp_path / "*.yaml"])

    assert ["a.yaml"] == names(found, tmp_path)
    assert {str(tmp_path / n) for n in ("b.yaml", "c.yaml")} == found.doubles


def test_what_does_not_exist_is_missing_and_its_nearest_folder_watched(tmp_path):
    found = survey.take([tmp_path / "not" / "yet"])

    assert {str(tmp_path / "not" / "yet")} == found.missing
    assert {str(tmp_path)} == {path for path, _, _ in found.folders}


def test_a_link_that_leads_nowhere_in_a_folder_is_nothing(tmp_path):
    (tmp_path / "a.yaml").symlink_to("missing")

    found = survey.take([tmp_path])

    assert ({}, {}, frozenset()) == (found.files, found.troubles, found.missing)


def test_what_cannot_be_looked_at_is_named(tmp_path):
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")

    found = survey.take([tmp_path])

    assert {
        str(tmp_path / "circle.yaml"): "cannot be looked at: Too many levels of symbolic links",
        str(tmp_path / "pipe.yaml"): "is no file",
    } == found.troubles


def test_depth_has_an_end(tmp_path):
    write(tmp_path.joinpath(*"abcdefgh", "near.yaml"), tmp_path.joinpath(*["d"] * 30, "far.yaml"))

    assert ["a/b/c/d/e/f/g/h/near.yaml"] == names(survey.take([tmp_path]), tmp_path)


def test_a_stamp_tells_a_file_from_its_successor(tmp_path):
    path = tmp_path / "a.yaml"
    write(path)
    before = survey.take([path]).files[str(path)]
    assert before == survey.take([path]).files[str(path)]

    beside = tmp_path / "new"
    write(beside)
    os.utime(beside, ns=(before.modified, before.modified))
    beside.rename(path)
    assert before != survey.take([path]).files[str(path)]


def test_gone_is_told_from_out_of_reach(tmp_path):
    write(tmp_path / "there.yaml")
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    (tmp_path / "folder.yaml").mkdir()
    gone = {n: survey.is_gone(str(tmp_path / f"{n}.yaml")) for n in ("there", "circle", "folder")}

    assert {"there": False, "circle": False, "folder": True} == gone
    assert survey.is_gone(str(tmp_path / "missing.yaml"))
    assert survey.is_gone(str(tmp_path / "there.yaml" / "below"))
