"""Names that nest: proven for any tree, and that the file tools name what they touch as the spec has it."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import names_instance, sizes_for
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.names import names
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.tools import RecordingView, Toolbox, ToolCall, ToolError

TOOLS = Toolbox(file_tools())
PATHS = ("a", "d/a", "d/b", "d/e/a", "d/e/f/a", "e/a")
FOLDERS = ("./", "d/", "d/e/", "d/e/f/", "e/")


def test_every_property_is_inductive_for_any_tree():
    verdicts = {v.property: v.status for v in prove(names)}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()
    assert verdicts.keys() >= {"names.reduction", "names.no-phantom", "names.exclusive"}


def test_every_state_of_a_small_tree():
    found = explore(*names_instance(sizes_for(names)))
    assert found.complete and all(found.taken.values())
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()


@pytest.mark.parametrize("id", ["names.create.told:=", "names.remove.told:="])
def test_a_listing_that_is_not_written_lets_a_phantom_through(id):
    (spec,) = (m.spec for m in mutants(names) if m.id == id)
    found = explore(*names_instance(sizes_for(names), spec))
    assert any(v.status is Status.FAILED for v in found.verdicts)


READS = st.one_of(
    st.builds(lambda p: ToolCall("list_dir", {"path": p}), st.sampled_from(FOLDERS)),
    st.builds(lambda p: ToolCall("read_file", {"path": p}), st.sampled_from(PATHS)),
    st.builds(lambda p: ToolCall("search", {"path": p, "pattern": "."}), st.sampled_from(FOLDERS)),
)
WRITES = st.one_of(
    st.builds(lambda p: ToolCall("write_file", {"path": p, "content": "new"}), st.sampled_from(PATHS)),
    st.builds(lambda p: ToolCall("create_file", {"path": p, "content": "new"}), st.sampled_from(PATHS)),
    st.builds(lambda p: ToolCall("delete_file", {"path": p}), st.sampled_from(PATHS)),
    st.builds(
        lambda p, q: ToolCall("move_file", {"source": p, "destination": q}),
        st.sampled_from(PATHS),
        st.sampled_from(PATHS),
    ),
)


def seen(tree, call):
    """The result of a read, or why there is none, and what it looked at."""
    tool, args = TOOLS.bind(call)
    view = RecordingView(tree.read)
    try:
        return tool.read(view, args), frozenset(view.reads)
    except ToolError as error:
        return str(error), frozenset(view.reads)


def declared(tree, call):
    """The footprint of a write, as it stands."""
    tool, args = TOOLS.bind(call)
    return tool.footprint(RecordingView(tree.read), args)


@settings(max_examples=60, deadline=None)
@given(before=st.sets(st.sampled_from(PATHS), min_size=1), read=READS, write=WRITES, other=WRITES)
def test_no_phantom_slips_through_the_file_tools(tmp_path_factory, before, read, write, other):
    """Whatever a write changes of what a read shows, or of what another write touches, the footprints say."""
    tree = FileSystem(tmp_path_factory.mktemp("tree"))
    for path in before:
        tree.write(path, b"old")
    shown, looked = seen(tree, read)
    planned = declared(tree, other)
    footprint = declared(tree, write)
    tool, args = TOOLS.bind(write)
    try:
        tool.exec(tree, args)
    except ToolError:
        return
    if seen(tree, read)[0] != shown:
        assert looked & footprint.writes, (read, write)
    if declared(tree, other) != planned:
        assert (planned.reads | planned.writes) & footprint.writes, (other, write)
