"""Every finding of the protocol in proofs/FINDINGS.md, reproduced."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from mtpo.proofs.ablate import all_broken
from mtpo.proofs.explore import explore
from mtpo.proofs.findings.repairs import WAIVED_FAILURE
from mtpo.proofs.inductive import prove
from mtpo.proofs.instances import mtpo_instance, sizes_for, small_instance
from mtpo.proofs.mutate import SIZES, mutants, try_mutant
from mtpo.spec.bounded_gap import gap
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.concur import concur
from mtpo.spec.delivery import delivery
from mtpo.spec.failover import failover
from mtpo.spec.footprint import footprint
from mtpo.spec.language import FALSE, forall, implies
from mtpo.spec.locks import locks
from mtpo.spec.mtpo import Agent, Call, mtpo
from mtpo.spec.mtpo import Object as Piece
from mtpo.spec.mtpo import Value as Result
from mtpo.spec.mtpo.model import author, by, locked, note, opened, reads, sighted, writes
from mtpo.spec.paged_kv import kv
from mtpo.spec.recovery import Call as LoggedCall
from mtpo.spec.recovery import Object, Value, recovery
from mtpo.spec.rules import clauses_of
from mtpo.spec.serial import serial
from mtpo_core import machine as m
from mtpo_core.machine import Key, Machine, Policy
from tests.proofs import test_findings_of_schedulers
from tests.proofs.fates import fate, mutant_of

TEXT = (Path(__file__).parents[2] / "proofs" / "FINDINGS.md").read_text(encoding="utf-8")


def last_step(spec, property, instance=None):
    """The action that ends a shortest run which breaks the property, whatever else the run breaks before."""
    kept = {p.id: p for p in (*spec.role("assumption"), spec.properties[property])}
    alone = spec.without(properties=kept, variants={})
    found = explore(*(instance(alone) if instance else small_instance(alone, sizes_for(alone))))
    (broken,) = (v for v in found.verdicts if v.status == "FAILED" and v.method == "exhaustive")
    assert broken.property == property and broken.trace is not None
    return broken.trace.steps[-1].action


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
    killed = fate("mtpo.call.closed")
    assert killed.killed_by and killed.trace is not None


def test_f1_a_redo_that_reads_needs_read_write_edges_and_a_cancel_does_not():
    for policy, members in ((Policy.REPLAY, (Key(1, 0), Key(2, 0))), (Policy.CANCEL, (Key(1, 0),))):
        _, write = setup(policy)
        write(1, "p", reads="q"), write(2, "q")
        assert write(0, "p")[0] == m.Accepted(Key(0, 0), members)


def test_f1_late_is_defined_by_reads_too():
    _, write = setup()
    write(1, "q")
    seen = write(0, "p", reads="q")
    assert seen[0] == m.Accepted(Key(0, 0), (Key(1, 0),))
    assert seen[2] == m.Exec(Key(0, 0), {"q": m.Sight(None, "absent")})
    assert fate("mtpo.call.seeds").killed_by


def test_f2_a_redone_call_with_another_result_is_told_to_its_author():
    _, write = setup()
    write(1, "x", reads="x")
    notes = [e for e in write(0, "x") if isinstance(e, m.Notify)]
    assert [(n.agent, n.results) for n in notes] == [(1, (m.Result(Key(1, 0), "changed"),))]
    assert "mtpo.redo-told" in fate("mtpo.redone.note:=").killed_by


def test_f3_a_non_invertible_call_can_be_late_and_is_never_undone():
    machine, write = setup(agents=2)
    write(1, "x")
    seen = write(0, "x", invertible=False)
    assert seen[0] == m.Accepted(Key(0, 0), (Key(1, 0),)), "late, though every lower rank (none) has committed"
    assert machine.step(m.Call(1, frozenset(), frozenset("x"), invertible=False)) != []
    for clause in ("mtpo.call.gate", "mtpo.call.inbox-empty"):
        assert fate(clause).killed_by


def test_f4_cancelling_before_the_late_call_has_landed_is_caught():
    assert fate("mtpo.cancelled.after-landing").killed_by == ("mtpo.withdrawn-after-landing",)


def test_f5_readers_of_every_object_of_a_cancelled_call_are_told():
    machine, write = setup(Policy.CANCEL)
    write(1, "xy")
    machine.step(m.Read(2, ("y",)))
    notes = [e for e in write(0, "x") if isinstance(e, m.Notify)]
    assert [n.agent for n in notes] == [1, 2]
    assert [(p.object, p.now) for p in notes[1].premises] == [("y", m.Sight(None, "absent"))]


def test_f6_a_notified_agent_can_do_nothing_before_it_has_read():
    machine, write = setup()
    machine.step(m.Read(1, ("x",)))
    write(0, "x")
    for event in (m.Read(1, ("z",)), m.Call(1, frozenset(), frozenset("z")), m.Finish(1)):
        assert machine.step(event) == [m.Bounced(1, (1,))]


def test_f8_what_made_a_call_fail_is_a_premise():
    machine, write = setup()
    machine.step(m.Call(1, frozenset("d"), frozenset("x")))
    machine.step(m.Failed(Key(1, 0)))
    notes = [e for e in write(0, "d") if isinstance(e, m.Notify)]
    assert [(n.agent, n.premises[0].object) for n in notes] == [(1, "d")]
    assert "mtpo.failure-is-a-premise" in fate("mtpo.failed.sighted:=").killed_by


def test_f9_who_retracts_hears_of_its_own_later_calls():
    machine, write = setup(agents=1)
    write(0, "x"), write(0, "y", reads="x")
    seen = drive(machine, machine.step(m.Retract(Key(0, 0))), lambda key, saw: dict.fromkeys("y", "otherwise"))
    assert [(n.agent, n.by) for n in seen if isinstance(n, m.Notify)] == [(0, Key(0, 0))]
    strict = mtpo.without()

    @strict.step_property("mtpo.strictly-upwards")
    def strictly_upwards():
        return forall(Call, Call, lambda p, c: implies(note.next(p) & ~note(p) & opened(c), author(c) < author(p)))

    found = explore(*mtpo_instance(1, 2, 1, spec=strict, faults=True))
    failed = {v.property: v.trace for v in found.verdicts if v.status == "FAILED" and v.method == "exhaustive"}
    assert list(failed) == ["mtpo.strictly-upwards"]
    assert [step.action for step in failed["mtpo.strictly-upwards"].steps][-2:] == ["retracted", "settle"]


def test_f9_a_call_without_an_inverse_is_a_savepoint():
    machine, write = setup(agents=1)
    write(0, "x"), write(0, "y", invertible=False), write(0, "z")
    with pytest.raises(m.MachineError, match=r"0\.1 has no inverse and was made after it"):
        machine.step(m.Retract(Key(0, 0)))
    seen = drive(machine, machine.step(m.Abort(0)), lambda key, saw: {})
    assert [e.call for e in seen if isinstance(e, m.Retracting)] == [Key(0, 2)]
    assert seen[-1] == m.Committed(0)
    assert fate("mtpo.retract.not-kept").killed_by


def test_f9_what_an_aborted_agent_had_read_is_no_premise_any_more():
    machine, write = setup(agents=2)
    machine.step(m.Read(1, ("x",)))
    drive(machine, machine.step(m.Abort(1)), lambda key, saw: {})
    assert not [e for e in write(0, "x") if isinstance(e, m.Notify)]
    assert fate("mtpo.abort.sighted:=").killed_by


def test_f10_what_somebody_changed_is_not_touched():
    for clause in ("call.ours", "retract.ours", "undone.ours", "applied.ours", "redone.ours", "retracted.ours"):
        for mutant in (mutant for mutant in mutants(mtpo) if mutant.id.startswith(f"mtpo.{clause}")):
            assert "mtpo.foreign-untouched" in try_mutant(mutant, SIZES["mtpo"]).killed_by


def test_f11_a_request_that_lands_after_the_answer_is_caught():
    mutant = mutant_of("recovery.ask.under_way:=").spec
    assert last_step(mutant, "recovery.write-ahead") == "land"
    assert last_step(mutant, "recovery.fenced") == "ask"


def test_f12_an_inverse_that_spoils_what_the_call_had_not_reached_is_caught():
    wild = recovery.without(
        properties={id: p for id, p in recovery.properties.items() if id != "recovery.inverse-idempotent"}
    )
    constants = {
        "origin": lambda: 0,
        "writes": lambda c, o: True,
        "invertible": lambda c: c == 1,
        "askable": lambda c: True,
        "tame": lambda c: False,
        "given": lambda o: 0,
    }
    sizes = {LoggedCall: 2, Object: 2, Value: 2}
    assert last_step(wild, "recovery.as-logged", lambda spec: (Instance(spec, sizes, constants),)) == "undone"


def test_f13_undo_data_of_before_a_crash_are_caught():
    mutant = mutant_of("recovery.restart.prepared:=").spec
    assert last_step(mutant, "recovery.undo-data-first") == "announce"


def test_f14_a_torn_attempt_that_counts_as_undone_is_caught():
    assert last_step(mutant_of("recovery.undone.wholly").spec, "recovery.atomic") == "undone"


def test_f15_a_repeated_send_and_an_assumed_outcome_are_caught():
    assert last_step(mutant_of("recovery.start.once").spec, "recovery.no-double-effect") == "land"
    assert last_step(mutant_of("recovery.complete.wholly").spec, "recovery.never-guessed") == "complete"


def test_f16_an_inference_that_lacks_a_notification_may_be_stopped():
    claims = ("delivery.doomed-for-good", "delivery.stop-is-a-bounce")
    assert [v.status for v in prove(delivery, properties=frozenset(claims))] == ["PROVED", "PROVED"]
    assert last_step(mutant_of("delivery.deliver.idle").spec, "delivery.consumed-before-action") == "accept"
    assert last_step(mutant_of("delivery.stop.notified").spec, "delivery.stop-loses-nothing") == "stop"


@pytest.mark.parametrize("clause", ["arrive.in-order", "deliver.in-order"])
def test_f17_a_value_carried_by_a_notification_that_was_overtaken_is_told_last(clause):
    mutant = mutant_of(f"delivery.{clause}").spec
    assert last_step(mutant, "delivery.told-newest") == "deliver"
    assert last_step(mutant, "delivery.acts-on-the-newest") == "accept"


def test_f18_a_bounce_that_hands_over_nothing_may_come_for_ever():
    assert fate("delivery.bounce.arrived:=").killed_by == ("delivery.gets-through",)


def three_agents(rounds):
    """a0 is to write both objects; a1 writes the first, a2 the second, so many times each."""
    sizes = {Agent: 3, Call: 2 + 2 * rounds, Piece: 2, Result: 1}
    total = sizes[Call]
    footprint = [1, 1, 1, 1] + [1, 0] * rounds + [0, 1] * rounds
    constants = {
        "origin": [0],
        "author": [0, 0] + [1] * rounds + [2] * rounds,
        "reads": [0] * 2 * total,
        "writes": footprint,
        "invertible": [1] * total,
        "given": [0, 0],
        "accepts": [0] * 2 * total,
        "replay": [1],
    }
    return Instance(mtpo, sizes, constants), [0] * total


def test_f32_a_write_of_two_objects_is_overtaken_as_often_as_its_successors_like():
    rounds = 4
    at, nobody = three_agents(rounds)
    state = at.initial()

    def take(action, *args):
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        at.perform(state, step)

    for agent in range(3):
        take("launch", agent)
    held = None
    for turn in range(2 * rounds):
        call, locks = (2 + turn // 2, (1, 0)) if turn % 2 == 0 else (2 + rounds + turn // 2, (0, 1))
        take("call", call, nobody, locks)
        if held is not None:
            take("settle", held)
        take("applied", call, (0, 0))
        held = call
        later = [int(c > 1 and bool(at.value(state, "live", c))) for c in range(len(nobody))]
        assert [c.id for c in at.refused(state, Step("call", (1, later, (1, 1))))][-1:] == ["mtpo.call.unlocked"]
    take("settle", held)
    assert not at.refused(state, Step("call", (1, [int(c > 1) for c in range(len(nobody))], (1, 1))))
    assert "locks.no-bypass" in fate("locks.begin.in-line").killed_by


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


@pytest.mark.parametrize(("action", "calls"), [("cancelled", 1), ("stranded", 1), ("retracted", 1)])
def test_f33_a_call_that_is_taken_back_and_forgotten_is_caught(action, calls):
    changed = mtpo.actions[action]
    updates = tuple(attrs.evolve(u, value=FALSE) if u.variable.name == "sighted" else u for u in changed.updates)
    spec = mtpo.without(actions={**mtpo.actions, action: attrs.evolve(changed, updates=updates)})
    found = last_step(spec, "mtpo.failure-is-a-premise", lambda s: mtpo_instance(2, calls, 1, spec=s, faults=True))
    assert found == action


def test_f37_of_what_made_a_call_fail_a_predicate_waives_nothing():
    run = WAIVED_FAILURE.run()
    at, last = run.trace.instance, run.trace.states[-1]
    assert [step.action for step in run.trace.steps if step.action in ("failed", "applied")] == ["failed", "applied"]
    assert at.value(last, "void", 2) and not at.value(last, "note", 2)
    found = explore(*mtpo_instance(2, 1, 1, predicates=True))
    assert found.complete and "mtpo.failures-exact" in {v.property for v in found.verdicts if v.status == "CHECKED"}


NAMED = sorted(
    set(re.findall(r"`((?:mtpo|serial|kv|run|recovery|delivery|concur|gap|failover|footprint|locks)\.[a-z_.:=-]+)`", TEXT))
)


@pytest.mark.parametrize("id", NAMED)
def test_everything_that_the_findings_name_exists(id):
    from mtpo.proofs.checker import CHECKS

    assert id in {
        *CHECKS,
        *(
            known
            for spec in (mtpo, serial, kv, recovery, delivery, concur, gap, failover, footprint, locks)
            for known in clauses_of(spec)
        ),
    }


def test_every_finding_has_a_test():
    findings = re.findall(r"^## (F\d+)\.", TEXT, re.MULTILINE)
    tests = {
        name.split("_")[1].upper()
        for name in (*globals(), *vars(test_findings_of_schedulers))
        if re.match(r"test_f\d", name)
    }
    assert findings and set(findings) == tests


def locking_writes_only(action):
    """Of an action that opens a repair, the clause on what it must lock, without what is only read."""
    c, members, locks = action.params
    weaker = forall(
        Piece,
        lambda o: (
            implies(writes(c, o), locks(o)) & forall(Call, lambda m: implies(members(m) & writes(m, o), locks(o)))
        ),
    )
    guard = (attrs.evolve(g, formula=weaker) if g.id.endswith(".locks-all") else g for g in action.guard)
    return attrs.evolve(action, guard=tuple(guard))


def test_f24_what_is_only_read_must_be_locked_too():
    actions = {**mtpo.actions, **{name: locking_writes_only(mtpo.actions[name]) for name in ("call", "retract")}}
    broken, _, complete = all_broken(*mtpo_instance(2, 1, 2, spec=mtpo.without(actions=actions)), 10**6)
    assert complete
    assert {"mtpo.filtered-read", "mtpo.in-place", "mtpo.notified-serializable"} < broken.keys()
    steps = [step.action for step in broken["mtpo.notified-serializable"].steps]
    assert steps.count("applied") == 2 and "undone" not in steps and "deliver" not in steps


def test_f28_a_write_is_lost_when_what_covers_it_goes():
    for id, property in (
        ("shadows.settle.none-bare", "shadows.as-ordered"),
        ("shadows.surface.seeds", "shadows.closed"),
        ("shadows.read.unshadowed", "shadows.reads-as-ordered"),
    ):
        assert property in fate(id).killed_by, id


def test_f26_a_read_by_undo_under_cancel_withdraws_what_it_looked_beneath():
    constants = {
        "origin": [0],
        "author": [0, 0, 1],
        "reads": [0, 1, 0],
        "writes": [1, 0, 1],
        "invertible": [1, 1, 1],
        "given": [0],
        "accepts": [0] * 6,
        "replay": [0],
    }
    at = Instance(mtpo, {Agent: 2, Call: 3, Piece: 1, Result: 2}, constants)
    state = at.initial()
    steps = [("launch", 0), ("launch", 1), ("call", 2, (0, 0, 0), (1,)), ("applied", 2, (1,)), ("settle", 2)]
    steps += [("call", 1, (0, 0, 1), (1,)), ("undone", 2), ("applied", 1, (0,))]
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        at.perform(state, step)
    assert at.value(state, "saw", 1, 0) == 0, "the read is right"
    assert [c.id for c in at.refused(state, Step("redone", (2, (1,))))] == ["mtpo.redone.policy"]
    at.perform(state, Step("cancelled", (2,)))
    assert at.value(state, "withdrawn", 2) and at.value(state, "note", 2) and not at.violated(state)


def test_f27_a_redo_goes_by_the_exact_value_though_its_author_is_not_told():
    push = mtpo.actions["redone"]
    kept = tuple(u for u in push.updates if u.variable.name != "saw")
    spec = mtpo.without(actions={**mtpo.actions, "redone": attrs.evolve(push, updates=kept)})
    broken, _, complete = all_broken(*mtpo_instance(2, 1, 1, spec=spec, predicates=True), 10**6)
    assert complete and "mtpo.effects-exact" in broken


def test_f29_an_agent_is_told_though_a_repair_of_its_successor_has_halted():
    constants = {
        "origin": [0],
        "author": [0, 0, 1, 2],
        "reads": [0, 0, 0, 0, 1, 1, 0, 0],
        "writes": [1, 1, 0, 1, 0, 0, 1, 0],
        "invertible": [1] * 4,
        "given": [0, 0],
        "accepts": [0] * 16,
        "replay": [1],
    }
    none, x, y = (0,) * 4, (1, 0), (0, 1)
    steps = [("launch", 0), ("launch", 1), ("launch", 2), ("read", 2, (0, 0))]
    steps += [("call", 3, none, x), ("applied", 3, (1, 0)), ("settle", 3)]
    steps += [("call", 1, none, y), ("applied", 1, (0, 1)), ("settle", 1)]
    steps += [("retract", 3, none, x), ("external", 0)]
    goes_on = [("deliver", 1), ("finish", 0), ("finish", 1), ("commit", 0), ("commit", 1)]

    at = Instance(mtpo, {Agent: 3, Call: 4, Piece: 2, Result: 2}, constants)
    state = at.initial()
    for action, *args in [*steps, *goes_on]:
        assert not at.refused(state, Step(action, tuple(args))), action
        at.perform(state, Step(action, tuple(args)))
        assert not at.violated(state)
    assert at.value(state, "opened", 3) and not at.value(state, "note", 2) and at.value(state, "committed", 1)
    assert [c.id for c in at.refused(state, Step("retracted", (3,)))] == ["mtpo.retracted.ours"]

    strict = mtpo.actions["deliver"]
    (a,) = strict.params
    waits = forall(Call, Piece, lambda c, o: implies(by(c, a) & sighted(c) & reads(c, o), ~locked(o)))
    guard = tuple(attrs.evolve(g, formula=waits) if g.id == "mtpo.deliver.settled" else g for g in strict.guard)
    spec = mtpo.without(actions={**mtpo.actions, "deliver": attrs.evolve(strict, guard=guard)})
    at = Instance(spec, {Agent: 3, Call: 4, Piece: 2, Result: 2}, constants)
    state = at.initial()
    for action, *args in steps:
        at.perform(state, Step(action, tuple(args)))
    assert [c.id for c in at.refused(state, Step("deliver", (1,)))] == ["mtpo.deliver.settled"]
    for clause in ("read.settled", "deliver.settled"):
        assert fate(f"mtpo.{clause}").killed_by, "the middle of a repair from below is seen"


def blind_writes(author, writes, replay):
    """Two agents and blind writes on two objects, given as ``x``, ``y`` or ``xy``."""
    calls = len(author)
    constants = {
        "origin": [0],
        "author": author,
        "reads": [0] * (2 * calls),
        "writes": [1, 1, *(int(o in footprint) for footprint in writes for o in "xy")],
        "invertible": [1] * calls,
        "given": [0, 0],
        "accepts": [0] * (4 * calls),
        "replay": [int(replay)],
    }
    at = Instance(mtpo, {Agent: 2, Call: calls, Piece: 2, Result: 2}, constants)
    return at, at.initial()


def perform(at, state, *steps):
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        at.perform(state, step)
        assert not at.violated(state), step


def test_f30_an_author_is_not_told_of_half_a_repair():
    at, state = blind_writes([0, 0, 1, 1], ("xy", "x", "y"), replay=False)
    none, x, y = (0,) * 4, (1, 0), (0, 1)
    perform(at, state, ("launch", 0), ("launch", 1))
    perform(at, state, ("call", 2, none, x), ("applied", 2, x), ("settle", 2))
    perform(at, state, ("call", 3, none, y), ("applied", 3, y), ("settle", 3))
    perform(at, state, ("call", 1, (0, 0, 1, 1), (1, 1)), ("undone", 3), ("undone", 2), ("applied", 1, (0, 0)))
    perform(at, state, ("cancelled", 2))
    assert at.value(state, "note", 2) and at.value(state, "pending", 3)
    assert [c.id for c in at.refused(state, Step("deliver", (1,)))] == ["mtpo.deliver.settled"]
    perform(at, state, ("cancelled", 3), ("settle", 1), ("deliver", 1))
    assert fate("mtpo.deliver.settled~3").killed_by == ("mtpo.repair-atomic",), "where premises alone are waited for"


def test_f31_what_an_aborted_agent_did_is_not_redone():
    at, state = blind_writes([0, 0, 1], ("x", "x"), replay=True)
    none, x = (0,) * 3, (1, 0)
    perform(at, state, ("launch", 0), ("launch", 1), ("call", 2, none, x), ("applied", 2, x), ("settle", 2))
    perform(at, state, ("call", 1, (0, 0, 1), x), ("undone", 2), ("abort", 1), ("applied", 1, (0, 0)))
    assert [c.id for c in at.refused(state, Step("redone", (2, x)))] == ["mtpo.redone.author-there"]
    perform(at, state, ("stranded", 2), ("settle", 1), ("finish", 0), ("commit", 0), ("commit", 1))
    assert "mtpo.aborted-act-no-more" in fate("mtpo.redone.author-there").killed_by
