"""What somebody changes without a tool is reported, and not overwritten."""

from __future__ import annotations

from mtpo_core.log import read_log
from mtpo_core.resources.base import Resource
from mtpo_core.resources.git import GitRepository
from mtpo_core.tools import Args

from .conftest import A, B, C, Make, a_tool, of


def test_what_no_tool_changed_is_reported_and_not_overwritten(world: Make) -> None:
    w = world()
    w.done(B, "append", path="notes.md", content="b\n")
    (w.root / "notes.md").write_text("by hand\n")
    reason = w.refused(A, "append", path="notes.md", content="a\n")
    assert reason == "append: notes.md was changed by no tool; not overwritten"
    assert "was changed by no tool" in w.refused(A, "write_file", path="notes.md", content="a\n")
    assert w.text("notes.md") == "by hand\n"
    w.done(A, "append", path="VERSION", content="elsewhere\n")
    w.sync.drain(B)
    for agent in (A, B, C):
        w.sync.finish(agent)
    w.close()
    run = read_log(w.log)
    (external,) = of(run, "external")
    assert external.body["object"] == "notes.md"
    assert run.values[external.body["expected"]] == b"start\nb\n"
    assert run.values[external.body["found"]] == b"by hand\n"
    assert run.values[run.records[-1].body["final"]["notes.md"]] == b"by hand\n"


def test_a_change_by_hand_is_noticed_at_the_end_at_the_latest(world: Make) -> None:
    w = world(agents=1)
    (w.root / "stranger").write_text("by hand\n")
    w.sync.finish(A)
    w.close()
    assert {r.body["object"] for r in of(read_log(w.log), "external")} == {"stranger", "./"}


def test_a_file_that_no_tool_deleted_is_not_written_again(world: Make) -> None:
    w = world()
    w.done(B, "append", path="notes.md", content="b\n")
    (w.root / "notes.md").unlink()
    assert "was changed by no tool" in w.refused(A, "append", path="notes.md", content="a\n")
    assert not (w.root / "notes.md").exists()


def test_what_was_changed_by_hand_is_not_overwritten_by_an_undo_either(world: Make) -> None:
    def both(resource: Resource, args: Args) -> str:
        assert isinstance(resource, GitRepository)
        for path in ("VERSION", "notes.md"):
            resource.write(path, (resource.read(path) or b"") + b"b\n")
        return "both"

    w = world(a_tool("both", both, reads=["VERSION", "notes.md"], writes=["VERSION", "notes.md"]))
    w.done(B, "both")
    (w.root / "notes.md").write_text("by hand\n")
    reason = w.refused(A, "append", path="VERSION", content="a\n")
    assert reason == "append: notes.md was changed by no tool; not overwritten"
    assert w.text("notes.md") == "by hand\n"
    w.done(C, "append", path="VERSION", content="above\n")
    assert w.text("VERSION") == "1.4\nb\nabove\n"
