"""The machine, event by event: effects, their order, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from mtpo_core import machine as m
from mtpo_core.machine import Key, Machine, MachineError, Policy, Sight


def make(agents: int = 2, policy: Policy = Policy.REPLAY, **initial: str) -> Machine:
    machine = Machine(initial or {"x": "x0", "y": "y0"}, "absent", policy)
    for rank in range(agents):
        assert machine.step(m.Launch()) == [m.Launched(rank)]
    return machine


def call(machine: Machine, agent: int, reads: str = "", writes: str = "", invertible: bool = True) -> list[m.Effect]:
    return machine.step(m.Call(agent, frozenset(reads), frozenset(writes), invertible))


def write(machine: Machine, agent: int, reads: str = "", **out: str) -> Key:
    """A call that is not late, from acceptance to settlement."""
    accepted, exec_ = call(machine, agent, reads, "".join(out))
    assert isinstance(accepted, m.Accepted)
    assert accepted.members == ()
    assert isinstance(exec_, m.Exec)
    assert machine.step(m.Applied(accepted.call, out))[0] == m.Settled(accepted.call, ())
    return accepted.call


def kinds(effects: Sequence[m.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def refused(machine: Machine, event: m.Event, clause: str) -> str:
    """The event is refused for a clause, in one line, and changes nothing."""
    before = repr(vars(machine))
    with pytest.raises(MachineError) as caught:
        machine.step(event)
    assert caught.value.clause == clause
    assert repr(vars(machine)) == before
    text = str(caught.value)
    assert clause in text
    assert "\n" not in text
    return text


# -- keys ----------------------------------------------------------------------------------------------------------


def test_keys_are_ordered_by_rank_then_issue_and_read_back() -> None:
    assert Key(0, 9) < Key(1, 0) < Key(1, 1) < Key(10, 0)
    assert Key.parse(str(Key(12, 3))) == Key(12, 3)
    for text in ("", "1", "1.", "a.b", "1.2.3"):
        with pytest.raises(ValueError):
            Key.parse(text)


# -- reads ---------------------------------------------------------------------------------------------------------


def test_a_read_is_answered_from_the_position_of_its_author() -> None:
    machine = make()
    high = write(machine, 1, x="x1")
    low = machine.step(m.Read(0, ("x", "y", "z")))
    initial = {"x": Sight(None, "x0"), "y": Sight(None, "y0"), "z": Sight(None, "absent")}
    assert low == [m.Served(Key(0, 0), initial, filtered=True)]
    assert machine.step(m.Read(1, ("x",))) == [m.Served(Key(1, 1), {"x": Sight(high, "x1")}, filtered=False)]
    assert machine.materialized("x") == "x1"
    assert machine.materialized("z") == "absent"
    assert machine.objects == {"x", "y"}


# -- repairs -------------------------------------------------------------------------------------------------------


def test_a_late_write_is_slipped_in_below() -> None:
    """Undo from the top, act, redo from below, settle, notify: in this order."""
    machine = make(3)
    first, second = write(machine, 1, "x", x="x1"), write(machine, 2, "x", x="x12")
    accepted, undo = call(machine, 0, "x", "x")
    assert accepted == m.Accepted(Key(0, 0), (first, second))
    assert undo == m.Undo(second)
    assert machine.step(m.Undone(second)) == [m.Undo(first)]
    assert machine.materialized("x") == "x1"
    assert machine.step(m.Undone(first)) == [m.Exec(Key(0, 0), {"x": Sight(None, "x0")})]
    acted = machine.step(m.Applied(Key(0, 0), {"x": "x0'"}))
    assert acted == [m.Redo(first, {"x": Sight(Key(0, 0), "x0'")})]
    resolved, redo = machine.step(m.Redone(first, {"x": "x0'1"}))
    assert resolved == m.Resolved(first, "redone", {"x": Sight(Key(0, 0), "x0'")}, changed=True)
    assert redo == m.Redo(second, {"x": Sight(first, "x0'1")})
    end = machine.step(m.Redone(second, {"x": "x0'12"}))
    assert kinds(end) == ["Resolved", "Settled", "Notify", "Notify"]
    assert end[1] == m.Settled(Key(0, 0), (first, second))
    assert end[2] == m.Notify(1, 1, Key(0, 0), (), (m.Result(first, "changed"),))
    assert end[3] == m.Notify(2, 2, Key(0, 0), (), (m.Result(second, "changed"),))
    assert machine.trajectory["x"] == [Key(0, 0), first, second]


def test_a_redo_that_comes_to_the_same_tells_nobody() -> None:
    machine = make()
    high = write(machine, 1, x="x1")
    call(machine, 0, "", "x")
    machine.step(m.Undone(high))
    machine.step(m.Applied(Key(0, 0), {"x": "x0'"}))
    end = machine.step(m.Redone(high, {"x": "x1"}))
    assert end == [m.Resolved(high, "redone", {}, changed=False), m.Settled(Key(0, 0), ())]
    assert not machine.agents[1].noted


def test_a_failed_call_puts_the_undone_ones_back_and_its_author_alone_knows() -> None:
    machine = make()
    high = write(machine, 1, "x", x="x1")
    call(machine, 0, "x", "x")
    machine.step(m.Undone(high))
    assert kinds(machine.step(m.Failed(Key(0, 0)))) == ["Redo"]
    assert machine.step(m.Redone(high, {"x": "x1"}))[1:] == [m.Settled(Key(0, 0), ())]
    assert machine.calls[Key(0, 0)].status == "failed"


def test_what_made_a_call_fail_is_a_premise() -> None:
    machine = make()
    call(machine, 1, "x", "x")
    machine.step(m.Failed(Key(1, 0)))
    accepted, _ = call(machine, 0, "", "x")
    assert accepted == m.Accepted(Key(0, 0), ())
    _, notify = machine.step(m.Applied(Key(0, 0), {"x": "x1"}))
    assert notify == m.Notify(1, 1, Key(0, 0), (m.Premise(Key(1, 0), "x", "x0", Sight(Key(0, 0), "x1")),), ())


def test_under_cancel_undone_calls_are_withdrawn_once_the_late_one_has_landed() -> None:
    machine = make(3, Policy.CANCEL)
    first, second = write(machine, 1, "x", x="x1"), write(machine, 2, "x", x="x12")
    call(machine, 0, "", "x")
    machine.step(m.Undone(second))
    machine.step(m.Undone(first))
    end = machine.step(m.Applied(Key(0, 0), {"x": "x9"}))
    assert [(e.call, e.status) for e in end if isinstance(e, m.Resolved)] == [
        (first, "cancelled"),
        (second, "cancelled"),
    ]
    assert kinds(end) == ["Resolved", "Resolved", "Settled", "Notify", "Notify"]
    assert machine.materialized("x") == "x9"
    # What a withdrawn call had read is known to its author: it is told of later changes, too (F33).
    machine.step(m.Deliver(1))
    machine.step(m.Deliver(2))
    later = [*call(machine, 0, "", "x"), *machine.step(m.Applied(Key(0, 1), {"x": "x8"}))]
    assert kinds(later)[-3:] == ["Settled", "Notify", "Notify"]
    assert [(e.agent, e.premises[0].now.digest) for e in later[-2:]] == [(1, "x8"), (2, "x8")]


def test_a_stranded_redo_is_withdrawn_and_its_author_told() -> None:
    machine = make()
    high = write(machine, 1, "x", x="x1")
    call(machine, 0, "", "x")
    machine.step(m.Undone(high))
    machine.step(m.Applied(Key(0, 0), {"x": "absent"}))
    resolved, settled, notify = machine.step(m.Stranded(high))
    assert resolved == m.Resolved(high, "stranded", {}, changed=True)
    assert settled == m.Settled(Key(0, 0), (high,))
    now = m.Premise(high, "x", "x0", m.Sight(Key(0, 0), "absent"))
    assert notify == m.Notify(1, 1, Key(0, 0), (now,), (m.Result(high, "stranded"),))
    assert machine.materialized("x") == "absent"


def test_the_reader_of_what_only_an_undone_call_wrote_is_told() -> None:
    """Finding F5: under cancel a withdrawn call's other object goes back too, and its readers must know."""
    machine = make(3, Policy.CANCEL)
    both = write(machine, 1, x="x1", y="y1")
    machine.step(m.Read(2, ("y",)))
    call(machine, 0, "", "x")
    assert kinds(machine.step(m.Undone(both))) == ["Exec"]
    end = machine.step(m.Applied(Key(0, 0), {"x": "x9"}))
    assert m.Notify(2, 2, Key(0, 0), (m.Premise(Key(2, 0), "y", "y1", Sight(None, "y0")),), ()) in end


def test_the_set_to_undo_is_closed_over_what_a_redo_reads() -> None:
    """Finding F1: a1 {reads y, writes x}, a2 writes y, a0 writes x: under replay a2's write must go as well."""
    for policy, expected in ((Policy.REPLAY, 2), (Policy.CANCEL, 1)):
        machine = make(3, policy)
        write(machine, 1, "y", x="x1")
        write(machine, 2, y="y2")
        accepted = call(machine, 0, "", "x")[0]
        assert isinstance(accepted, m.Accepted)
        assert len(accepted.members) == expected


# -- notifications -------------------------------------------------------------------------------------------------


def test_a_call_with_unread_notifications_bounces_and_nothing_is_issued() -> None:
    machine = make()
    machine.step(m.Read(1, ("x",)))
    write_effects = call(machine, 0, "", "x")
    assert kinds(write_effects) == ["Accepted", "Exec"]
    assert kinds(machine.step(m.Applied(Key(0, 0), {"x": "x1"}))) == ["Settled", "Notify"]
    issued = machine.agents[1].issued
    for event in (m.Read(1, ("y",)), m.Call(1, frozenset("x"), frozenset("x")), m.Finish(1)):
        assert machine.step(event) == [m.Bounced(1, (1,))]
    assert machine.agents[1].issued == issued
    (delivered,) = machine.step(m.Deliver(1))
    assert delivered == m.Delivered(1, (1,), (m.Premise(Key(1, 0), "x", "x0", Sight(Key(0, 0), "x1")),), ())
    assert machine.step(m.Deliver(1)) == []
    assert kinds(machine.step(m.Read(1, ("y",)))) == ["Served"]


def test_several_changes_of_one_premise_are_delivered_as_one() -> None:
    machine = make()
    machine.step(m.Read(1, ("x",)))
    for number in (1, 2):
        call(machine, 0, "", "x")
        machine.step(m.Applied(Key(0, number - 1), {"x": f"x{number}"}))
    (delivered,) = machine.step(m.Deliver(1))
    assert delivered == m.Delivered(1, (1, 2), (m.Premise(Key(1, 0), "x", "x0", Sight(Key(0, 1), "x2")),), ())


def test_a_value_that_comes_back_leaves_nothing_to_say_but_the_notice_is_consumed() -> None:
    machine = make()
    machine.step(m.Read(1, ("x",)))
    for number, value in enumerate(("x1", "x0")):
        call(machine, 0, "", "x")
        machine.step(m.Applied(Key(0, number), {"x": value}))
    (delivered,) = machine.step(m.Deliver(1))
    assert isinstance(delivered, m.Delivered)
    assert delivered.premises == ()
    assert len(delivered.ids) >= 1
    assert not machine.agents[1].noted


def test_a_finished_agent_that_is_told_goes_back_to_work_before_it_commits() -> None:
    machine = make()
    machine.step(m.Read(1, ("x",)))
    assert machine.step(m.Finish(1)) == [m.Finished(1)]
    call(machine, 0, "", "x")
    machine.step(m.Applied(Key(0, 0), {"x": "x1"}))
    assert machine.step(m.Finish(0)) == [m.Finished(0), m.Committed(0)]
    assert not machine.quiet
    assert kinds(machine.step(m.Deliver(1))) == ["Reopened", "Delivered"]
    assert machine.step(m.Finish(1)) == [m.Finished(1), m.Committed(1)]
    assert machine.quiet


def test_commits_cascade_in_rank_order() -> None:
    machine = make(3)
    assert machine.step(m.Finish(2)) == [m.Finished(2)]
    assert machine.step(m.Finish(1)) == [m.Finished(1)]
    assert machine.step(m.Finish(0)) == [m.Finished(0), m.Committed(0), m.Committed(1), m.Committed(2)]


# -- the gate ------------------------------------------------------------------------------------------------------


def test_a_call_without_inverse_waits_for_every_lower_rank() -> None:
    machine = make(3)
    assert call(machine, 2, "", "x", invertible=False) == [m.Gated(2, (0, 1))]
    machine.step(m.Finish(0))
    assert call(machine, 2, "", "x", invertible=False) == [m.Gated(2, (1,))]
    machine.step(m.Finish(1))
    assert call(machine, 2, "", "x", invertible=False)[0] == m.Accepted(Key(2, 0), ())


def test_a_late_call_without_inverse_undoes_what_is_above_it() -> None:
    """Finding F3: it can be late; what holds is that it is never undone itself."""
    machine = make()
    high = write(machine, 1, "x", x="x1")
    accepted, undo = call(machine, 0, "x", "x", invertible=False)
    assert accepted == m.Accepted(Key(0, 0), (high,))
    assert undo == m.Undo(high)


# -- what is refused -----------------------------------------------------------------------------------------------


def test_events_out_of_place_are_refused_for_a_clause_of_the_spec() -> None:
    machine = make()
    high = write(machine, 1, "x", x="x1")
    assert "rank 7; 2 launched" in refused(machine, m.Read(7, ("x",)), "mtpo.call.author-at-work")
    refused(machine, m.Finish(-1), "mtpo.call.author-at-work")
    refused(machine, m.Applied(high, {"x": "x2"}), "mtpo.applied.its-turn")
    refused(machine, m.Undone(high), "mtpo.undone.its-turn")
    call(machine, 0, "", "x")
    refused(machine, m.Read(1, ("x",)), "mtpo.repair-atomic")
    refused(machine, m.Finish(1), "mtpo.repair-atomic")
    refused(machine, m.Deliver(1), "mtpo.repair-atomic")
    refused(machine, m.Applied(Key(0, 0), {"x": "x2"}), "mtpo.applied.its-turn")
    refused(machine, m.Redone(high, {"x": "x2"}), "mtpo.redone.ascending")
    refused(machine, m.Undone(Key(0, 0)), "mtpo.undone.live-member")
    machine.step(m.Undone(high))
    refused(machine, m.Undone(high), "mtpo.undone.live-member")


def test_an_outcome_that_is_not_the_footprint_is_refused() -> None:
    machine = make()
    call(machine, 0, "", "xy")
    for out in ({"x": "x1"}, {"x": "x1", "y": "y1", "z": "z1"}, {}):
        with pytest.raises(MachineError, match=r"missing or undeclared for .* \[mtpo\.applied\.footprint\]"):
            machine.step(m.Applied(Key(0, 0), out))
    assert kinds(machine.step(m.Applied(Key(0, 0), {"x": "x1", "y": "y1"}))) == ["Settled"]


def test_a_finished_agent_may_not_act() -> None:
    machine = make()
    machine.step(m.Finish(1))
    assert "which has finished" in refused(machine, m.Read(1, ("x",)), "mtpo.read.author-at-work")
    refused(machine, m.Call(1, frozenset(), frozenset("x")), "mtpo.call.author-at-work")
    refused(machine, m.Finish(1), "mtpo.finish.author-at-work")


# -- the trusted base ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["mtpo_core", "mtpo_core.machine", "mtpo_core.runtime"])
def test_the_core_loads_attrs_and_the_standard_library_only(module: str) -> None:
    code = (
        f"import sys; before = set(sys.modules); import {module}; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"attr", "attrs", "mtpo", "mtpo_core"}
