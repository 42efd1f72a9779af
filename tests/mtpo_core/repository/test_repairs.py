"""Writes that come late on a real git repository: what is above them is undone and redone."""

from __future__ import annotations

import pytest

from mtpo_core.machine import Policy
from mtpo_core.notices import CallNews, Change

from .conftest import A, B, C, Make, git, of


def test_a_rank_reversed_write_is_undone_and_redone(world: Make) -> None:
    w = world()
    late = w.done(B, "append", path="notes.md", content="b\n")
    assert w.text("notes.md") == "start\nb\n"
    w.done(A, "append", path="notes.md", content="a\n")
    assert w.text("notes.md") == "start\na\nb\n"
    (notice,) = w.sync.drain(B)
    assert notice.changes == (), "the redo has refreshed what the call read"
    wrote = Change("notes.md", b"start\nb\n", b"start\na\nb\n", "B")
    assert notice.results == (CallNews(str(late.call), "append", "redone", None, (wrote,)),)
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


@pytest.mark.parametrize(
    ("tool", "args", "reason"),
    [
        ("replace", {"old": "start", "new": "begin"}, "notes.md: no such file"),
        # A footprint is fixed when a call is issued; this one has the listing only where the file is new.
        ("write_file", {"content": "two\n"}, "redone now, it would touch ./ as well; call it again if it is to"),
    ],
)
def test_a_redo_whose_object_is_gone_is_stranded(tool: str, args: dict[str, str], reason: str, world: Make) -> None:
    w = world()
    w.done(B, tool, path="notes.md", **args)
    w.done(A, "delete_file", path="notes.md")
    assert not (w.root / "notes.md").exists()
    (notice,) = w.sync.drain(B)
    told = f"{tool}: {reason}"
    assert [(news.tool, news.status, news.result) for news in notice.results] == [(tool, "stranded", told)]
    w.done(B, "create_file", path="notes.md", content="anew\n")
    run = w.finish()
    assert w.text("notes.md") == "anew\n"
    (stranded,) = of(run, "stranded")
    assert stranded.body["error"] == told
    assert not any(r.body.get("undeclared") for r in run.records), "no tool went beyond what it declared"


def test_under_cancel_the_author_decides(world: Make) -> None:
    w = world(policy=Policy.CANCEL)
    w.done(B, "append", path="notes.md", content="b\n")
    w.done(A, "append", path="notes.md", content="a\n")
    assert w.text("notes.md") == "start\na\n"
    (notice,) = w.sync.drain(B)
    assert [(news.tool, news.status) for news in notice.results] == [("append", "cancelled")]
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
