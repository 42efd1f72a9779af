"""Serial: the run that MTPO is equivalent to, from every quiet state; what the assumptions are for; a broken MTPO."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import TooManyChoices, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.exploration.resting import at_rest, serial_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance
from mtpo.spec.language import show
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo
from mtpo.spec.serial import serial


def test_every_property_is_inductive():
    verdicts = {v.property: v.status for v in prove(serial)}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()
    assert {"serial.same-calls", "serial.same-sights", "serial.same-state", "serial.goes-on"} <= verdicts.keys()


def test_what_is_assumed_of_the_run_is_what_mtpo_assumes_or_proves():
    taken = [p for p in serial.role("assumption") if p.id != "serial.at-rest"]
    for assumed in taken:
        original = mtpo.properties[assumed.id.removeprefix("serial.")]
        assert show(assumed.formula) == show(original.formula) and assumed.doc == original.doc
        assert original.role in ("assumption", "invariant", "lemma")
    assert len(taken) > 5


def test_from_every_quiet_state_the_serial_run_ends_in_the_same_state():
    instance, roots = small_instance(serial, sizes_for(serial))
    found = explore(instance, roots)
    assert (found.complete, found.initial, found.states) == (True, 3_589, 15_707)
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()
    assert {p.id for state in roots for p in instance.assumed(state)} == set()


def broken(id):
    """What a mutant of serial violates first, from the runs of the real MTPO."""
    spec = next(m.spec for m in mutants(serial) if m.id == id)
    found = explore(*small_instance(spec, sizes_for(spec)))
    return {v.property for v in found.verdicts if v.status is Status.FAILED}


@pytest.mark.parametrize(
    ("without", "property"),
    [
        ("serial.act.A2-function-of-input", "serial.same-calls"),
        ("serial.fail.A2-function-of-input", "serial.same-calls"),
        ("serial.act.A3-self-healing", "serial.same-calls"),
        ("serial.look.A3-self-healing", "serial.same-calls"),
        ("serial.end.A3-self-healing", "serial.same-calls"),
        ("serial.act.alone/1", "serial.one-after-the-other"),
    ],
)
def test_each_assumption_is_needed(without, property):
    assert property in broken(without)


@pytest.mark.parametrize(
    ("rule", "property"),
    [
        ("mtpo.settle.note:=", "serial.same-sights"),
        ("mtpo.call.seeds", "serial.same-sights"),
        ("mtpo.read.is-greatest", "serial.same-sights"),
        ("mtpo.deliver.saw:=", "serial.same-sights"),
        ("mtpo.retract.seeds", "serial.same-state"),
        ("mtpo.failed.sighted:=", "serial.same-calls"),
    ],
)
def test_a_run_of_a_protocol_without_one_rule_is_not_serializable(rule, property):
    """The serial run shows the holes of the protocol, whatever mtpo's own properties say."""
    spec = next(m.spec for m in mutants(mtpo) if m.id == rule)
    runs = at_rest(*mtpo_instance(2, 1, 1, spec=spec, faults=True))
    instance = Instance(serial, {Agent: 2, Call: 3, Object: 1, Value: 2}, {}, open=tuple(serial.constants))
    found = explore(instance, [instance.freeze(instance.initial(tables)) for tables in runs])
    assert property in {v.property for v in found.verdicts if v.status is Status.FAILED}


def test_sizes_that_are_too_large_are_refused():
    _, roots = serial_instance({Agent: 3, Call: 7, Object: 1, Value: 2})
    with pytest.raises(TooManyChoices, match="more than 2,000,000 states"):
        next(iter(roots))
