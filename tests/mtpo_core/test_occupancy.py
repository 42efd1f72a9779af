"""One session at a time on a tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtpo_core.errors import SessionError
from mtpo_core.occupancy import Occupancy
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.resources.git import GitRepository
from mtpo_core.runtime import Mode, Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Toolbox, ToolCall


def a_session(root: Path, log: Path, mode: Mode = "mtpo") -> SyncSession:
    root.mkdir(exist_ok=True)
    return SyncSession(lambda: Session.open(FileSystem(root), Toolbox(file_tools()), log, mode=mode))


@pytest.mark.parametrize("mode", ["mtpo", "naive", "serial"])
def test_a_second_session_on_a_tree_is_refused_until_the_first_is_closed(tmp_path: Path, mode: Mode) -> None:
    tree = tmp_path / "tree"
    first = a_session(tree, tmp_path / "1", mode)
    (tmp_path / "link").symlink_to(tree)
    for again in (tree, tmp_path / "link"):
        with pytest.raises(SessionError, match=r"^open: another session is at work on \S+/tree or in a folder of it"):
            a_session(again, tmp_path / "2")
    assert not (tmp_path / "2").exists()
    agent = first.launch("A")
    assert first.call(agent, ToolCall("write_file", {"path": "a", "content": "1"})).kind == "result"
    first.close()
    a_session(tree, tmp_path / "2").close()


def test_trees_within_each_other_are_refused_and_trees_side_by_side_are_not(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    inner = a_session(outer / "inner", tmp_path / "1")
    beside = a_session(outer / "beside", tmp_path / "2")
    with pytest.raises(SessionError, match=r"at work on .*/outer or in a folder of it"):
        a_session(outer, tmp_path / "3")
    inner.close()
    beside.close()
    whole = a_session(outer, tmp_path / "3")
    with pytest.raises(SessionError, match=r"at work on .*/outer, which holds .*/outer/inner"):
        a_session(outer / "inner", tmp_path / "4")
    whole.close()


def test_work_trees_of_one_repository_are_one_place(tmp_path: Path) -> None:
    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=u", "-c", "user.email=u@localhost", *args], cwd=main, check=True)

    main = tmp_path / "main"
    main.mkdir()
    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "start")
    git("worktree", "add", "-q", str(tmp_path / "linked"))
    first = SyncSession(lambda: Session.open(GitRepository(main), Toolbox(), tmp_path / "1"))
    with pytest.raises(SessionError, match="another session is at work"):
        Session.open(GitRepository(tmp_path / "linked"), Toolbox(), tmp_path / "2")
    first.close()


def test_a_process_that_dies_leaves_the_tree_free(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from mtpo_core.occupancy import Occupancy\n"
        "held = Occupancy([Path(sys.argv[1])]); print('held', flush=True); sys.stdin.read(); os._exit(1)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SessionError):
            Occupancy([tmp_path])
        other.kill()
        other.wait()
    mine = Occupancy([tmp_path])
    assert not list(tmp_path.iterdir()), "a lock leaves no file"
    mine.leave()
    mine.leave()
    Occupancy([tmp_path]).leave()
