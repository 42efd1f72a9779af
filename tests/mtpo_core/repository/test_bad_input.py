"""Paths, calls and logs that are not as they should be: refused in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mtpo_core.log import LogError, read_log
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Args, Footprint, Toolbox, ToolError, View, WriteClass, write_tool

from .conftest import A, B, Make, a_repository, boom


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
    said = "'link': 'link' is a symbolic link, and links are not followed"
    write = {"content": "x"}
    for tool, more in (("read_file", {}), ("append", write), ("read_file", {}), ("write_file", write)):
        assert w.refused(A, tool, path="link", **more) == f"{tool}: {said}"
    assert "is a symbolic link" in w.refused(A, "list_dir", path="link")
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

    tool = write_tool("vague", "for tests", [], WriteClass.RMW, footprint, boom)
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
