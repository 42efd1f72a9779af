"""What an agent is told, and a mind then believes, of calls of its own that were redone or that it took back itself."""

from __future__ import annotations

from typing import Any

import pytest

from mtpo_core.minds import Memory, Message
from mtpo_core.minds.base import notice_message, result_message
from mtpo_core.notices import parse_notices
from mtpo_core.resources.git import GitRepository
from mtpo_core.runtime import Answer
from mtpo_core.tools import Args, Footprint, Tool, ToolCall, WriteClass, write_tool

from .conftest import A, B, Make, World, of


def notice(w: World, agent: int) -> dict[str, Any]:
    (told,) = w.sync.drain(agent)
    (data,) = parse_notices(told.text())
    return data


def stamp() -> Tool:
    """Writes the same whatever it reads."""

    def act(resource: GitRepository, args: Args) -> str:
        resource.restore("notes.md", b"stamped\n")
        return "stamped"

    footprint = Footprint(reads={"VERSION"}, writes={"notes.md"})
    return write_tool("stamp", "Stamp the notes.", [], WriteClass.BLIND, lambda view, args: footprint, act)


def test_a_value_that_the_own_call_left_is_by_nobody_else(world: Make) -> None:
    """``by`` is left out: it was A that wrote below, and the own call, redone on top of that, that left the value."""
    w = world()
    w.done(B, "append", path="notes.md", content="b\n")
    w.done(B, "read_file", path="notes.md")
    w.done(A, "append", path="notes.md", content="a\n")
    assert notice(w, B) == {
        "changed": {"notes.md": {"now": "start\na\nb\n"}},
        "your_calls": {"1.0": {"tool": "append", "status": "redone"}},
    }
    w.finish()


def test_of_a_call_that_only_read_otherwise_it_is_told_what(world: Make) -> None:
    w = world(stamp())
    w.done(B, "stamp")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert notice(w, B) == {"your_calls": {"1.0": {"tool": "stamp", "status": "redone", "read": ["VERSION"]}}}
    w.done(A, "write_file", path="VERSION", content="1.6\n")
    assert notice(w, B) == {"your_calls": {"1.0": {"tool": "stamp", "status": "redone", "read": ["VERSION"]}}}
    assert [r.body["changed"] for r in of(w.finish(), "redone")] == [True, True]


def test_nothing_is_told_of_a_call_that_only_read_what_is_told_beside(world: Make) -> None:
    w = world(stamp())
    w.done(B, "read_file", path="VERSION")
    w.done(B, "stamp")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert notice(w, B) == {"changed": {"VERSION": {"by": "A", "now": "1.5\n"}}}
    run = w.finish()
    (told,) = of(run, "notify")
    assert told.body["results"] == [{"call": "1.1", "status": "changed"}], "the log has it"


def test_where_a_call_reads_again_what_it_did_all_is_as_it_was(world: Make) -> None:
    w = world(stamp())
    w.done(B, "stamp")
    write = w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert write.call is not None
    assert w.sync.retract(A, write.call).kind == "result"
    (told,) = w.sync.drain(B)
    assert told.text() == "<notification>{}</notification>\nAll is as you saw it; go on."
    w.finish()


def test_nobody_is_told_of_a_listing_that_a_blind_call_of_its_own_only_keeps_up(world: Make) -> None:
    """A name is added to it, whatever other names it has; who has never looked at it rests nothing on them."""
    w = world()
    w.done(B, "write_file", path="b.txt", content="b\n")
    for other in ("b.txt", "a.txt"):  # the listing is read otherwise; and then left otherwise as well
        w.done(A, "write_file", path=other, content="a\n")
        (told,) = w.sync.drain(B)
        assert told.text() == "<notification>{}</notification>\nAll is as you saw it; go on."
    assert [r.body["changed"] for r in of(w.finish(), "redone")] == [True, True], "the log has it"


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("create_file", {"path": "b.txt", "content": "b\n"}),
        ("delete_file", {"path": "notes.md"}),
        ("copy_file", {"source": "notes.md", "destination": "b.txt"}),
        ("move_file", {"source": "notes.md", "destination": "deploy/b.txt"}),
    ],
)
def test_nobody_is_told_of_a_listing_in_which_its_call_only_puts_or_strikes_a_name(
    world: Make, tool: str, args: dict[str, Any]
) -> None:
    w = world()
    w.done(B, tool, **args)
    for folder in ("", "deploy/"):
        w.done(A, "write_file", path=f"{folder}a.txt", content="a\n")
        for told in w.sync.drain(B):  # not where nothing of the call had to be redone
            assert told.text() == "<notification>{}</notification>\nAll is as you saw it; go on."
    changed = [r.body["changed"] for r in of(w.finish(), "redone")]
    assert changed == [True] * (2 if tool == "move_file" else 1), "the log has it"


def test_who_has_looked_at_a_listing_is_told_that_its_call_left_it_otherwise(world: Make) -> None:
    w = world()
    w.done(B, "list_dir", path="deploy/")
    w.done(B, "create_file", path="deploy/b.yaml", content="b\n")
    w.done(A, "write_file", path="deploy/a.yaml", content="a\n")
    assert notice(w, B)["your_calls"]["1.1"]["wrote"] == {"deploy/": {"diff": "@@ -0,0 +1 @@\n+a.yaml"}}
    w.finish()


def test_what_a_call_rests_on_beside_the_listing_is_told(world: Make) -> None:
    """Of what is deleted its author may think otherwise where it is another file; of the listing it need not."""
    w = world()
    w.done(B, "delete_file", path="notes.md")
    w.done(A, "append", path="notes.md", content="a\n")
    w.done(A, "create_file", path="a.txt", content="a\n")
    assert notice(w, B) == {"your_calls": {"1.0": {"tool": "delete_file", "status": "redone", "read": ["notes.md"]}}}
    w.finish()


def test_who_has_looked_at_a_listing_is_told_what_a_blind_call_makes_of_it(world: Make) -> None:
    w = world()
    w.done(B, "list_dir", path="deploy/")
    w.done(B, "write_file", path="deploy/b.yaml", content="b\n")
    w.done(A, "write_file", path="deploy/a.yaml", content="a\n")
    wrote = {"deploy/": {"diff": "@@ -0,0 +1 @@\n+a.yaml"}}  # to what the call made of it before
    assert notice(w, B) == {
        "changed": {"deploy/": {"by": "A", "now": "a.yaml\napi.yaml\n"}},
        "your_calls": {"1.1": {"tool": "write_file", "status": "redone", "wrote": wrote}},
    }
    w.finish()


class Mind:
    """The messages of an agent, as a driver has them."""

    def __init__(self, w: World, agent: int) -> None:
        self.w, self.agent, self.messages = w, agent, list[Message]()

    def does(self, tool: str, **args: object) -> Answer:
        """A call; or a retraction, as docs/embedding.md puts it to a mind."""
        call = ToolCall(tool, args)
        retracts = tool == "retract"
        answer = (
            self.w.sync.retract(self.agent, str(args["call"])) if retracts else self.w.call(self.agent, tool, **args)
        )
        self.messages += [Message("assistant", call.text()), result_message(answer)]
        return answer

    def hears(self) -> None:
        if notices := self.w.sync.drain(self.agent):
            self.messages.append(notice_message(notices))

    def believes(self) -> dict[str, str | None]:
        """What it believes, all of which must be so."""
        memory = Memory.of(self.messages)
        for path, text in memory.beliefs.items():
            file = self.w.root / path
            assert text == (file.read_text() if file.is_file() else None), path
        return memory.beliefs


def test_a_mind_that_took_a_call_back_looks_again_at_what_it_wrote(world: Make) -> None:
    w = world()
    mind = Mind(w, B)
    mind.does("read_file", path="notes.md")
    first = mind.does("append", path="notes.md", content="one\n")
    second = mind.does("write_file", path="VERSION", content="2\n")
    third = mind.does("append", path="notes.md", content="two\n")
    assert mind.believes() == {"notes.md": "start\none\ntwo\n", "VERSION": "2\n"}
    assert mind.does("retract", call=str(second.call)).text == f"write_file: call {second.call} was taken out"
    assert mind.believes() == {"notes.md": "start\none\ntwo\n"}, "VERSION is to be read again"
    mind.does("retract", call=str(first.call))
    mind.hears()
    assert mind.believes()["notes.md"] == "start\ntwo\n", "it was told of its later call"
    assert mind.does("retract", call="1.7").kind == "refused"
    assert mind.does("retract", call=str(third.call)).kind == "result"
    assert mind.believes() == {}
    assert mind.does("read_file", path="notes.md").text == "start\n"
    mind.believes()
    w.finish()


def test_a_commit_that_was_taken_back_is_to_be_made_again(world: Make) -> None:
    w = world()
    mind = Mind(w, B)
    mind.does("append", path="notes.md", content="b\n")
    commit = mind.does("git_commit", paths=["notes.md"], message="B")
    assert Memory.of(mind.messages).uncommitted == set()
    mind.does("retract", call=str(commit.call))
    assert Memory.of(mind.messages).uncommitted == {"notes.md"}
    w.done(A, "append", path="VERSION", content="a\n")
    w.finish()


def test_a_retraction_that_bounced_is_none(world: Make) -> None:
    w = world()
    mind = Mind(w, B)
    mind.does("read_file", path="VERSION")
    write = mind.does("append", path="notes.md", content="b\n")
    mind.does("read_file", path="notes.md")
    w.done(A, "write_file", path="VERSION", content="1.5\n")
    assert mind.does("retract", call=str(write.call)).kind == "bounced"
    assert mind.believes() == {"VERSION": "1.5\n", "notes.md": "start\nb\n"}
    w.finish()


def test_a_call_that_only_read_otherwise_is_believed_as_before(world: Make) -> None:
    w = world()
    mind = Mind(w, B)
    mind.does("delete_file", path="notes.md")
    w.done(A, "append", path="notes.md", content="a\n")
    mind.hears()
    assert '"read":["notes.md"]' in mind.messages[-1].text
    assert mind.believes() == {"notes.md": None}
    w.finish()
