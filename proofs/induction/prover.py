"""Obligations of an inductive proof, and how each is discharged.

Every obligation is one conjunct of one property against one action, so a failure names both. One that has been hard
before is tried with what sufficed then (``remembered``). One that z3 leaves open is tried again with the few hypotheses
that matter (``relevant``); then on small finite domains, where a real failure is found fast and becomes a picture
(``refuting``); then again with one step property after the other as a hypothesis, each proven of that action first.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs
import z3

from mtpo.proofs.children import check
from mtpo.proofs.induction.refuting import first_state_breaking, step_breaking
from mtpo.proofs.induction.relevant import Argument, Goal, Relevance
from mtpo.proofs.induction.remembered import Memory
from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.proofs.induction.vacuity import QUICK_MS, SMALL, small_sizes
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.language import Action, Spec, Variant, conjuncts, show

TIMEOUT_MS = 10_000
"""Time for one question, in milliseconds."""

FIRST_MS = 300
"""Time for the first try, with all hypotheses, in milliseconds: what is not shown by then seldom is."""


ANY: Final = Action("any state", "Nothing happens: for what follows from the other invariants.", (), (), (), "")
"""The step that leaves a state as it is."""


@attrs.frozen(eq=False)
class Obligation:
    """``goal``, or that a variant decreases, is to be shown of an action; ``action`` None: of the initial states;
    :data:`ANY`: of every state in which the invariants hold that are not derived."""

    property: str
    clause: str
    action: Action | None
    goal: Goal | Variant
    place: str = attrs.field(init=False)
    """The action's name, or ``init``."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "place", self.action.name if self.action else "init")


@attrs.frozen
class Outcome:
    """What the solver said of an obligation."""

    status: Status
    seconds: float
    trace: Trace | None = None
    proof: tuple[Argument, ...] = ()
    """What was proven: the obligation itself, or its conjuncts from few hypotheses, or with a step property proven of
    this very step as one more hypothesis."""


def obligations(spec: Spec, only: Callable[[str, str], bool] = lambda property, action: True) -> Iterator[Obligation]:
    """All obligations of a spec; ``only(property id, action name or "init")`` selects."""
    invariants = spec.role("invariant", "lemma")
    for p in invariants:
        if not p.derived and only(p.id, "init"):
            for part in conjuncts(p.formula) or [p.formula]:
                yield Obligation(p.id, show(part), None, Goal(part, step=False))
        if p.derived and only(p.id, ANY.name):
            for part in conjuncts(p.formula) or [p.formula]:
                yield Obligation(p.id, show(part), ANY, Goal(part, step=False))
    for action in spec.actions.values():
        for p in spec.role("step"):
            if only(p.id, action.name):
                yield Obligation(p.id, show(p.formula), action, Goal(p.formula, step=True))
        for p in invariants:
            if not p.derived and only(p.id, action.name):
                for part in conjuncts(p.formula) or [p.formula]:
                    yield Obligation(p.id, show(part), action, Goal(part, step=False))
        for variant in spec.variants.values():
            if variant.bounds(action.name) and only(variant.id, action.name):
                does = "decreases it" if action.name in variant.decreases else "does not raise it"
                yield Obligation(variant.id, f"{action.name} {does}", action, variant)


class Prover:
    """Discharges the obligations of a spec. ``timeout_ms`` is the most for one question."""

    def __init__(self, spec: Spec, timeout_ms: int = TIMEOUT_MS, memory: Memory | None = None) -> None:
        self.spec = spec
        self.timeout_ms = timeout_ms
        self.symbolic = Symbolic(spec)
        self.axioms = self.symbolic.axioms()
        self.invariants = spec.basis
        self.induction = self.symbolic.hypotheses(self.invariants)
        self.relevance = Relevance(self.symbolic, Memory() if memory is None else memory)
        self._initial = self.symbolic.initial()
        self._holds: dict[tuple[str, str], bool] = {}
        """Step properties by action, as far as they were needed as cuts."""

    def of(self, obligation: Obligation) -> Prover:
        """Who discharges an obligation: what is derived follows from invariants that are not."""
        return self._of_any_state if obligation.action is ANY and ANY.name not in self.spec.actions else self

    @functools.cached_property
    def _of_any_state(self) -> Prover:
        spec = self.spec
        properties = {id: attrs.evolve(p, role="derived") if p.derived else p for id, p in spec.properties.items()}
        spec = spec.without(properties=properties, actions={**spec.actions, ANY.name: ANY})
        return Prover(spec, self.timeout_ms, self.relevance.memory)

    def whole(self, obligation: Obligation) -> Argument:
        """The goal from all hypotheses."""
        symbolic, goal, action = self.symbolic, obligation.goal, obligation.action
        if action is None:
            assert isinstance(goal, Goal)
            return Argument(self._initial, symbolic.formula(goal.part, symbolic.before))
        place = self.relevance.place(action)
        aim = symbolic.bounded(goal, obligation.place, place.after) if isinstance(goal, Variant) else place.goal(goal)
        return Argument([*self.induction, *symbolic.guard(action, symbolic.before, place.env)], aim)

    def discharge(self, obligation: Obligation) -> Outcome:
        """Prove or refute one obligation."""
        start = time.perf_counter()
        proof, trace = self._proof(obligation)
        status = Status.PROVED if proof else Status.FAILED if trace else Status.UNKNOWN
        return Outcome(status, time.perf_counter() - start, trace, tuple(proof))

    def with_fewer(self, obligation: Obligation) -> Outcome:
        """Prove an obligation from as few hypotheses as will do, or UNKNOWN: for a solver that many lead astray."""
        start, found = time.perf_counter(), None
        if obligation.action is not None and isinstance(obligation.goal, Goal):
            found = self.relevance.arguments(obligation.action, obligation.goal)
        status = Status.PROVED if found else Status.UNKNOWN
        return Outcome(status, time.perf_counter() - start, None, tuple(found or ()))

    def _proof(self, obligation: Obligation) -> tuple[list[Argument], Trace | None]:
        action, goal = obligation.action, obligation.goal
        known = self.relevance.known(action, goal, self.timeout_ms) if action and isinstance(goal, Goal) else None
        if known:
            return known, None
        whole = self.whole(obligation)
        answer = self._solve(whole, min(self.timeout_ms, FIRST_MS))
        if answer == z3.unsat:
            return [whole], None
        if answer == z3.unknown and action is not None and isinstance(goal, Goal):
            found = self.relevance.arguments(action, goal)
            if found:
                return found, None
        trace = self._refute(obligation)
        if trace is not None or answer == z3.sat:
            return [], trace
        for cut in self._shown_steps(obligation, whole):
            longer = Argument([*whole.hypotheses, cut], whole.goal)
            if self._solve(longer, min(self.timeout_ms, QUICK_MS)) == z3.unsat:
                return [longer], None
        return [whole] if self._solve(whole, self.timeout_ms, seed=7) == z3.unsat else [], None

    def _shown_steps(self, obligation: Obligation, whole: Argument) -> Iterator[z3.BoolRef]:
        """Step properties that hold of this very step: each is proven from the same hypotheses before it is used."""
        action = obligation.action
        if action is None or any(obligation.property == p.id for p in self.spec.role("step")):
            return
        for p in self.spec.role("step"):
            cut = self.relevance.place(action).goal(Goal(p.formula, step=True))
            if (p.id, action.name) not in self._holds:
                own = Argument(whole.hypotheses, cut)
                self._holds[p.id, action.name] = self._solve(own, min(self.timeout_ms, QUICK_MS)) == z3.unsat
            if self._holds[p.id, action.name]:
                yield cut

    def _solve(self, argument: Argument, timeout_ms: int, seed: int = 0) -> z3.CheckSatResult:
        solver = z3.Solver(ctx=self.symbolic.context)
        solver.set("random_seed", seed)
        solver.add(*self.axioms, *argument.hypotheses, z3.Not(argument.goal))
        return check(solver, timeout_ms)

    def smt2(self, argument: Argument, status: Status = Status.PROVED) -> str:
        """The argument as an SMT-LIB 2 script: ``unsat`` means proven. It says so itself if it is."""
        solver = z3.Solver(ctx=self.symbolic.context)
        solver.add(*self.axioms, *argument.hypotheses, z3.Not(argument.goal))
        said = {Status.PROVED: "unsat", Status.FAILED: "sat"}.get(status, "unknown")
        text = solver.to_smt2().replace("(set-info :status unknown)\n", "", 1)  # z3 says so of every script
        return f"(set-info :status {said})\n(set-logic ALL)\n{text}"

    def _refute(self, obligation: Obligation) -> Trace | None:
        """A counterexample on small domains, if there is one."""
        for size in SMALL:
            sizes = small_sizes(self.spec, size)
            if obligation.action is None:
                found = first_state_breaking(self.spec, obligation.property, sizes, self.timeout_ms)
            else:
                id = obligation.property
                properties = (self.spec.variants[id] if id in self.spec.variants else self.spec.properties[id],)
                found = step_breaking(self.spec, obligation.action.name, properties, sizes, self.timeout_ms)
            if isinstance(found, Trace):
                return found if obligation.action is not ANY else attrs.evolve(found, states=found.states[:1], steps=())
        return None
