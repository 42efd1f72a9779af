"""A session on a real git repository."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo.spec.records import Record
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.machine import Policy
from mtpo_core.resources.base import Resource
from mtpo_core.resources.filetools import file_tools
from mtpo_core.resources.git import GitRepository
from mtpo_core.resources.gittools import git_tools
from mtpo_core.runtime import Answer, Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Args, Footprint, Param, Tool, Toolbox, ToolCall, WriteClass, write_tool

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


def announce(resource: Resource, args: Args) -> str:
    """An effect of a tool: the text at the end of notes.md."""
    before = resource.read("notes.md")
    assert isinstance(resource, GitRepository)
    resource.write("notes.md", (before or b"") + args["text"].encode())
    return "announced"


def boom(resource: Resource, args: Args) -> str:
    """A tool that raises before it did anything."""
    raise RuntimeError("out of\norder")
