"""Changes by hand at the worst moments: what can be noticed is not overwritten, what can't is kept and told."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.errors import RunHalted, SessionError
from mtpo_core.log import read_log
from mtpo_core.resources.base import Fingerprint, Resource, ResourceError
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.resources.git import GitRepository
from mtpo_core.resources.gittools import git_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Args, Footprint, Tool, Toolbox, ToolCall, WriteClass, prepare_preimage, write_tool

from .conftest import A, B, Bench, Make

APPEND = ToolCall("append", {"path": "x", "content": "tool\n"})
HAND = "an hour of work\n"


def edited(once: Callable[[], None], undone: Callable[[], None] = lambda: None) -> Tool:
    """A tool that appends to ``x``; somebody saves a file right after its prepare has captured the old value (``once``)
    or its inverse has put that back (``undone``).
    """

    def prepare(resource: Resource, args: Args, footprint: Footprint) -> bytes:
        undo = prepare_preimage(resource, args, footprint)
        once()
        return undo

    def act(resource: Resource, args: Args) -> str:
        assert isinstance(resource, FileSystem)
        resource.write("x", (resource.read("x") or b"") + b"edited\n")
        return "done"

    def reverse(resource: Resource, args: Args, undo: bytes) -> None:
        resource.reinstate(undo)
        undone()

    footprint = Footprint({"x"}, {"x"})
    return write_tool(
        "edited",
        "for tests",
        [],
        WriteClass.RMW,
        lambda view, args: footprint,
        act,
        prepare=prepare,
        reverse=reverse,
    )


def by_hand(one: Bench, **files: str) -> None:
    for name, text in files.items():
        (one.root / name).write_text(text)


def disturbed(one: Bench, *objects: str) -> None:
    """The run ends, and the outside changes are all that is wrong with it."""
    assert one.finish() == "disturbed"
    run = read_log(one.log)
    assert [r.body["object"] for r in run.records if r.kind == "external"] == list(objects)
    assert {p.property for p in judge(run).problems} == {"run.external"}


def test_an_edit_between_the_look_and_the_capture_is_not_overwritten(bench: Make) -> None:
    saves = ["x"]

    class Tree(FileSystem):
        def capture(self, objects: Any) -> bytes:
            if saves:
                (self.root / saves.pop()).write_text(HAND)
            return super().capture(objects)

    one = bench(resource=Tree)
    answer = one.sync.call(A, APPEND)
    assert (answer.kind, answer.text) == ("refused", "append: x was changed by no tool; not overwritten")
    assert (one.root / "x").read_text() == HAND
    disturbed(one, "x")


def test_an_edit_after_the_capture_is_not_overwritten(bench: Make) -> None:
    saves = [HAND]
    one = bench(edited(lambda: by_hand(one, x=saves.pop()) if saves else None))
    assert one.sync.call(A, ToolCall("edited")).text == "edited: x was changed by no tool; not overwritten"
    assert (one.root / "x").read_text() == HAND
    disturbed(one, "x")


def test_an_edit_elsewhere_at_that_moment_stays_and_the_call_goes_on(bench: Make) -> None:
    saves = [HAND]
    one = bench(edited(lambda: by_hand(one, mine=saves.pop()) if saves else None))
    assert one.sync.call(A, ToolCall("edited")).kind == "result"
    assert ((one.root / "x").read_text(), (one.root / "mine").read_text()) == ("start\nedited\n", HAND)
    disturbed(one, "./", "mine")


def test_a_redo_does_not_overwrite_an_edit_made_while_its_repair_was_under_way(bench: Make) -> None:
    saves: list[str] = []
    one = bench(edited(lambda: by_hand(one, x=saves.pop()) if saves else None))
    one.sync.call(B, ToolCall("edited"))
    saves.append(HAND)  # the next prepare is that of the redo
    assert one.sync.call(A, APPEND).kind == "result"
    (notice,) = one.sync.drain(B)
    assert [news.status for news in notice.results] == ["stranded"]
    assert (one.root / "x").read_text() == HAND
    disturbed(one, "x")


def test_an_undo_does_not_overwrite_an_edit_either(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench()
    one.sync.call(B, APPEND)
    watch = one.sync.session._watch
    look = watch.look

    async def then_edit() -> None:
        await look()
        by_hand(one, x=HAND)

    monkeypatch.setattr(watch, "look", then_edit)
    with pytest.raises(RunHalted, match=r"^run\.external: x was changed by no tool while call 0\.0 was under way"):
        one.sync.call(A, APPEND)
    assert (one.root / "x").read_text() == HAND
    assert one.sync.close() == "halted"


def test_an_edit_while_an_inverse_runs_is_not_blamed_on_the_tool_alone(bench: Make) -> None:
    one = bench(edited(lambda: None, undone=lambda: by_hand(one, x=HAND)))
    one.sync.call(B, ToolCall("edited"))
    said = r"edited: the inverse of call 1\.0 did not restore x, or somebody else changed it meanwhile$"
    with pytest.raises(RunHalted, match=rf"^core\.inverse-restores: {said}"):
        one.sync.call(A, APPEND)
    assert (one.root / "x").read_text() == HAND


def test_a_dead_agents_call_is_not_taken_out_over_an_edit_and_the_run_halts_for_all(bench: Make) -> None:
    """Its author could be refused, and live with it (``retract``); one that is given up can't."""
    one = bench()
    answer = one.sync.call(B, APPEND)
    by_hand(one, x=HAND)
    assert one.sync.retract(B, str(answer.call)).text == "retract: x was changed by no tool; not overwritten"
    for step in (lambda: one.sync.abort(B), lambda: one.sync.call(A, APPEND)):
        with pytest.raises(RunHalted, match=r"^run\.external: call 1\.0 can't be taken out: x was changed by no tool$"):
            step()
    assert (one.root / "x").read_text() == HAND
    assert one.sync.close() == "halted"


def test_what_somebody_left_is_what_is_put_back_after_a_stray_write(bench: Make) -> None:
    """An object that had been changed by hand before gets that content again, not an older one."""

    def stray(resource: Resource, args: Args) -> str:
        assert isinstance(resource, FileSystem)
        resource.write("x", b"stray\n")
        return "done"

    one = bench(write_tool("stray", "for tests", [], WriteClass.BLIND, lambda v, a: Footprint(), stray))
    by_hand(one, x=HAND)
    assert "wrote outside its footprint: x" in one.sync.call(A, ToolCall("stray")).text
    assert (one.root / "x").read_text() == HAND
    disturbed(one, "x")


# -- nothing is left -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lost", "reason"), [(".git", "the repository is gone"), (".", "the directory is gone")])
@pytest.mark.parametrize("mode", ["mtpo", "naive"])
def test_a_tree_that_is_deleted_halts_the_run(tmp_path: Path, lost: str, reason: str, mode: Any) -> None:
    root, log = tmp_path / "tree", tmp_path / "run.mtpo"
    root.mkdir()
    (root / "x").write_text("start\n")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    tree = GitRepository(root)
    sync = SyncSession(lambda: Session.open(tree, Toolbox([*file_tools(), *git_tools(tree)]), log, mode=mode))
    for name in "AB":
        sync.launch(name)
    sync.call(B, APPEND)
    shutil.rmtree(root / lost)
    for step in (
        lambda: sync.finish(A),
        lambda: sync.call(A, APPEND),
        lambda: sync.call(A, ToolCall("git_log")),
        lambda: sync.drain(B),
    ):
        with pytest.raises(RunHalted, match=rf"^core\.state-seen: .*{reason}"):
            step()
    assert sync.close() == sync.close() == "halted"
    close = read_log(log).records[-1]
    assert (close.kind, close.body["outcome"]) == ("close", "halted")
    assert reason in close.body["error"]
    assert not [r for r in read_log(log).records if r.kind in ("finish", "commit")]
    assert root.exists() == (lost == ".git"), "nothing builds it up again"


def test_a_tree_that_is_gone_at_the_end_is_no_complete_run(bench: Make) -> None:
    one = bench()
    for agent in (A, B):
        one.sync.finish(agent)
    shutil.rmtree(one.root)
    assert one.sync.close() == "halted"
    assert "the directory is gone" in read_log(one.log).records[-1].body["error"]


def test_git_without_its_tree_does_not_say_that_git_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "tree", check=True)
    tree = GitRepository(tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree")
    with pytest.raises(ResourceError, match="the directory is gone"):
        tree.git.run("log")


def test_a_state_that_cannot_be_seen_for_a_while_is_waited_for(bench: Make) -> None:
    """Nothing is done on it, and nothing is lost: the run goes on when it can be seen again."""
    broken: list[str] = []

    class Tree(FileSystem):
        def fingerprint(self) -> Fingerprint:
            if broken:
                raise KeyError(broken[0])
            return super().fingerprint()

    one = bench(resource=Tree)
    broken.append("unreachable")
    assert one.sync.call(A, APPEND).text == "append: KeyError: 'unreachable'"
    with pytest.raises(SessionError, match=r"^finish: the state can't be seen \(KeyError: 'unreachable'\); mend that"):
        one.sync.finish(A)
    broken.clear()
    assert one.sync.call(A, APPEND).kind == "result"
    one.end()
