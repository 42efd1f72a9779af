"""The runtime on a real git repository: repairs, notifications, the gate, and everything that can go wrong."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.judge import judge
from mtpo.spec.records import Record
from mtpo_core.errors import RunHalted
from mtpo_core.log import LogError, LoggedRun, read_log
from mtpo_core.machine import Key, Policy
from mtpo_core.notices import Change
from mtpo_core.resources.base import Resource
from mtpo_core.resources.filetools import file_tools
from mtpo_core.resources.git import GitRepository
from mtpo_core.resources.gittools import git_tools
from mtpo_core.runtime import Answer, Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Args, Footprint, Param, Tool, Toolbox, ToolCall, ToolError, View, WriteClass, write_tool

FILES = {"VERSION": "1.4\n", "notes.md": "start\n", "deploy/api.yaml": "image: a\nreplicas: 2\n"}
A, B, C = 0, 1, 2


def git(root: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@localhost", *args]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


@attrs.define
class World:
    """A repository, a session on it with agents A, B and C, and its log."""

    root: Path
    log: Path
    sync: SyncSession
    closed: bool = False

    def call(self, agent: int, tool: str, **args: object) -> Answer:
        return self.sync.call(agent, ToolCall(tool, args))

    def done(self, agent: int, tool: str, **args: object) -> Answer:
        answer = self.call(agent, tool, **args)
        assert answer.kind == "result", answer.text
        return answer

    def refused(self, agent: int, tool: str, **args: object) -> str:
        """The reason, which is one line; nothing has changed."""
        before = self.sync.session.resource.fingerprint()
        answer = self.call(agent, tool, **args)
        assert answer.kind == "refused", answer
        assert not self.sync.session.resource.changed_since(before)
        assert "\n" not in answer.text
        assert "Traceback" not in answer.text
        return answer.text

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def finish(self) -> LoggedRun:
        """Everyone consumes, finishes and commits; the log must hold against the checker and the spec."""
        for agent in range(len(self.sync.session.names)):
            self.sync.drain(agent)
            if not self.sync.session.machine.agents[agent].finished:
                assert self.sync.finish(agent).kind == "result"
        assert self.close() == "complete"
        run = read_log(self.log)
        judgment = judge(run)
        assert not judgment.problems, "\n".join(map(str, judgment.problems))
        assert judgment.exit_code == 0
        assert judgment.replay is not None
        assert judgment.replay.steps > 0
        return run

    def close(self) -> str:
        self.closed = True
        return self.sync.close()


def of(run: LoggedRun, kind: str) -> list[Record]:
    return [record for record in run.records if record.kind == kind]


Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def make(*extra: Tool, policy: Policy = Policy.REPLAY, agents: int = 3) -> World:
        root = tmp_path / f"repo{len(made)}"
        repository = a_repository(root)
        log = tmp_path / f"run{len(made)}.mtpo"
        tools = Toolbox([*file_tools(), *git_tools(repository), *extra])
        sync = SyncSession(lambda: Session.open(repository, tools, log, policy=policy))
        world = World(root, log, sync)
        made.append(world)
        for rank in range(agents):
            assert sync.launch("ABC"[rank]) == rank
        return world

    yield make
    for one in made:
        if not one.closed:
            one.close()


def a_repository(root: Path) -> GitRepository:
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    return GitRepository(root)


def a_tool(
    name: str,
    exec: Callable[[Resource, Args], str],
    *,
    reads: Iterable[str] = (),
    writes: Iterable[str] = (),
    **more: Any,
) -> Tool:
    """A write tool with a fixed footprint and one optional text parameter."""
    footprint = Footprint(reads, writes)
    param = Param("text", "text", default="text\n")
    return write_tool(name, "for tests", [param], WriteClass.RMW, lambda view, args: footprint, exec, **more)


# -- repairs -------------------------------------------------------------------------------------------------------


def test_a_rank_reversed_write_is_undone_and_redone(world: Make) -> None:
    w = world()
    late = w.done(B, "append", path="notes.md", content="b\n")
    assert w.text("notes.md") == "start\nb\n"
    w.done(A, "append", path="notes.md", content="a\n")
    assert w.text("notes.md") == "start\na\nb\n"
    (notice,) = w.sync.drain(B)
    assert notice.changes == (), "the redo has refreshed what the call read"
    assert notice.results == ((str(late.call), "append", "changed", "appended 2 bytes to notes.md"),)
    run = w.finish()
    order = [(r.kind, r.call) for r in run.records if r.call in ("0.0", "1.0")]
    assert order == [
        *((kind, "1.0") for kind in ("call", "prepared", "exec", "applied", "settle")),
        ("call", "0.0"),
        ("undo", "1.0"),
        ("undone", "1.0"),
        *((kind, "0.0") for kind in ("prepared", "exec", "applied")),
        *((kind, "1.0") for kind in ("prepared", "redo", "redone")),
        ("settle", "0.0"),
    ]
    assert of(run, "call")[1].body["members"] == ["1.0"]
    (undone,) = of(run, "undone")
    assert run.values[undone.body["restored"]["notes.md"]] == b"start\n"


def test_three_ranks_in_reverse_end_in_rank_order(world: Make) -> None:
    w = world()
    for agent in (C, B, A):
        w.done(agent, "append", path="notes.md", content=f"{'abc'[agent]}\n")
        for other in range(agent + 1, 3):
            w.sync.drain(other)
    assert w.text("notes.md") == "start\na\nb\nc\n"
    run = w.finish()
    assert len(of(run, "undo")) == len(of(run, "redo")) == 1 + 2


def test_a_lower_rank_reads_below_a_write_that_is_live(world: Make) -> None:
    w = world()
    w.done(B, "write_file", path="VERSION", content="2.0\n")
    assert w.done(A, "read_file", path="VERSION").text == "1.4\n"
    assert w.done(C, "read_file", path="VERSION").text == "2.0\n"
    assert w.text("VERSION") == "2.0\n"
    run = w.finish()
    assert [r.body["filtered"] for r in of(run, "read")] == [True, False]


def test_a_lower_rank_does_not_see_a_file_that_a_higher_one_made(world: Make) -> None:
    w = world()
    w.done(B, "create_file", path="deploy/geo.yaml", content="image: b\n")
    assert w.done(A, "list_dir", path="deploy").text == "api.yaml"
    assert w.refused(A, "read_file", path="deploy/geo.yaml") == "read_file: deploy/geo.yaml: no such file"
    assert w.done(C, "list_dir", path="deploy").text == "api.yaml\ngeo.yaml"
    w.done(A, "create_file", path="deploy/dns.yaml", content="image: c\n")
    assert w.done(A, "list_dir", path="deploy").text == "api.yaml\ndns.yaml"
    assert {notice.agent for a in (B, C) for notice in w.sync.drain(a)} == {B, C}
    w.finish()


def test_a_commit_is_undone_and_redone_with_the_files_below_it(world: Make) -> None:
    w = world()
    w.done(B, "append", path="notes.md", content="b\n")
    w.done(B, "git_commit", paths=["notes.md"], message="B notes")
    first = git(w.root, "rev-parse", "HEAD")
    w.done(A, "append", path="notes.md", content="a\n")
    assert git(w.root, "show", "HEAD:notes.md") == w.text("notes.md") == "start\na\nb\n"
    assert git(w.root, "rev-parse", "HEAD") != first
    w.finish()


def test_a_redo_whose_object_is_gone_is_stranded(world: Make) -> None:
    w = world()
    w.done(B, "replace", path="notes.md", old="start", new="begin")
    w.done(A, "delete_file", path="notes.md")
    assert not (w.root / "notes.md").exists()
    (notice,) = w.sync.drain(B)
    assert [(tool, status) for _, tool, status, _ in notice.results] == [("replace", "stranded")]
    w.done(B, "create_file", path="notes.md", content="anew\n")
    run = w.finish()
    assert w.text("notes.md") == "anew\n"
    (stranded,) = of(run, "stranded")
    assert stranded.body["error"] == "replace: notes.md: no such file"


def test_under_cancel_the_author_decides(world: Make) -> None:
    w = world(policy=Policy.CANCEL)
    w.done(B, "append", path="notes.md", content="b\n")
    w.done(A, "append", path="notes.md", content="a\n")
    assert w.text("notes.md") == "start\na\n"
    (notice,) = w.sync.drain(B)
    assert [(tool, status) for _, tool, status, _ in notice.results] == [("append", "cancelled")]
    w.done(B, "append", path="notes.md", content="b, again\n")
    assert w.text("notes.md") == "start\na\nb, again\n"
    run = w.finish()
    assert not of(run, "redo")
    assert len(of(run, "cancelled")) == 1


def test_a_late_call_that_fails_leaves_everything_as_it_was(world: Make) -> None:
    w = world()
    w.done(B, "append", path="notes.md", content="b\n")
    assert "does not occur" in w.refused(A, "replace", path="notes.md", old="nothing like it", new="x")
    assert w.text("notes.md") == "start\nb\n"
    assert w.sync.drain(B) == ()
    run = w.finish()
    assert [r.body["changed"] for r in of(run, "redone")] == [False]


# -- notifications -------------------------------------------------------------------------------------------------


def test_what_a_notification_says(world: Make) -> None:
    w = world()
    w.done(B, "read_file", path="VERSION")
    w.done(C, "list_dir", path="deploy")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    w.done(A, "create_file", path="deploy/x.yaml", content="x\n")
    (to_b,), (to_c,) = w.sync.drain(B), w.sync.drain(C)
    assert to_b.changes == (Change("VERSION", b"1.4\n", b"1.5\n", "A"),)
    assert to_b.results == ()
    assert to_c.changes == (Change("deploy/", b"api.yaml\n", b"api.yaml\nx.yaml\n", "A"),)
    assert json.loads(to_b.text().partition(">")[2].partition("</notification>")[0]) == {
        "changed": [{"object": "VERSION", "by": "A", "now": "1.5\n"}]
    }
    assert w.sync.drain(B) == ()
    run = w.finish()
    notify = {r.agent: r.body for r in of(run, "notify")}
    (premise,) = notify[B]["premises"]
    assert (premise["call"], premise["object"], premise["write"]) == ("1.0", "VERSION", "0.0")
    assert (run.values[premise["was"]], run.values[premise["now"]]) == (b"1.4\n", b"1.5\n")


def test_lower_ranks_are_never_told(world: Make) -> None:
    w = world()
    w.done(A, "read_file", path="VERSION")
    w.done(B, "read_file", path="VERSION")
    w.done(B, "write_file", path="VERSION", content="2\n")
    assert w.sync.drain(A) == ()
    assert w.sync.drain(B) == ()
    assert not of(w.finish(), "notify")


def test_a_call_inferred_before_a_notification_is_bounced(world: Make) -> None:
    w = world()
    w.done(B, "read_file", path="VERSION")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    bounced = w.call(B, "write_file", path="notes.md", content="built 1.4\n")
    assert bounced.kind == "bounced"
    assert bounced.call is None
    assert bounced.text.startswith("Not executed: you had unread notifications.\n<notification>")
    assert [change.now for notice in bounced.notices for change in notice.changes] == [b"1.5\n"]
    assert w.text("notes.md") == "start\n"
    w.done(B, "write_file", path="notes.md", content="built 1.5\n")
    run = w.finish()
    (bounce,) = of(run, "bounce")
    assert bounce.body["tool"] == "write_file"
    assert bounce.body["ids"] == of(run, "deliver")[0].body["ids"] == [1]


def test_an_unknown_tool_is_bounced_first_too(world: Make) -> None:
    w = world()
    w.done(B, "read_file", path="VERSION")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert w.call(B, "no_such_tool").kind == "bounced"
    w.finish()


def test_a_finished_agent_is_reopened(world: Make) -> None:
    w = world(agents=2)
    w.done(B, "read_file", path="VERSION")
    assert w.sync.finish(B).kind == "result"
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert w.sync.wait(B) == "notified"
    assert w.sync.drain(B)[0].changes[0].now == b"1.5\n"
    assert w.sync.finish(B).kind == "result"
    assert w.sync.finish(A).kind == "result"
    assert w.sync.wait(B) == w.sync.wait(A) == "committed"
    run = w.finish()
    assert [r.agent for r in of(run, "reopen")] == [B]
    assert [r.agent for r in of(run, "finish")] == [B, B, A]
    assert [r.agent for r in of(run, "commit")] == [A, B]


def test_finishing_with_something_unread_is_bounced(world: Make) -> None:
    w = world()
    w.done(B, "read_file", path="VERSION")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert w.sync.finish(B).kind == "bounced"
    assert not w.sync.session.machine.agents[B].finished
    w.finish()


def test_the_author_of_a_failed_call_is_told_when_it_would_succeed(world: Make) -> None:
    w = world()
    w.refused(B, "append", path="docs/new.md", content="b\n")
    w.done(A, "create_file", path="docs/new.md", content="a\n")
    (notice,) = w.sync.drain(B)
    assert Change("docs/new.md", None, b"a\n", "A") in notice.changes
    w.finish()


# -- the gate ------------------------------------------------------------------------------------------------------


def _announce(resource: Resource, args: Args) -> str:
    before = resource.read("notes.md")
    assert isinstance(resource, GitRepository)
    resource.write("notes.md", (before or b"") + args["text"].encode())
    return "announced"


ANNOUNCE = a_tool("announce", _announce, reads=["notes.md"], writes=["notes.md"], invertible=False)


def in_asyncio(tmp_path: Path, work: Callable[[Session], Coroutine[Any, Any, None]], *extra: Tool) -> LoggedRun:
    """Runs ``work`` on a session with agents A and B; gives the log."""

    async def main() -> None:
        repository = a_repository(tmp_path / "repo")
        session = Session.open(repository, Toolbox([*file_tools(), *extra]), tmp_path / "run.mtpo")
        for name in "AB":
            await session.launch(name)
        await work(session)
        assert await session.close() == "complete"

    asyncio.run(main())
    run = read_log(tmp_path / "run.mtpo")
    judgment = judge(run)
    assert not judgment.problems, "\n".join(map(str, judgment.problems))
    return run


def test_a_call_without_inverse_is_held_until_lower_ranks_have_committed(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        held = asyncio.create_task(session.call(B, ToolCall("announce", {"text": "b\n"})))
        await asyncio.sleep(0)
        assert (await session.call(A, ToolCall("append", {"path": "notes.md", "content": "a\n"}))).kind == "result"
        await asyncio.sleep(0)
        assert not held.done()
        await session.finish(A)
        assert (await held).text == "announced"
        await session.finish(B)

    run = in_asyncio(tmp_path, work, ANNOUNCE)
    assert (tmp_path / "repo" / "notes.md").read_text() == "start\na\nb\n"
    assert all(gate.body["waits_for"] == [A] for gate in of(run, "gate"))
    kinds = [(r.kind, r.call) for r in run.records]
    assert kinds.index(("gate", "1.0")) < kinds.index(("commit", None)) < kinds.index(("exec", "1.0"))
    assert ("prepared", "1.0") not in kinds


def test_a_held_call_whose_author_is_notified_meanwhile_is_bounced(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        await session.call(B, ToolCall("read_file", {"path": "VERSION"}))
        held = asyncio.create_task(session.call(B, ToolCall("announce")))
        await asyncio.sleep(0)
        await session.call(A, ToolCall("write_file", {"path": "VERSION", "content": "1.5\n"}))
        assert (await held).kind == "bounced"
        await session.finish(A)
        assert (await session.call(B, ToolCall("announce"))).kind == "result"
        await session.finish(B)

    run = in_asyncio(tmp_path, work, ANNOUNCE)
    assert (tmp_path / "repo" / "notes.md").read_text() == "start\ntext\n"
    assert len(of(run, "exec")) == 2


def test_a_late_call_without_inverse_undoes_the_live_writes_above_it(world: Make) -> None:
    w = world(ANNOUNCE)
    w.done(C, "append", path="notes.md", content="c\n")
    w.done(B, "append", path="notes.md", content="b\n")
    w.sync.drain(C)
    w.done(A, "announce", text="a\n")
    assert w.text("notes.md") == "start\na\nb\nc\n"
    run = w.finish()
    late = next(r for r in of(run, "call") if r.call == "0.0")
    assert late.body["members"] == ["1.0", "2.0"]
    assert late.body["invertible"] is False


# -- tools that fail -----------------------------------------------------------------------------------------------


def _raise(resource: Resource, args: Args) -> str:
    raise RuntimeError("out of\norder")


def _half(resource: Resource, args: Args) -> str:
    assert isinstance(resource, GitRepository)
    resource.write("VERSION", b"half\n")
    resource.write("new/file", b"new\n")
    raise OSError("disk is full")


def test_a_tool_that_raises_without_effects_is_refused(world: Make) -> None:
    w = world(a_tool("broken", _raise, writes=["VERSION"]))
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

    w = world(a_tool("oneway", _announce, writes=["notes.md"], prepare=lambda *_: b"", reverse=reverse))
    w.done(B, "oneway", text="b\n")
    with pytest.raises(RunHalted, match=r"oneway: the inverse of call 1\.0 failed: RuntimeError: jammed") as halted:
        w.call(A, "append", path="notes.md", content="a\n")
    assert halted.value.property == "core.inverse-runs"
    halts(w, "core.inverse-runs")


def test_an_inverse_that_does_not_restore_halts_the_run(world: Make) -> None:
    def reverse(resource: Resource, args: Args, undo: bytes) -> None:
        assert isinstance(resource, GitRepository)
        resource.write("notes.md", b"something else\n")

    w = world(a_tool("liar", _announce, writes=["notes.md"], prepare=lambda *_: b"", reverse=reverse))
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

    w = world(a_tool("messy", _announce, writes=["notes.md"], prepare=prepare, reverse=reverse))
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


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "deploy/../../x", ".git/config", ".GIT/x", "", "a\x00b"])
def test_a_path_that_leaves_the_repository_is_refused(world: Make, path: str) -> None:
    w = world(agents=1)
    for tool, args in (("write_file", {"content": "x"}), ("append", {"content": "x"}), ("read_file", {})):
        reason = w.refused(A, tool, path=path, **args)
        assert reason.startswith(f"{tool}: ")
    assert sorted(p.name for p in w.root.parent.iterdir() if p.is_dir()) == [w.root.name]
    w.finish()


def test_a_symbolic_link_is_not_followed(world: Make, tmp_path: Path) -> None:
    w = world(agents=1)
    target = tmp_path / "secret"
    target.write_text("secret\n")
    (w.root / "link").symlink_to(target)
    assert "link" in w.refused(A, "write_file", path="link", content="x")
    assert target.read_text() == "secret\n"
    w.finish()


@pytest.mark.parametrize(
    ("tool", "args", "reason"),
    [
        ("rm", {}, "unknown tool 'rm'; known: list_dir, read_file"),
        ("read_file", {}, "read_file: parameter 'path' is missing; known: path"),
        ("read_file", {"path": 7}, "read_file: parameter 'path' must be a string, got 7"),
        ("read_file", {"path": "VERSION", "mode": "r"}, "read_file: unknown parameter 'mode'; known: path"),
        ("git_commit", {"paths": "VERSION", "message": "m"}, "git_commit: parameter 'paths' must be a list of strings"),
        ("write_file", {"path": "x", "content": "\ud800"}, "holds a lone surrogate"),
        ("search", {"pattern": "("}, "is not a regular expression"),
        ("create_file", {"path": "VERSION", "content": ""}, "create_file: VERSION: exists already"),
        ("write_file", {"path": "deploy", "content": "x"}, "'deploy' can't be written: it is a directory"),
        ("write_file", {"path": "VERSION/x", "content": "x"}, "VERSION is a file"),
    ],
)
def test_a_bad_call_is_refused_in_one_line(world: Make, tool: str, args: Mapping[str, object], reason: str) -> None:
    w = world(agents=1)
    assert reason in w.refused(A, tool, **args)
    w.finish()


def test_a_footprint_that_raises_is_refused(world: Make) -> None:
    def footprint(view: View, args: Args) -> Footprint:
        raise ToolError("nothing to write to")

    tool = write_tool("vague", "for tests", [], WriteClass.RMW, footprint, _raise)
    w = world(tool, agents=1)
    assert w.refused(A, "vague") == "vague: nothing to write to"
    w.finish()


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repo")
    (tmp_path / "run.mtpo").write_text("mine")
    with pytest.raises(LogError, match="exists already"):
        SyncSession(lambda: Session.open(repository, Toolbox(file_tools()), tmp_path / "run.mtpo"))
    assert (tmp_path / "run.mtpo").read_text() == "mine"


def test_a_run_closed_early_says_so(world: Make) -> None:
    w = world()
    w.done(B, "append", path="notes.md", content="b\n")
    w.sync.finish(B)
    assert w.close() == "halted"
    close = read_log(w.log).records[-1]
    assert close.body["error"] == "closed before every agent had committed"


# -- an external writer --------------------------------------------------------------------------------------------


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


# -- from plain code -----------------------------------------------------------------------------------------------


def test_a_synchronous_session_from_several_threads(world: Make) -> None:
    """Each agent is a thread; whatever the order, the end is that of rank order."""
    w = world()
    lines: dict[int, str] = {A: "a\n", B: "b\n", C: "c\n"}

    def agent(rank: int) -> None:
        answer = w.call(rank, "append", path="notes.md", content=lines[rank])
        while answer.kind == "bounced":
            answer = w.call(rank, "append", path="notes.md", content=lines[rank])
        while w.sync.finish(rank).kind == "bounced" or w.sync.wait(rank) == "notified":
            w.sync.drain(rank)

    threads = [threading.Thread(target=agent, args=(rank,)) for rank in (C, B, A)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert w.text("notes.md") == "start\na\nb\nc\n"
    run = w.finish()
    assert [r.agent for r in of(run, "commit")] == [A, B, C]


def test_an_answer_names_its_call(world: Make) -> None:
    w = world()
    assert w.done(B, "read_file", path="VERSION").call == Key(B, 0)
    assert w.done(B, "append", path="VERSION", content="x\n").call == Key(B, 1)
    assert w.call(B, "append", path="nowhere", content="x\n").call == Key(B, 2)
    assert w.call(B, "no_such_tool").call is None
    w.finish()
