"""Every finding of the protocol in proofs/FINDINGS.md, reproduced."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.findings import beside, core, predicates, protocol, repairs
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.ablate import ablate, all_broken
from mtpo.proofs.mutants.cases import Planned, case_instance
from mtpo.proofs.runs.checker import CHECKS
from mtpo.spec.delivery import delivery
from mtpo.spec.mtpo import mtpo
from mtpo.spec.rules import clauses_of
from mtpo_core import machine as m
from mtpo_core.cli.specs import find_specs
from mtpo_core.machine import Key, Machine, Policy
from tests.proofs.fates import fate, mutants_of
from tests.proofs.findings import test_findings_of_schedulers

TEXT = (Path(__file__).parents[3] / "proofs" / "FINDINGS.md").read_text(encoding="utf-8")


def shown(one):
    """The run of a trace, which is checked as it is made, and the last state of it."""
    run = one.run()
    return run.trace, run.trace.states[-1]


def drive(machine, effects, out):
    """Perform effects with made-up values; returns all of them in order."""
    seen, queue = [], list(effects)
    while queue:
        effect = queue.pop(0)
        seen.append(effect)
        follow = []
        match effect:
            case m.Undo(call=key):
                follow = machine.step(m.Undone(key))
            case m.Exec(call=key, saw=saw):
                follow = machine.step(m.Applied(key, out(key, saw)))
            case m.Redo(call=key, saw=saw):
                follow = machine.step(m.Redone(key, out(key, saw)))
        queue = follow + queue
    return seen


def setup(policy=Policy.REPLAY, agents=3):
    machine = Machine({}, "absent", policy)
    for _ in range(agents):
        machine.step(m.Launch())

    def out(key, saw):
        inputs = "".join(sight.digest for sight in saw.values())
        return dict.fromkeys(machine.calls[key].writes, f"{key}({inputs})")

    def write(agent, writes, reads=(), invertible=True):
        return drive(machine, machine.step(m.Call(agent, frozenset(reads), frozenset(writes), invertible)), out)

    return machine, write


def test_f1_undoing_only_what_lies_on_the_object_loses_a_write():
    machine, write = setup()
    write(1, "xy"), write(1, "y")
    seen = write(0, "x")
    assert seen[0] == m.Accepted(Key(0, 0), (Key(1, 0), Key(1, 1)))
    assert machine.trajectory["y"] == [Key(1, 0), Key(1, 1)]
    trace, _ = shown(protocol.WRITES_OVER_WRITES)
    assert trace.steps[-1].args[1] == (0, 0, 1, 0), "a1's second write is not undone with its first"
    assert fate("mtpo.call.closed").told_by == ("mtpo.repairs-go-on", "mtpo.undo-enabled")


def test_f1_a_shortest_run_that_breaks_is_of_three_agents_with_a_call_each():
    (row,) = ablate("closure")
    trace = row.broken["mtpo.undo-enabled"]
    launched = [step for step in trace.steps if step.action == "launch"]
    assert not trace.inductive and len(launched) == 3
    authors = trace.instance.constants["author"][1:]
    assert tuple(authors) == (0, 1, 2), "a call each"


def test_f1_a_redo_that_reads_needs_read_write_edges_and_a_cancel_does_not():
    for policy, members in ((Policy.REPLAY, (Key(1, 0), Key(2, 0))), (Policy.CANCEL, (Key(1, 0),))):
        _, write = setup(policy)
        write(1, "p", reads="q"), write(2, "q")
        assert write(0, "p")[0] == m.Accepted(Key(0, 0), members)
    trace, state = shown(protocol.REDO_THAT_READS)
    assert trace.steps[-1].action == "redone" and trace.instance.value(state, "source", 2, 1) == 3, "from above"


def test_f1_late_is_defined_by_reads_too():
    _, write = setup()
    write(1, "q")
    seen = write(0, "p", reads="q")
    assert seen[0] == m.Accepted(Key(0, 0), (Key(1, 0),))
    assert seen[2] == m.Exec(Key(0, 0), {"q": m.Sight(None, "absent")})
    trace, _ = shown(protocol.LATE_BY_A_READ)
    assert trace.steps[-1].action == "applied"


def test_f2_a_redone_call_with_another_result_is_told_to_its_author():
    _, write = setup()
    write(1, "x", reads="x")
    notes = [e for e in write(0, "x") if isinstance(e, m.Notify)]
    assert [(n.agent, n.results) for n in notes] == [(1, (m.Result(Key(1, 0), "changed"),))]
    assert shown(protocol.RESULT_NOT_TOLD)[0].steps[-1].action == "redone"
    assert {record.kind for record in core.RESULT_CHANGES.run().records} >= {"undone", "redone", "notify"}


def test_f3_a_non_invertible_call_can_be_late_and_is_never_undone():
    machine, write = setup(agents=2)
    write(1, "x")
    seen = write(0, "x", invertible=False)
    assert seen[0] == m.Accepted(Key(0, 0), (Key(1, 0),)), "late, though every lower rank (none) has committed"
    assert machine.step(m.Call(1, frozenset(), frozenset("x"), invertible=False)) != []
    assert shown(protocol.LATE_WITHOUT_INVERSE)[0].steps[-1].action == "settle"
    for clause in ("mtpo.call.gate", "mtpo.call.inbox-empty"):
        assert fate(clause).killed_by


def test_f4_cancelling_before_the_late_call_has_landed_is_caught():
    assert fate("mtpo.cancelled.after-landing").killed_by == (protocol.WITHDRAWN_EARLY.breaks,)
    assert shown(protocol.WITHDRAWN_EARLY)[0].steps[-1].action == "cancelled"


def test_f5_readers_of_every_object_of_a_cancelled_call_are_told():
    machine, write = setup(Policy.CANCEL)
    write(1, "xy")
    machine.step(m.Read(2, ("y",)))
    notes = [e for e in write(0, "x") if isinstance(e, m.Notify)]
    assert [n.agent for n in notes] == [1, 2]
    assert [(p.object, p.now) for p in notes[1].premises] == [("y", m.Sight(None, "absent"))]
    assert shown(protocol.WHOLE_FOOTPRINT_TOLD)[0].steps[-1].action == "settle"


def test_f6_a_notified_agent_can_do_nothing_before_it_has_read():
    machine, write = setup()
    machine.step(m.Read(1, ("x",)))
    write(0, "x")
    for event in (m.Read(1, ("z",)), m.Call(1, frozenset(), frozenset("z")), m.Finish(1)):
        assert machine.step(event) == [m.Bounced(1, (1,))]
    assert [record.agent for record in core.INFERENCE_IN_VAIN.run().records if record.kind == "bounce"] == [1]


def test_f8_what_made_a_call_fail_is_a_premise():
    machine, write = setup()
    machine.step(m.Call(1, frozenset("d"), frozenset("x")))
    machine.step(m.Failed(Key(1, 0)))
    notes = [e for e in write(0, "d") if isinstance(e, m.Notify)]
    assert [(n.agent, n.premises[0].object) for n in notes] == [(1, "d")]
    assert "mtpo.failure-is-a-premise" in fate("mtpo.failed.sighted:=").killed_by
    kinds = [record.kind for record in core.FAILURE_IS_A_PREMISE.run().records if record.agent == 1]
    assert kinds.index("failed") < kinds.index("notify") < kinds.index("deliver") < kinds.index("applied")


def test_f9_who_retracts_hears_of_its_own_later_calls():
    machine, write = setup(agents=1)
    write(0, "x"), write(0, "y", reads="x")
    seen = drive(machine, machine.step(m.Retract(Key(0, 0))), lambda key, saw: dict.fromkeys("y", "otherwise"))
    assert [(n.agent, n.by) for n in seen if isinstance(n, m.Notify)] == [(0, Key(0, 0))]
    trace, _ = shown(protocol.TOLD_BY_ONESELF)
    assert [step.action for step in trace.steps][-2:] == ["retracted", "settle"]


def test_f9_a_call_without_an_inverse_is_a_savepoint():
    machine, write = setup(agents=1)
    write(0, "x"), write(0, "y", invertible=False), write(0, "z")
    with pytest.raises(m.MachineError, match=r"0\.1 has no inverse and was made after it"):
        machine.step(m.Retract(Key(0, 0)))
    seen = drive(machine, machine.step(m.Abort(0)), lambda key, saw: {})
    assert [e.call for e in seen if isinstance(e, m.Retracting)] == [Key(0, 2)]
    assert seen[-1] == m.Committed(0)
    assert shown(protocol.SAVEPOINT)[0].steps[-1].action == "commit"
    assert shown(protocol.KEPT_UNDONE)[0].steps[-1].action == "retracted"


def test_f9_what_an_aborted_agent_had_read_is_no_premise_any_more():
    machine, write = setup(agents=2)
    machine.step(m.Read(1, ("x",)))
    drive(machine, machine.step(m.Abort(1)), lambda key, saw: {})
    assert not [e for e in write(0, "x") if isinstance(e, m.Notify)]
    assert shown(protocol.PREMISE_OF_THE_DEAD)[0].steps[-1].action == "abort"


def test_f10_what_somebody_changed_is_not_touched():
    """Without one of the clauses, or a part of it, a run of this case touches it."""
    case, untouched = (Planned(0, "", "x"), Planned(1, "y", "x"), Planned(1, "", "xy")), "mtpo.foreign-untouched"
    for clause in ("call.ours", "retract.ours", "undone.ours", "applied.ours", "redone.ours", "retracted.ours"):
        for mutant in mutants_of(mtpo, f"mtpo.{clause}"):
            instance, roots = case_instance(mutant.spec, case, left_out=("abort",))
            broken, _, _ = all_broken(instance, roots, 10**5, enough=bool)
            assert untouched in broken, mutant.id
            assert broken[untouched].steps[-1].action == mutant.action
    trace, state = shown(protocol.FOREIGN)
    assert trace.steps[-1].action == "read" and trace.instance.value(state, "opened", 1)


# Of the next ones the action that ends the run is part of the trace: it is another that fails first, or none.


def test_f11_a_request_that_lands_after_the_answer_is_caught():
    assert shown(beside.LANDS_AFTER_THE_ANSWER)[0].steps[-1].action == "land"
    assert shown(beside.NO_FENCE)[0].steps[-1].action == "ask"


def test_f12_an_inverse_that_spoils_what_the_call_had_not_reached_is_caught():
    trace, _ = shown(beside.INVERSE_OF_NOTHING)
    assert [step.action for step in trace.steps if step.action in ("effect", "reverse")] == ["reverse", "reverse"]


def test_f13_undo_data_of_before_a_crash_are_caught():
    assert shown(beside.OLD_UNDO_DATA)[0].steps[-1].action == "announce"


def test_f14_a_torn_attempt_that_counts_as_undone_is_caught():
    trace, state = shown(beside.TORN)
    assert trace.steps[-1].action == "undone" and trace.instance.value(state, "held", 0) == 1, "its remains"
    assert "recovery.atomic" in fate("recovery.undone.wholly").killed_by


def test_f15_a_repeated_send_and_an_assumed_outcome_are_caught():
    assert shown(beside.SENT_TWICE)[0].steps[-1].action == "land"
    assert shown(beside.TAKEN_TO_HAVE_WORKED)[0].steps[-1].action == "complete"


def test_f16_an_inference_that_lacks_a_notification_may_be_stopped():
    claims = ("delivery.doomed-for-good", "delivery.stop-is-a-bounce")
    assert [v.status for v in prove(delivery, properties=frozenset(claims))] == ["PROVED", "PROVED"]
    assert shown(beside.CONSUMED_UNSEEN)[0].steps[-1].action == "accept"
    assert shown(beside.STOPPED_FOR_NOTHING)[0].steps[-1].action == "stop"


@pytest.mark.parametrize("one", [beside.OVERTAKEN_ON_THE_WAY, beside.OVERTAKEN_IN_THE_INBOX])
def test_f17_a_value_carried_by_a_notification_that_was_overtaken_is_told_last(one):
    for breaks, ends in (("delivery.told-newest", "deliver"), ("delivery.acts-on-the-newest", "accept")):
        assert shown(attrs.evolve(one, breaks=breaks, ends_with=ends))[0].steps[-1].action == ends


def test_f18_a_bounce_that_hands_over_nothing_may_come_for_ever():
    assert fate("delivery.bounce.arrived:=").killed_by == (beside.BOUNCES_FOR_EVER.breaks,)
    assert shown(beside.BOUNCES_FOR_EVER)[0].inductive, "no run ends: it is a step that gets nowhere"


def test_f32_a_write_of_two_objects_is_overtaken_as_often_as_its_successors_like():
    for rounds in (1, 4):
        run = repairs.overtaken(rounds).run()
        assert [told.by.split(", ")[-1] for told in run.told] == ["mtpo.call.unlocked"] * 2 * rounds
        assert run.trace.steps[-1].args[0] == 1, "when nobody goes on it gets in"
    assert "locks.no-bypass" in fate("locks.begin.in-line").killed_by
    assert shown(beside.OUT_OF_LINE)[0].steps[-1].action == "begin"


def test_f33_who_took_a_call_back_is_told_when_what_it_had_read_changes_again():
    machine, write = setup(agents=2)
    write(1, "p", reads="x"), write(0, "x")
    machine.step(m.Deliver(1))
    drive(machine, machine.step(m.Retract(Key(1, 0))), lambda key, saw: {})
    (told,) = (e for e in write(0, "x") if isinstance(e, m.Notify))
    assert (told.agent, [(p.call, p.object) for p in told.premises]) == (1, [(Key(1, 0), "x")])


def test_f33_who_does_not_repeat_a_cancelled_call_is_told_too_and_of_what_there_is_now():
    machine, write = setup(Policy.CANCEL, agents=2)
    write(1, "x", reads="x")
    for _ in range(2):
        (told,) = (e for e in write(0, "x") if isinstance(e, m.Notify))
        assert (told.agent, [(p.call, p.object) for p in told.premises]) == (1, [(Key(1, 0), "x")])
        machine.step(m.Deliver(1))


@pytest.mark.parametrize("action", ["cancelled", "stranded", "retracted"])
def test_f33_a_call_that_is_taken_back_and_forgotten_is_caught(action):
    assert shown(repairs.forgotten(action))[0].steps[-1].action == action


def test_f33_the_core_tells_the_author_of_a_call_that_is_out():
    records = core.TAKEN_BACK.run().records
    out = next(n for n, record in enumerate(records) if record.kind == "retracted")
    assert "notify" in {record.kind for record in records[out:]}


SPECS = find_specs(None)
NAMED = sorted(set(re.findall(rf"`((?:run|{'|'.join(spec.name for spec in SPECS)})\.[a-z_.:=-]+)`", TEXT)))


@pytest.mark.parametrize("id", NAMED)
def test_everything_that_the_findings_name_exists(id):
    assert id in {*CHECKS, *(known for spec in SPECS for known in clauses_of(spec))}


def test_every_finding_has_a_test():
    findings = re.findall(r"^## (F\d+)\.", TEXT, re.MULTILINE)
    tests = {
        name.split("_")[1].upper()
        for name in (*globals(), *vars(test_findings_of_schedulers))
        if re.match(r"test_f\d", name)
    }
    assert findings and set(findings) == tests


def test_f24_what_is_only_read_must_be_locked_too():
    broken, _, complete = all_broken(*mtpo_instance(2, 1, 2, spec=repairs.locking_writes_only()), 10**6)
    assert complete
    assert {"mtpo.filtered-read", "mtpo.in-place", "mtpo.notified-serializable"} < broken.keys()
    steps = [step.action for step in shown(repairs.READ_WITHOUT_LOCK)[0].steps]
    assert steps.count("applied") == 2 and "undone" not in steps and "deliver" not in steps


def test_f28_a_write_is_lost_when_what_covers_it_goes():
    for id, property in (
        ("shadows.settle.none-bare", "shadows.as-ordered"),
        ("shadows.surface.seeds", "shadows.closed"),
        ("shadows.read.unshadowed", "shadows.reads-as-ordered"),
    ):
        assert property in fate(id).killed_by, id
    assert [
        shown(one)[0].steps[-1].action for one in (beside.COVER_GONE, beside.SURFACES_ABOVE, beside.READ_BETWEEN)
    ] == [
        "settle",
        "surface",
        "read",
    ]


def test_f26_a_read_by_undo_under_cancel_withdraws_what_it_looked_beneath():
    trace, _ = shown(repairs.READ_BY_UNDO)
    assert trace.steps[-1].action == "cancelled"


def test_f27_a_redo_goes_by_the_exact_value_though_its_author_is_not_told():
    spec = predicates.redo_of_what_it_had_seen()
    broken, _, complete = all_broken(*mtpo_instance(2, 1, 1, spec=spec, predicates=True), 10**6)
    assert complete and "mtpo.effects-exact" in broken


def test_f29_an_agent_is_told_though_a_repair_of_its_successor_has_halted():
    trace, state = shown(repairs.SUCCESSOR_NOT_WAITED_FOR)
    assert trace.instance.value(state, "opened", 3) and trace.instance.value(state, "committed", 1)
    run = repairs.SUCCESSOR_WAITED_FOR.run()
    assert [(told.step.action, told.by) for told in run.told] == [("deliver", "mtpo.deliver.settled")]
    assert run.trace.steps == trace.steps[: len(run.trace.steps)], "the same run, as far as it goes"
    for clause in ("read.settled", "deliver.settled"):
        assert fate(f"mtpo.{clause}").killed_by, "the middle of a repair from below is seen"


def test_f30_an_author_is_not_told_of_half_a_repair():
    assert shown(repairs.HALF_A_REPAIR)[0].steps[-1].action == "deliver"
    assert shown(repairs.HALF_A_REPAIR_SEEN)[0].steps[-1].action == "deliver"
    assert fate("mtpo.deliver.settled~3").killed_by == ("mtpo.repair-atomic",), "where premises alone are waited for"


def test_f31_what_an_aborted_agent_did_is_not_redone():
    assert shown(repairs.REDO_OF_THE_DEAD)[0].steps[-1].action == "commit"
    assert shown(repairs.REDO_OF_THE_DEAD_SEEN)[0].steps[-1].action == "redone"
    assert "mtpo.aborted-act-no-more" in fate("mtpo.redone.author-there").killed_by


def test_f37_of_what_made_a_call_fail_a_predicate_waives_nothing():
    trace, last = shown(predicates.WAIVED_FAILURE)
    assert [step.action for step in trace.steps if step.action in ("failed", "applied")] == ["failed", "applied"]
    assert trace.instance.value(last, "void", 2) and not trace.instance.value(last, "note", 2)
    found = explore(*mtpo_instance(2, 1, 1, predicates=True))
    assert found.complete and "mtpo.failures-exact" in {v.property for v in found.verdicts if v.status == "CHECKED"}
    assert shown(predicates.TOLD_OF_ANY_VALUE)[0].steps[-1].action == "commit"
