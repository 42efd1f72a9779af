"""Who is told what on a real git repository, and what a call meets that was made without knowing."""

from __future__ import annotations

import json
from typing import Any

from mtpo_core.notices import Change, parse_notices

from .conftest import A, B, C, Make, World, of


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
        "changed": {"VERSION": {"by": "A", "now": "1.5\n"}}
    }
    assert w.sync.drain(B) == ()
    run = w.finish()
    notify = {r.agent: r.body for r in of(run, "notify")}
    (premise,) = notify[B]["premises"]
    assert (premise["call"], premise["object"], premise["write"]) == ("1.0", "VERSION", "0.0")
    assert (run.values[premise["was"]], run.values[premise["now"]]) == (b"1.4\n", b"1.5\n")


def notice(w: World, agent: int) -> dict[str, Any]:
    (told,) = w.sync.drain(agent)
    (data,) = parse_notices(told.text())
    return data


def test_what_a_redone_call_makes_is_not_taken_for_what_is_below_it(world: Make) -> None:
    """The result of the call is another, and its author knows the object only as that of a call that failed."""
    w = world()
    w.refused(B, "replace", path="notes.md", old="none", new="some")
    w.done(B, "replace", path="notes.md", old="t", new="T")
    w.done(A, "write_file", path="notes.md", content="ttt\n")
    assert notice(w, B) == {
        "changed": {"notes.md": {"by": "A", "now": "ttt\n"}},
        "your_calls": {
            "1.1": {
                "tool": "replace",
                "status": "redone",
                "result": "replaced 3 occurrences in notes.md",
                "wrote": {"notes.md": {"now": "TTT\n"}},
            }
        },
    }
    w.finish()


def test_a_file_that_is_deleted_is_not_told_to_be_there(world: Make) -> None:
    w = world()
    w.done(B, "read_file", path="notes.md")
    w.done(B, "delete_file", path="notes.md")
    w.done(A, "write_file", path="notes.md", content="new\n")
    assert notice(w, B) == {
        "changed": {"notes.md": {"by": "A", "now": "new\n"}},
        "your_calls": {"1.1": {"tool": "delete_file", "status": "redone", "wrote": {"notes.md": {"now": None}}}},
    }
    w.finish()


def test_of_a_change_under_an_own_write_it_is_told_that_it_is(world: Make) -> None:
    w = world()
    w.done(B, "read_file", path="notes.md")
    over = w.done(B, "write_file", path="notes.md", content="mine\n")
    w.done(A, "write_file", path="notes.md", content="new\n")
    assert notice(w, B) == {"changed": {"notes.md": {"by": "A", "under": str(over.call), "now": "new\n"}}}
    w.finish()


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
