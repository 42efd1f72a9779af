"""What close says of a run that somebody disturbed."""

from __future__ import annotations

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.errors import SessionError
from mtpo_core.log import read_log
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Toolbox, ToolCall


def test_a_change_without_a_tool_makes_a_run_disturbed(tmp_path):
    tree, log = tmp_path / "tree", tmp_path / "run.log"
    tree.mkdir()
    (tree / "a.txt").write_text("1")
    session = SyncSession(lambda: Session.open(FileSystem(tree), Toolbox(), log))
    agent = session.launch("only")
    session.finish(agent)
    (tree / "a.txt").write_text("2")
    assert session.close() == session.close() == "disturbed"
    found = judge(read_log(log))
    assert [p.property for p in found.problems] == ["run.external"]
    assert (tree / "a.txt").read_text() == "2", "what somebody wrote is not overwritten"


def test_a_log_does_not_lie_in_the_tree_that_it_is_the_log_of(tmp_path):
    (tmp_path / "sub").mkdir()
    for place in ("run.log", "sub/run.log", "sub/../run.log"):
        with pytest.raises(SessionError, match="would lie in the tree that it is the log of"):
            Session.open(FileSystem(tmp_path), Toolbox(), tmp_path / place)
        assert not (tmp_path / place).exists()


@pytest.mark.parametrize("policy", ["replay", "cancel"])
def test_two_agents_make_the_same_file(tmp_path, policy):
    """What no record had named is absent at first, and so it is again while its first write is undone."""
    tree, log = tmp_path / "tree", tmp_path / "run.log"
    tree.mkdir()
    session = SyncSession(lambda: Session.open(FileSystem(tree), Toolbox(file_tools()), log, policy=policy))
    first, second = session.launch("first"), session.launch("second")
    session.call(second, ToolCall("write_file", {"path": "new.txt", "content": "second"}))
    session.call(first, ToolCall("write_file", {"path": "new.txt", "content": "first"}))
    session.drain(second)
    session.finish(first), session.finish(second)
    assert session.close() == "complete"
    found = judge(read_log(log))
    assert found.exit_code == 0, found.verdict
