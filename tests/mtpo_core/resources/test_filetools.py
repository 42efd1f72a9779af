"""The file tools: results, refusals, footprints, and that each keeps its declaration in any state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import MATCHES, file_tools, touched_listings
from mtpo_core.toolcheck import check_tool
from mtpo_core.tools import Footprint, RecordingView, Toolbox, ToolCall, ToolError, WriteClass

TOOLS = Toolbox(file_tools())
STATE = {"README": b"hello\n", "deploy/geo.yaml": b"image: v1\n", "deploy/eu/rate.yaml": b"image: v2\nimage: v2\n"}


def tree_of(root: Path, state: dict[str, bytes]) -> FileSystem:
    tree = FileSystem(root)
    for object, value in state.items():
        tree.write(object, value)
    return tree


@pytest.fixture
def tree(tmp_path: Path) -> FileSystem:
    return tree_of(tmp_path, STATE)


def look(tree: FileSystem, name: str, **args: object) -> tuple[str, set[str]]:
    """The result of a read tool and the objects that it looked at."""
    tool, bound = TOOLS.bind(ToolCall(name, args))
    view = RecordingView(tree.read)
    text = tool.read(view, bound)
    assert tool.footprint(RecordingView(tree.read), bound) == Footprint(reads=view.reads)
    return text, set(view.reads)


def act(tree: FileSystem, name: str, **args: object) -> tuple[str, Footprint]:
    """The result of a write tool and its footprint, which holds every change."""
    tool, bound = TOOLS.bind(ToolCall(name, args))
    footprint = tool.footprint(RecordingView(tree.read), bound)
    before = tree.fingerprint()
    try:
        return tool.exec(tree, bound), footprint
    finally:
        assert tree.changed_since(before) <= footprint.writes


def test_reading(tree: FileSystem) -> None:
    assert look(tree, "list_dir") == ("README\ndeploy/", {"./"})
    assert look(tree, "list_dir", path="deploy") == ("eu/\ngeo.yaml", {"deploy/"})
    assert look(tree, "read_file", path="./README") == ("hello\n", {"README"})


def test_a_search_reads_each_listing_and_each_file(tree: FileSystem) -> None:
    tree.write("deploy/logo.png", b"\xff\xfe image")
    seen = {"deploy/", "deploy/eu/", "deploy/geo.yaml", "deploy/eu/rate.yaml", "deploy/logo.png"}
    text, reads = look(tree, "search", pattern="image: v[12]", path="deploy")
    assert text.split("\n") == [
        "deploy/eu/rate.yaml:1: image: v2",
        "deploy/eu/rate.yaml:2: image: v2",
        "deploy/geo.yaml:1: image: v1",
    ]
    assert reads == seen
    assert look(tree, "search", pattern="v9", path="deploy/")[0] == "no match for 'v9' in deploy/"


def test_a_long_search_says_how_much_is_left_out(tree: FileSystem) -> None:
    tree.write("many", b"x\n" * (MATCHES + 7))
    lines = look(tree, "search", pattern="x")[0].split("\n")
    assert (len(lines), lines[-1]) == (MATCHES + 1, "... and 7 more matching lines")


def test_overwriting_writes_the_file_alone_and_creating_also_the_listings(tree: FileSystem) -> None:
    assert act(tree, "write_file", path="README", content="ü") == (
        "wrote 2 bytes to README",
        Footprint(writes=["README"]),
    )
    listings = {"new/", "new/deep/", "./"}
    assert act(tree, "write_file", path="new/deep/file", content="")[1] == Footprint(
        reads=listings, writes={"new/deep/file", *listings}, kept=listings
    )
    assert act(tree, "create_file", path="new/deep/other", content="1")[1] == Footprint(
        reads=["new/deep/other", "new/deep/"], writes=["new/deep/other", "new/deep/"], kept=["new/deep/"]
    )


def test_modifying(tree: FileSystem) -> None:
    file = "deploy/eu/rate.yaml"
    result, footprint = act(tree, "replace", path=file, old="v2", new="v3")
    assert (result, footprint) == (f"replaced 2 occurrences in {file}", Footprint(reads=[file], writes=[file]))
    assert tree.read(file) == b"image: v3\nimage: v3\n"
    assert act(tree, "append", path=file, content="# end\n")[0] == f"appended 6 bytes to {file}"
    assert tree.read(file) == b"image: v3\nimage: v3\n# end\n"


def test_deleting_the_last_file_writes_every_listing_that_vanishes(tree: FileSystem) -> None:
    _, footprint = act(tree, "delete_file", path="deploy/eu/rate.yaml")
    assert footprint.writes == {"deploy/eu/rate.yaml", "deploy/eu/", "deploy/"}
    assert act(tree, "delete_file", path="deploy/geo.yaml")[1].writes == {"deploy/geo.yaml", "deploy/", "./"}


def test_moving_and_copying(tree: FileSystem) -> None:
    tree.write("run.sh", b"1", mode=0o750)
    _, footprint = act(tree, "move_file", source="run.sh", destination="bin/run.sh")
    assert footprint.writes == {"run.sh", "bin/run.sh", "bin/", "./"}
    assert (tree.read("run.sh"), tree.mode("bin/run.sh")) == (None, 0o750)
    _, footprint = act(tree, "copy_file", source="bin/run.sh", destination="bin/again.sh")
    assert footprint == Footprint(["bin/run.sh", "bin/again.sh", "bin/"], ["bin/again.sh", "bin/"], ["bin/"])
    assert tree.mode("bin/again.sh") == 0o750
    assert act(tree, "move_file", source="bin/run.sh", destination="bin/x.sh")[1].writes == {
        "bin/run.sh", "bin/x.sh", "bin/",
    }  # fmt: skip


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("list_dir", {"path": "absent"}, "absent/: no such directory"),
    ("search", {"path": "absent", "pattern": "x"}, "absent/: no such directory"),
    ("search", {"pattern": "("}, "not a regular expression"),
    ("read_file", {"path": "absent"}, "absent: no such file"),
    ("read_file", {"path": "binary"}, "binary: not UTF-8 text"),
    ("read_file", {"path": "/etc/passwd"}, "absolute"),
    ("write_file", {"path": "../x", "content": ""}, "'..'"),
    ("write_file", {"path": "deploy", "content": ""}, "it is a directory"),
    ("write_file", {"path": "README/x", "content": ""}, "README is a file"),
    ("replace", {"path": "README", "old": "absent", "new": ""}, "README: 'absent' does not occur"),
    ("replace", {"path": "README", "old": "", "new": "x"}, "text to replace is empty"),
    ("replace", {"path": "binary", "old": "a", "new": "b"}, "not UTF-8"),
    ("replace", {"path": "absent", "old": "a", "new": "b"}, "no such file"),
    ("append", {"path": "absent", "content": "a"}, "no such file"),
    ("create_file", {"path": "README", "content": "a"}, "README: exists already"),
    ("delete_file", {"path": "absent"}, "no such file"),
    ("copy_file", {"source": "absent", "destination": "x"}, "no such file"),
    ("copy_file", {"source": "README", "destination": "binary"}, "binary: exists already"),
    ("move_file", {"source": "README", "destination": "README"}, "README: exists already"),
    ("move_file", {"source": "README", "destination": "deploy/"}, "names a directory"),
]


@pytest.mark.parametrize(("name", "args", "why"), REFUSALS)
def test_a_refusal_is_one_line_and_changes_nothing(tree: FileSystem, name: str, args: dict[str, Any], why: str) -> None:
    tree.write("binary", b"\xff")
    before = tree.fingerprint()
    with pytest.raises(ToolError) as refusal:
        (look if TOOLS[name].write_class is WriteClass.READ else act)(tree, name, **args)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not tree.changed_since(before)


def test_file_tools_refuse_what_is_no_tree() -> None:
    class Other:
        def read(self, object: str) -> bytes | None:
            return None

    tool, args = TOOLS.bind(ToolCall("write_file", {"path": "a", "content": ""}))
    with pytest.raises(ToolError, match="need a file tree, not a Other"):
        tool.exec(Other(), args)  # type: ignore[arg-type]


files = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "f", "f/a"])
texts = st.sampled_from(["", "x", "xx\n", "ü"])
contents = st.one_of(texts.map(str.encode), st.just(b"\xff"))


def consistent(state: dict[str, bytes]) -> dict[str, bytes]:
    """Without files that are also directories."""
    return {name: value for name, value in state.items() if not any(other.startswith(f"{name}/") for other in state)}


states = st.dictionaries(files, contents, max_size=5).map(consistent)
ARGS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "list_dir": st.fixed_dictionaries({"path": st.sampled_from(["", "d", "f", "d/e/"])}),
    "read_file": st.fixed_dictionaries({"path": files}),
    "search": st.fixed_dictionaries({"pattern": st.sampled_from(["x", "^$"]), "path": st.sampled_from(["./", "d"])}),
    "write_file": st.fixed_dictionaries({"path": files, "content": texts}),
    "replace": st.fixed_dictionaries({"path": files, "old": texts, "new": texts}),
    "append": st.fixed_dictionaries({"path": files, "content": texts}),
    "create_file": st.fixed_dictionaries({"path": files, "content": texts}),
    "delete_file": st.fixed_dictionaries({"path": files}),
    "copy_file": st.fixed_dictionaries({"source": files, "destination": files}),
    "move_file": st.fixed_dictionaries({"source": files, "destination": files}),
}


@pytest.mark.parametrize("name", list(TOOLS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_tool_keeps_its_declaration_in_any_state(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state, args = data.draw(states, label="state"), data.draw(ARGS[name], label="args")
    factory: Callable[[], FileSystem] = lambda: tree_of(tmp_path_factory.mktemp("t"), state)  # noqa: E731
    assert check_tool(TOOLS[name], factory, args) == []


@settings(max_examples=100, deadline=None)
@given(state=states, added=st.sets(files, max_size=2), removed=st.sets(files, max_size=2))
def test_touched_listings_are_exactly_those_that_change(
    state: dict[str, bytes], added: set[str], removed: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    removed = removed & state.keys() - added
    after = {name: value for name, value in state.items() if name not in removed} | dict.fromkeys(added, b"")
    if consistent(after) != after or consistent(state | after) != state | after:
        return
    tree = tree_of(tmp_path_factory.mktemp("t"), state)
    predicted = touched_listings(RecordingView(tree.read), added, removed)
    before = tree.fingerprint()
    for name in added:
        tree.write(name, b"")
    for name in removed:
        tree.delete(name)
    assert predicted == {object for object in tree.changed_since(before) if object.endswith("/")}
