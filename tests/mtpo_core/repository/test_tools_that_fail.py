"""Tools and inverses that raise: put back and refused, or the run is halted and nothing is lost."""

from __future__ import annotations

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.errors import RunHalted
from mtpo_core.log import read_log
from mtpo_core.resources.base import Resource
from mtpo_core.resources.git import GitRepository
from mtpo_core.tools import Args, Footprint

from .conftest import FILES, A, B, Make, World, a_tool, announce, boom, of


def _half(resource: Resource, args: Args) -> str:
    assert isinstance(resource, GitRepository)
    resource.write("VERSION", b"half\n")
    resource.write("new/file", b"new\n")
    raise OSError("disk is full")


def test_a_tool_that_raises_without_effects_is_refused(world: Make) -> None:
    w = world(a_tool("broken", boom, writes=["VERSION"]))
    assert w.refused(A, "broken") == "broken: RuntimeError: out of order"
    w.done(A, "append", path="VERSION", content="x\n")
    run = w.finish()
    assert [r.body["error"] for r in of(run, "failed")] == ["broken: RuntimeError: out of order"]


def test_a_tool_that_raises_half_way_is_put_back(world: Make) -> None:
    w = world(a_tool("half", _half, reads=["VERSION"], writes=["VERSION", "new/file", "new/", "./"]))
    w.done(B, "append", path="VERSION", content="b\n")
    assert w.refused(A, "half") == "half: OSError: disk is full"
    assert w.text("VERSION") == "1.4\nb\n"
    assert not (w.root / "new").exists()
    run = w.finish()
    assert len(of(run, "failed")) == 1


def test_a_tool_whose_declared_undo_is_empty_is_put_back_from_the_log(world: Make) -> None:
    """The inverse of the tool restores nothing; the runtime knows the values."""
    nothing = {"prepare": lambda resource, args, footprint: b"", "reverse": lambda resource, args, undo: None}
    w = world(a_tool("half", _half, writes=["VERSION", "new/file", "new/", "./"], **nothing))
    assert w.refused(A, "half") == "half: OSError: disk is full"
    assert w.text("VERSION") == "1.4\n"
    w.finish()


def test_a_prepare_that_raises_is_refused_before_anything_ran(world: Make) -> None:
    def prepare(resource: Resource, args: Args, footprint: Footprint) -> bytes:
        raise ValueError("no room")

    w = world(a_tool("unready", _half, writes=["VERSION"], prepare=prepare, reverse=lambda *_: None))
    assert w.refused(A, "unready") == "unready: prepare failed: ValueError: no room"
    run = w.finish()
    assert not of(run, "exec")


def test_a_write_outside_the_footprint_is_put_back_and_refused(world: Make) -> None:
    def stray(resource: Resource, args: Args) -> str:
        assert isinstance(resource, GitRepository)
        resource.write("VERSION", b"declared\n")
        resource.write("notes.md", b"stray\n")
        resource.delete("deploy/api.yaml")
        resource.write("stray/new", b"stray\n")
        return "fine"

    w = world(a_tool("stray", stray, writes=["VERSION"]))
    w.done(B, "append", path="notes.md", content="b\n")
    reason = w.refused(A, "stray")
    assert "wrote outside its footprint: " in reason
    assert all(name in reason for name in ("notes.md", "deploy/api.yaml", "stray/new"))
    assert "core.footprint-honest" in reason
    assert w.text("deploy/api.yaml") == FILES["deploy/api.yaml"]
    assert not (w.root / "stray").exists()
    run = w.finish()
    (failed,) = of(run, "failed")
    assert failed.body["error"] == reason
    assert not of(run, "external")


def test_an_inverse_that_raises_halts_the_run_and_loses_nothing(world: Make) -> None:
    def reverse(resource: Resource, args: Args, undo: bytes) -> None:
        raise RuntimeError("jammed")

    w = world(a_tool("oneway", announce, writes=["notes.md"], prepare=lambda *_: b"", reverse=reverse))
    w.done(B, "oneway", text="b\n")
    with pytest.raises(RunHalted, match=r"oneway: the inverse of call 1\.0 failed: RuntimeError: jammed") as halted:
        w.call(A, "append", path="notes.md", content="a\n")
    assert halted.value.property == "core.inverse-runs"
    halts(w, "core.inverse-runs")


def test_an_inverse_that_does_not_restore_halts_the_run(world: Make) -> None:
    def reverse(resource: Resource, args: Args, undo: bytes) -> None:
        assert isinstance(resource, GitRepository)
        resource.write("notes.md", b"something else\n")

    w = world(a_tool("liar", announce, writes=["notes.md"], prepare=lambda *_: b"", reverse=reverse))
    w.done(B, "liar", text="b\n")
    with pytest.raises(RunHalted, match=r"did not restore notes\.md"):
        w.call(A, "append", path="notes.md", content="a\n")
    halts(w, "core.inverse-restores")


def test_an_inverse_that_touches_more_halts_the_run(world: Make) -> None:
    def reverse(resource: Resource, args: Args, undo: bytes) -> None:
        resource.reinstate(undo)
        assert isinstance(resource, GitRepository)
        resource.write("VERSION", b"oops\n")

    def prepare(resource: Resource, args: Args, footprint: Footprint) -> bytes:
        return resource.capture(footprint.writes)

    w = world(a_tool("messy", announce, writes=["notes.md"], prepare=prepare, reverse=reverse))
    w.done(B, "messy", text="b\n")
    with pytest.raises(RunHalted, match="did not restore VERSION"):
        w.call(A, "append", path="notes.md", content="a\n")
    halts(w, "core.inverse-restores")


def test_a_failure_after_effects_without_inverse_halts_the_run(world: Make) -> None:
    w = world(a_tool("shoot", _half, writes=["VERSION", "new/file", "new/", "./"], invertible=False))
    with pytest.raises(RunHalted, match=r"shoot: call 0\.0 failed after changing .*VERSION"):
        w.call(A, "shoot")
    halts(w, "core.failed-has-no-effect")
    assert w.text("VERSION") == "half\n", "nobody guesses what to do with it"


def halts(w: World, property: str) -> None:
    """Every later call says why; close says halted; the log keeps all so far and its chain holds."""
    for again in (
        lambda: w.call(A, "read_file", path="VERSION"),
        lambda: w.sync.finish(B),
        lambda: w.sync.launch("D"),
        lambda: w.sync.wait(A),
    ):
        with pytest.raises(RunHalted) as caught:
            again()
        assert caught.value.property == property
        assert "\n" not in str(caught.value)
    assert w.close() == "halted"
    run = read_log(w.log)
    last = run.records[-1]
    assert (last.kind, last.body["outcome"]) == ("close", "halted")
    assert last.body["error"].startswith(f"{property}: ")
    judgment = judge(run)
    assert not [p for p in judgment.problems if p.property.startswith(("log.", "mtpo.", "spec."))]
