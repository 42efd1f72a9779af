"""CONCUR: proven for any number of agents and any window, explored at a small size, and read by example."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.concur import Agent, Level, Seat, concur

PROVEN = {
    "concur.no-preemption",
    "concur.admitted-into-room",
    "concur.no-growth-above-the-window",
    "concur.bounds",
    "concur.one-rule-a-tick",
    "concur.rules-applied",
    "concur.measured-at-ticks",
    "concur.healthy-keeps-running",
    "concur.paused-when-over",
    "concur.transcript-kept",
    "concur.no-regrowth",
    "concur.room-when-nobody-runs",
    "concur.first-come-first-served",
    "concur.packed",
}


def instance(lazy=True, heavy=False):
    """Two agents, a window of one or two seats, a cache that is nearly empty (0) or full (1)."""
    constants = {
        "least": lambda s: s == 0,
        "most": lambda s: True,
        "low": lambda: 0,
        "high": lambda: 1,
        "lazy": lambda: lazy,
        "heavy": lambda: heavy,
        "no_seat": lambda: 0,
    }
    return Instance(concur, {Agent: 2, Seat: 2, Level: 2}, constants)


def test_every_property_is_inductive_for_any_number_of_agents_and_any_window():
    verdicts = {v.property: v.status for v in prove(concur)}
    assert verdicts.keys() >= PROVEN
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    seen = explore(instance())
    assert seen.complete
    assert set(seen.taken) == set(concur.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


def story(*steps, **chosen):
    """The state after steps that are all allowed."""
    at = instance(**chosen)
    state = at.initial()
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        at.perform(state, step)
        assert not at.violated(state)
    return at, state


KEEP = (0, 1)
GROWN = (("grow", 0, (0, 1), KEEP), ("arrive", 0), ("arrive", 1), ("admit", 0, 0), ("admit", 1, 1))
CUT = (*GROWN, ("cut", 1, (0, 1), KEEP))
BOUNDARY = (*CUT, ("end", 0))


@pytest.mark.parametrize(
    ("steps", "refused", "clause"),
    [
        ((("arrive", 0), ("arrive", 1)), ("admit", 1, 0), "concur.admit.oldest"),
        ((("arrive", 0),), ("admit", 0, 1), "concur.admit.open"),
        (GROWN[:4], ("admit", 1, 0), "concur.admit.empty"),
        (GROWN, ("cut", 0, (0, 1), KEEP), "concur.cut.high"),
        (GROWN, ("cut", 1, (1, 0), KEEP), "concur.cut.at-least"),
        (GROWN, ("hold", 0, False), "concur.hold.not-low"),
        (GROWN, ("hold", 1, True), "concur.hold.not-collapsed"),
        (CUT, ("pause", 0, KEEP), "concur.pause.boundary"),
        (BOUNDARY, ("go_on", 0), "concur.go_on.not-over"),
        (BOUNDARY, ("pause", 0, KEEP), "concur.pause.open-seats-first"),
        ((*GROWN, ("end", 0)), ("pause", 0, KEEP), "concur.pause.over"),
    ],
)
def test_what_is_refused_and_by_which_clause(steps, refused, clause):
    at, state = story(*steps)
    action, *args = refused
    assert clause in [c.id for c in at.refused(state, Step(action, tuple(args)))]


def test_after_a_cut_the_one_at_a_boundary_is_paused_and_resumed_when_there_is_room_with_what_it_knew():
    paused = (*BOUNDARY, ("pause", 0, (0, 0)))
    at, state = story(*paused)
    assert at.value(state, "paused", 0) and at.value(state, "text", 0) and at.value(state, "generating", 1)
    at, state = story(*paused, ("end", 1), ("finish", 1, KEEP), ("admit", 0, 0))
    assert at.value(state, "generating", 0) and at.value(state, "text", 0)


def test_a_heavy_agent_keeps_the_window_at_its_smallest_for_ever():
    at, state = story(("arrive", 0), ("admit", 0, 0), heavy=True)
    assert "concur.grow.heavy" in [c.id for c in at.refused(state, Step("grow", (0, (0, 1), KEEP)))]
    story(("arrive", 0), ("admit", 0, 0), ("grow", 0, (0, 1), KEEP), heavy=False)
