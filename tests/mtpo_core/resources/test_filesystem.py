"""The file tree: names, values, listings, undo data and the audit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo_core.resources import ResourceError
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.names import ROOT, child, file_name, is_listing, last, listing_name, parent
from mtpo_core.tools import listing_names, listing_value


@pytest.fixture
def tree(tmp_path: Path) -> FileSystem:
    (tmp_path / "deploy" / "eu").mkdir(parents=True)
    (tmp_path / "deploy" / "geo.yaml").write_text("image: v1\n")
    (tmp_path / "deploy" / "eu" / "rate.yaml").write_text("image: v2\n")
    (tmp_path / "README").write_bytes(b"\xff\x00")
    return FileSystem(tmp_path)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a", "a"), ("./a//b", "a/b"), ("a/./b.txt", "a/b.txt"), ("a b/ü", "a b/ü"), ("a\\b", "a\\b"), ("...", "...")],
)
def test_a_path_becomes_a_canonical_name(path: str, name: str) -> None:
    assert file_name(path) == name
    assert listing_name(path) == listing_name(path + "/") == name + "/"


@pytest.mark.parametrize(
    "path",
    ["", ".", "./", "/etc/passwd", "..", "../a", "a/../b", "a/", ".git/config", "a/.GIT/x", "git:refs/heads/main",
     "a\nb", "a\x00b", "\udcff", ".mtpo-1~"],
)  # fmt: skip
def test_a_path_that_escapes_or_is_reserved_is_refused_by_name(path: str) -> None:
    with pytest.raises(ResourceError) as refusal:
        file_name(path)
    assert repr(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_root_has_several_spellings_and_one_name() -> None:
    assert {listing_name(path) for path in ("", ".", "./")} == {ROOT}
    with pytest.raises(ResourceError, match="absolute"):
        listing_name("/")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1), min_size=1, max_size=4))
def test_parent_and_last_take_a_name_apart_and_child_joins_it(parts: list[str]) -> None:
    for object in ("/".join(parts), "/".join(parts) + "/"):
        assert child(parent(object), last(object)) == object
        assert is_listing(parent(object))


@given(st.sets(st.text(st.characters(codec="utf-8", exclude_characters="\n/"), min_size=1)))
def test_a_listing_holds_any_names(names: set[str]) -> None:
    assert set(listing_names(listing_value(names))) == names


def test_reading(tree: FileSystem) -> None:
    assert tree.read("deploy/geo.yaml") == b"image: v1\n"
    assert tree.read("deploy/") == b"eu/\ngeo.yaml\n"
    assert tree.read(ROOT) == b"README\ndeploy/\n"
    assert tree.read("absent") is tree.read("absent/") is tree.read("README/x") is tree.read("README/") is None
    assert tree.read("deploy") is None, "a directory is the object deploy/"
    assert tree.objects() == {ROOT, "README", "deploy/", "deploy/geo.yaml", "deploy/eu/", "deploy/eu/rate.yaml"}
    assert tree.fingerprint().tokens.keys() == tree.objects()


def test_a_name_that_is_not_canonical_is_refused(tree: FileSystem) -> None:
    with pytest.raises(ResourceError, match="canonical"):
        tree.read("deploy//geo.yaml")


def test_directories_come_and_go_with_their_files(tree: FileSystem) -> None:
    tree.write("new/deep/file", b"")
    assert tree.read("new/") == b"deep/\n"
    tree.delete("new/deep/file")
    assert tree.read("new/") is None
    assert not (tree.root / "new").exists()


def test_an_empty_directory_is_no_object_and_gives_way_to_a_file(tree: FileSystem) -> None:
    (tree.root / "hollow" / "deep").mkdir(parents=True)
    assert b"hollow" not in (tree.read(ROOT) or b"")
    assert "hollow/" not in tree.objects()
    tree.write("hollow", b"now a file")
    assert tree.read("hollow") == b"now a file"


@pytest.mark.parametrize("path", ["deploy", "README/below"])
def test_a_file_and_a_directory_do_not_share_a_name(tree: FileSystem, path: str) -> None:
    before = tree.fingerprint()
    with pytest.raises(ResourceError, match="can't be written"):
        tree.write(path, b"x")
    assert not tree.changed_since(before)


def test_links_are_neither_listed_nor_followed(tree: FileSystem, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("s")
    (tree.root / "way").symlink_to(outside)
    (tree.root / "alias").symlink_to(tree.root / "README")
    assert tree.read(ROOT) == b"README\ndeploy/\n"
    for attempt in ("way/secret", "alias"):
        with pytest.raises(ResourceError, match="symbolic link"):
            tree.read(attempt)
        with pytest.raises(ResourceError, match="symbolic link"):
            tree.write(attempt, b"x")
    assert (outside / "secret").read_text() == "s"


def test_what_is_not_a_regular_file_is_no_object(tree: FileSystem) -> None:
    os.mkfifo(tree.root / "pipe")
    assert "pipe" not in tree.objects()
    with pytest.raises(ResourceError, match="'pipe' is not a regular file"):
        tree.read("pipe")


def test_ignored_names_are_no_objects(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x").write_text("1")
    tree = FileSystem(tmp_path, ignore=["cache"])
    assert tree.objects() == {ROOT}
    with pytest.raises(ResourceError, match="ignored"):
        tree.write("cache/x", b"2")


def test_a_missing_root_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="not a directory"):
        FileSystem(tmp_path / "absent")


def test_a_write_that_a_crash_cut_short_is_swept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".mtpo-0123456789ab~").write_text("half")
    tree = FileSystem(tmp_path)
    assert tree.objects() == {ROOT}
    assert not list((tmp_path / "a").iterdir())


def test_modes_survive_writes_and_restores(tree: FileSystem) -> None:
    script = tree.root / "run.sh"
    tree.write("run.sh", b"1", mode=0o755)
    tree.write("run.sh", b"2")
    assert tree.mode("run.sh") == 0o755
    undo = tree.capture(["run.sh"])
    tree.delete("run.sh")
    tree.restore("run.sh", b"2")
    assert script.stat().st_mode & 0o777 == 0o755
    tree.delete("run.sh")
    FileSystem(tree.root).reinstate(undo)
    assert script.stat().st_mode & 0o777 == 0o755


def test_capture_and_reinstate_swap_a_file_and_a_directory(tree: FileSystem) -> None:
    before = tree.fingerprint()
    undo = tree.capture(["deploy/geo.yaml", "deploy/eu/rate.yaml", "deploy", "deploy/"])
    tree.delete("deploy/geo.yaml")
    tree.delete("deploy/eu/rate.yaml")
    tree.write("deploy", b"a file now")
    assert tree.changed_since(before) == {
        "deploy",
        "deploy/",
        "deploy/geo.yaml",
        "deploy/eu/",
        "deploy/eu/rate.yaml",
        ROOT,
    }
    for _ in range(2):
        tree.reinstate(undo)
        assert not tree.changed_since(before)


@pytest.mark.parametrize("undo", [b"", b"[]", b'{"a": 3}', b'{"a": ["!", 1]}', b"\xff"])
def test_foreign_undo_data_is_refused(tree: FileSystem, undo: bytes) -> None:
    before = tree.fingerprint()
    with pytest.raises(ResourceError, match="undo data"):
        tree.reinstate(undo)
    assert not tree.changed_since(before)


def test_the_audit_sees_what_someone_else_does(tree: FileSystem) -> None:
    before = tree.fingerprint()
    (tree.root / "deploy" / "geo.yaml").write_text("image: v9\n")
    (tree.root / "deploy" / "extra").write_text("")
    (tree.root / "deploy" / "eu" / "rate.yaml").unlink()
    changed = tree.changed_since(before)
    assert changed == {"deploy/geo.yaml", "deploy/extra", "deploy/", "deploy/eu/", "deploy/eu/rate.yaml"}


def test_a_change_that_keeps_size_and_time_stamp_is_seen(tree: FileSystem) -> None:
    path = tree.root / "deploy" / "geo.yaml"
    for value in ("image: v3\n", "image: v4\n", "image: v5\n"):
        before = tree.fingerprint()
        times = path.stat()
        with path.open("r+") as file:
            file.write(value)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert tree.changed_since(before) == {"deploy/geo.yaml"}


def test_touching_a_file_is_no_change(tree: FileSystem) -> None:
    before = tree.fingerprint()
    os.utime(tree.root / "README", ns=(1, 1))
    tree.write("README", b"\xff\x00")
    assert not tree.changed_since(before)


def test_repair_puts_back_what_it_knows_and_names_the_rest(tree: FileSystem) -> None:
    before = tree.fingerprint()
    values = {object: tree.read(object) for object in tree.objects()}
    tree.write("deploy/geo.yaml", b"x")
    tree.delete("README")
    tree.write("new/file", b"y")
    changed = tree.changed_since(before)
    assert tree.repair(changed, values) == {"new/file"}
    assert tree.repair(changed, {**values, "new/file": None}) == frozenset()
    assert not tree.changed_since(before)


names = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "f/a"])
states = st.dictionaries(names, st.binary(max_size=3), max_size=5)


@given(first=states, second=states)
def test_any_state_can_be_reached_from_any_other(
    first: dict[str, bytes], second: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = FileSystem(tmp_path_factory.mktemp("tree"))
    for object, value in first.items():
        tree.write(object, value)
    values = {object: tree.read(object) for object in tree.objects()}
    before = tree.fingerprint()
    for object in first.keys() | second.keys():
        tree.restore(object, second.get(object))
    assert {o: tree.read(o) for o in tree.objects() if not is_listing(o)} == second
    differing = {o for o in tree.objects() | values.keys() if tree.read(o) != values.get(o)}
    assert tree.changed_since(before) == differing
    tree.repair(differing, {o: values.get(o) for o in differing})
    assert not tree.changed_since(before)
