"""Why a run may end short of its goal: what refuses each action there, and how that is told and drawn."""

from __future__ import annotations

import re

import pytest

from mtpo.proofs.exploration.deadends import NAMED, Still, data_of, dead_end, ends, goal_reasons, stills
from mtpo.proofs.exploration.goals import GOALS, Goal
from mtpo.proofs.exploration.instances import mtpo_instance, small_instance
from mtpo.proofs.exploration.liveness import Liveness, check_goal
from mtpo.proofs.mutants.ablate import without
from mtpo.proofs.pictures.picture import timeline_of
from mtpo.proofs.pictures.shown import pictures_of
from mtpo.proofs.verdicts import Trace
from mtpo.spec.language import Bool, Sort, Spec, forall, require
from mtpo.spec.mtpo import mtpo


class Guest(Sort):
    "a guest"


SPEC = Spec("supper", "Guests sit down, one after the other, and the last finds no chair.")
seated = SPEC.var("seated", Guest, init=lambda g: False, doc="g sits")
greeted = SPEC.var("greeted", Guest, init=lambda g: False, doc="g was greeted")


@SPEC.action
def sit(g: Guest) -> None:
    "g sits down, if another stands still."
    require("standing", ~seated(g))
    require("chair", ~forall(Guest, lambda h: (h == g) | seated(h)))
    seated[g] = True


@SPEC.action
def rise(g: Guest) -> None:
    "g does not get up."
    require("seated", seated(g))
    seated[g] = True


@SPEC.action
def greet(g: Guest) -> None:
    "g is greeted."
    require("new", ~greeted(g))
    greeted[g] = True


@SPEC.reachable("supper.all-seated")
def all_seated() -> Bool:
    "Everybody sits."
    return forall(Guest, lambda g: seated(g))


GOAL = Goal("supper.all-seated", "Everybody sits.", SPEC.properties["supper.all-seated"].formula, frozenset({"greet"}))


def run_of(found: Liveness) -> Trace:
    assert found.verdict.trace is not None
    return found.verdict.trace


@pytest.fixture(scope="module")
def stuck() -> Liveness:
    return check_goal(*small_instance(SPEC, {Guest: 2}), GOAL)


def test_of_each_action_it_is_told_what_refuses_it_or_that_it_need_not_be_taken(stuck: Liveness) -> None:
    trace = run_of(stuck)
    assert [step.action for step in trace.steps] == ["sit"] and ends(trace)
    (sitting,) = trace.steps[0].args
    there, other = f"guest{sitting}", f"guest{1 - int(str(sitting))}"
    assert dead_end(trace) == [
        "no step must follow:",
        f"  sit: refused by supper.sit.standing: sit(g={there}); refused by supper.sit.chair: sit(g={other})",
        f"  rise: refused by supper.rise.seated: rise(g={other}); changes nothing: rise(g={there})",
        "  greet: need not be taken: greet(g=guest0), greet(g=guest1)",
    ]
    (reason,) = goal_reasons(trace, GOAL.id)
    assert f"seated({other}) is false" in reason.lines()[-1]


def test_many_steps_are_counted_and_few_named() -> None:
    one = Still("a", tuple(((f"s.a.{n}",), tuple("abcde")) for n in range(NAMED + 2)), (), (), False)
    assert one.line().startswith("a: refused by s.a.0: a, b, c and 2 more; refused by s.a.1: ")
    assert "; by other clauses in 2 more ways; of more steps than the first 2,000 nothing was asked" in one.line()
    assert Still("a", (), (), (), True).line() == "a: there is nobody to take it"


def test_a_run_that_goes_on_for_ever_is_told_as_that() -> None:
    found = check_goal(*mtpo_instance(2, 1, 1, spec=without(mtpo, ["reopen.notified"])), GOALS["mtpo.runs-end"])
    trace = run_of(found)
    assert not ends(trace) and dead_end(trace) == [] and data_of(found)["no_step"] is None
    (case,) = pictures_of([found.verdict])
    assert case.shows is not None
    assert re.match(r"Steps \d+ to \d+ can be taken over and over, .*: mtpo\.runs-end\. Every run", case.shows.sentence)


def test_of_the_protocol_each_action_is_told() -> None:
    found = check_goal(*mtpo_instance(2, 1, 1, spec=without(mtpo, ["finish.finished:="])), GOALS["mtpo.runs-end"])
    told = {still.action: still for still in stills(run_of(found))}
    assert list(told) == list(found.instance.spec.actions) and all(still.whole for still in told.values())
    assert told["finish"].idle and told["read"].refused[0][0] and goal_reasons(run_of(found), "mtpo.runs-end")


def test_a_picture_says_that_the_run_may_end_and_that_no_state_breaks_anything(stuck: Liveness) -> None:
    (case,) = pictures_of([stuck.verdict])
    line = timeline_of(case)
    assert line.verdict.tone == "bad"
    assert line.verdict.sentence == "A run may end here, short of supper.all-seated. Everybody sits."
    assert line.verdict.reasons[-4:] == tuple(dead_end(run_of(stuck)))
    assert all(field.text != "the property is false" for mark in line.marks for field in mark.fields)
    assert line.states is not None and line.states.false_in == ()
    # The goal reads where everybody sits, also of whom nothing has changed.
    assert {row.name for row in line.states.rows} == {"seated(guest0)", "seated(guest1)"}


def test_a_notebook_tells_it_as_the_command_does() -> None:
    found = SPEC.explore(live=True, goal="supper.all-seated", may="greet", Guest=2)
    (trace,) = (v.trace for v in found.verdicts)
    told = [f"  {line}" for line in (*goal_reasons(trace, "supper.all-seated")[0].lines(), *dead_end(trace))]
    assert repr(found).splitlines()[-len(told) :] == told
    assert not found.holds and "  rise: refused by supper.rise.seated: rise(g=guest1); changes" in repr(found)
    assert [one["action"] for one in found.as_json()["no_step"]] == ["sit", "rise", "greet"]
    assert "#bf3527" in found._repr_html_() and "A run may end here, short of" in found._repr_html_()
    assert SPEC.explore(live=True, goal="supper.all-seated", may="sit", Guest=1).as_json()["no_step"] is not None
