"""Inductive proofs: a property holds initially and every action preserves it, for any number of elements.

Every obligation is one conjunct of one property against one action, so a failure names both. An obligation that z3
leaves open is tried again with the few hypotheses that matter (``relevant``); then on small finite domains, where a
real failure is found fast and becomes a picture: a state that satisfies every property and a step out of it that breaks
one; then again with one step property after the other as a hypothesis, each proven of that action first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import z3

from mtpo.proofs.relevant import Argument, Goal, Relevance
from mtpo.proofs.second import Answer, SecondSolver, cvc5_name
from mtpo.proofs.symbolic import Symbolic
from mtpo.proofs.vacuity import QUICK_MS, SMALL, never_taken, no_model, small_sizes
from mtpo.proofs.verdicts import Status, Trace, Verdict
from mtpo.spec.language import Action, Property, Sort, Spec, Variant, conjuncts, show

TIMEOUT_MS = 10_000

FIRST_MS = 300
"""Time for the first try, with all hypotheses, in milliseconds: what is not shown by then seldom is."""


@attrs.frozen(eq=False)
class Obligation:
    """``hypotheses`` must entail ``goal``; ``action`` None stands for the initial states."""

    property: str
    clause: str
    action: Action | None
    hypotheses: list[z3.BoolRef]
    goal: z3.BoolRef
    env: Mapping[Any, Any]
    source: Goal | None = None
    """The goal as a formula of the spec; None where it is none, for a variant, or of no action."""

    def whole(self) -> Argument:
        """The goal from all hypotheses."""
        return Argument(self.hypotheses, self.goal)


@attrs.frozen
class Outcome:
    """What the solver said of an obligation."""

    obligation: Obligation
    status: Status
    seconds: float
    trace: Trace | None = None
    proof: tuple[Argument, ...] = ()
    """What was proven: the obligation itself, or its conjuncts from few hypotheses, or with a step property proven of
    this very step as one more hypothesis."""
    second: str = ""
    """What the second solver said, empty when it was not asked."""
    why: str = ""


class Prover:
    """Generates and discharges the obligations of a spec."""

    def __init__(self, spec: Spec, timeout_ms: int = TIMEOUT_MS) -> None:
        self.spec = spec
        self.timeout_ms = timeout_ms
        self.symbolic = Symbolic(spec)
        self.axioms = self.symbolic.axioms()
        self.invariants = spec.role("invariant", "lemma")
        self.induction = self.symbolic.hypotheses(self.invariants)
        self.relevance = Relevance(self.symbolic)
        self._holds: dict[tuple[str, str], bool] = {}
        """Step properties by action, as far as they were needed as cuts."""

    # -- obligations -------------------------------------------------------------------------------------------

    def obligations(self, only: Callable[[str, str], bool] = lambda property, action: True) -> Iterator[Obligation]:
        """All obligations; ``only(property id, action name or "init")`` selects."""
        symbolic = self.symbolic
        initial = symbolic.initial()
        for p in self.invariants:
            if only(p.id, "init"):
                for part in conjuncts(p.formula):
                    goal = symbolic.formula(part, symbolic.before)
                    yield Obligation(p.id, show(part), None, initial, goal, {})
        for action in self.spec.actions.values():
            env = symbolic.parameters(action)
            after = symbolic.after(action, symbolic.before, env)
            hypotheses = [*self.induction, *symbolic.guard(action, symbolic.before, env)]
            for p in self.spec.role("step"):
                if only(p.id, action.name):
                    goal = symbolic.formula(p.formula, symbolic.before, after)
                    yield Obligation(p.id, show(p.formula), action, hypotheses, goal, env, Goal(p.formula, step=True))
            for p in self.invariants:
                if only(p.id, action.name):
                    for part in conjuncts(p.formula):
                        goal = symbolic.formula(part, after)
                        yield Obligation(p.id, show(part), action, hypotheses, goal, env, Goal(part, step=False))
            for variant in self.spec.variants.values():
                if action.name in variant.decreases and only(variant.id, action.name):
                    goal = symbolic.decreases(variant, after)
                    yield Obligation(variant.id, f"{action.name} decreases it", action, hypotheses, goal, env)

    # -- solving -----------------------------------------------------------------------------------------------

    def discharge(self, obligation: Obligation) -> Outcome:
        """Prove or refute one obligation."""
        start = time.perf_counter()
        proof, trace = self._proof(obligation)
        status = Status.PROVED if proof else Status.FAILED if trace else Status.UNKNOWN
        return Outcome(obligation, status, time.perf_counter() - start, trace, tuple(proof))

    def _proof(self, obligation: Obligation) -> tuple[list[Argument], Trace | None]:
        whole = obligation.whole()
        answer = self._solve(whole, min(self.timeout_ms, FIRST_MS))
        if answer == z3.unsat:
            return [whole], None
        if answer == z3.unknown and obligation.action is not None and obligation.source is not None:
            found = self.relevance.arguments(obligation.action, obligation.source, obligation.env)
            if found:
                return found, None
        trace = self.refute(obligation)
        if trace is not None or answer == z3.sat:
            return [], trace
        for cut in self._shown_steps(obligation):
            longer = Argument([*obligation.hypotheses, cut], obligation.goal)
            if self._solve(longer, min(self.timeout_ms, QUICK_MS)) == z3.unsat:
                return [longer], None
        return [whole] if self._solve(whole, self.timeout_ms, seed=7) == z3.unsat else [], None

    def _shown_steps(self, obligation: Obligation) -> Iterator[z3.BoolRef]:
        """Step properties that hold of this very step: each is proven from the same hypotheses before it is used."""
        action = obligation.action
        if action is None or any(obligation.property == p.id for p in self.spec.role("step")):
            return
        after = self.symbolic.after(action, self.symbolic.before, obligation.env)
        for p in self.spec.role("step"):
            cut = self.symbolic.formula(p.formula, self.symbolic.before, after)
            if (p.id, action.name) not in self._holds:
                own = Argument(obligation.hypotheses, cut)
                self._holds[p.id, action.name] = self._solve(own, min(self.timeout_ms, QUICK_MS)) == z3.unsat
            if self._holds[p.id, action.name]:
                yield cut

    def _solve(self, argument: Argument, timeout_ms: int, seed: int = 0) -> Any:
        solver = z3.Solver(ctx=self.symbolic.context)
        solver.set("timeout", timeout_ms, "random_seed", seed)
        solver.add(*self.axioms, *argument.hypotheses, z3.Not(argument.goal))
        return solver.check()

    def smt2(self, argument: Argument) -> str:
        """The argument as an SMT-LIB 2 script: ``unsat`` means proven."""
        solver = z3.Solver(ctx=self.symbolic.context)
        solver.add(*self.axioms, *argument.hypotheses, z3.Not(argument.goal))
        return f"(set-info :status unsat)\n(set-logic ALL)\n{solver.to_smt2()}"

    def refute(self, obligation: Obligation) -> Trace | None:
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
                return found
        return None


def prove(
    spec: Spec,
    *,
    properties: frozenset[str] | None = None,
    timeout_ms: int = TIMEOUT_MS,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    keep_smt2: Callable[[str, str], None] | None = None,
    confirm: SecondSolver | None = None,
) -> list[Verdict]:
    """Prove the invariants, lemmas, step properties and variants of a spec; one verdict each.

    A verdict PROVED rests on all invariants together being inductive: if any of them fails, those that are preserved
    only under its assumption are UNKNOWN, and say so. ``properties`` are those to report; the invariants, on which any
    proof rests, are proven all the same.
    ``confirm`` is asked about every obligation that z3 has proven: what it refutes has FAILED, for one of the two is
    wrong; what it can't tell is counted in the verdict. What would be proven of nothing fails: assumptions without a
    model, no initial state, an action never enabled. Assumptions of which no model is found are UNKNOWN.
    """
    prover = Prover(spec, timeout_ms)
    empty = no_model(prover.symbolic, timeout_ms)
    if any(v.status is Status.FAILED for v in empty):
        return empty
    basis = {p.id for p in prover.invariants}  # an inductive proof rests on all of them together
    wanted = list(prover.obligations(lambda p, a: properties is None or p in properties or p in basis))
    outcomes: dict[str, list[Outcome]] = {}
    for number, obligation in enumerate(wanted):
        place = obligation.action.name if obligation.action else "init"
        progress(number, len(wanted), f"{obligation.property} / {place}")
        outcome = prover.discharge(obligation)
        if keep_smt2 is not None:
            name = f"{obligation.property}-{place}-{number}"
            for i, argument in enumerate(outcome.proof or (obligation.whole(),)):
                keep_smt2(f"{name}-{i + 1}" if len(outcome.proof) > 1 else name, prover.smt2(argument))
        if confirm is not None and outcome.status is Status.PROVED:
            outcome = _confirmed(outcome, [confirm.ask(prover.smt2(argument)) for argument in outcome.proof])
        outcomes.setdefault(obligation.property, []).append(outcome)
    progress(len(wanted), len(wanted), "")
    assumptions = tuple(p.id for p in spec.role("assumption"))
    broken = sorted(
        p.id for p in prover.invariants if any(o.status is not Status.PROVED for o in outcomes.get(p.id, ()))
    )
    never = never_taken(prover.symbolic, () if broken else prover.invariants)
    shown = {id: results for id, results in outcomes.items() if properties is None or id in properties}
    return [*(_verdict(id, results, assumptions, broken) for id, results in shown.items()), *never, *empty]


def _confirmed(outcome: Outcome, said: list[tuple[Answer, str]]) -> Outcome:
    """What is left of a proof when a second solver has spoken of each of its arguments."""
    answer, why = next(a for word in ("sat", "unknown", "unsat") for a in said if a[0] == word)
    if answer == "sat":
        why = "z3 proves this and cvc5 refutes it: one of them is wrong, so nothing is shown"
        return attrs.evolve(outcome, status=Status.FAILED, second=answer, why=why)
    return attrs.evolve(outcome, second=answer, why=why)


def solver_name() -> str:
    """The solver and its version."""
    return f"z3 {z3.get_version_string()}"


def _verdict(id: str, results: list[Outcome], assumptions: tuple[str, ...], broken: list[str]) -> Verdict:
    detail: dict[str, Any] = {
        "obligations": len(results),
        "seconds": round(sum(o.seconds for o in results), 3),
        "solver": solver_name(),
        "scope": "any number of elements of each sort",
    }
    asked = [o for o in results if o.second]
    if asked:
        confirmed = sum(o.second == "unsat" for o in asked)
        detail["second_solver"] = cvc5_name()
        detail["confirmed"] = confirmed
        unsure = sorted({o.why for o in asked if o.second == "unknown"})
        if unsure:
            detail["why"] = f"{len(asked) - confirmed} obligations not confirmed: {'; '.join(unsure)}"
    worst = next((o for s in (Status.FAILED, Status.UNKNOWN) for o in results if o.status is s), None)
    if worst is not None:
        place = worst.obligation.action.name if worst.obligation.action else "the initial state"
        clause = f"{worst.obligation.clause}, at {place}"
        if worst.why:
            detail["why"] = worst.why
        return Verdict(id, worst.status, "inductive", detail, assumptions, clause, worst.trace)
    if broken:
        why = f"preserved only if {', '.join(broken)} holds, which is not shown"
        return Verdict(id, Status.UNKNOWN, "inductive", {**detail, "why": why}, assumptions)
    return Verdict(id, Status.PROVED, "inductive", detail, assumptions)


def first_state_breaking(
    spec: Spec, property: str, sizes: Mapping[type[Sort], int], timeout_ms: int
) -> Trace | z3.CheckSatResult:
    """An initial state of these sizes that violates an invariant, or the solver's answer."""
    symbolic = Symbolic(spec, sizes)
    solver = z3.Solver(ctx=symbolic.context)
    solver.set("timeout", timeout_ms)
    goal = symbolic.formula(spec.properties[property].formula, symbolic.before)
    solver.add(*symbolic.axioms(), *symbolic.initial(), z3.Not(goal))
    answer = solver.check()
    if answer != z3.sat:
        return answer
    instance, state, _ = symbolic.read_back(solver.model(), None, {})
    return Trace(instance, (instance.freeze(state),), ())


def step_breaking(
    spec: Spec,
    action: str,
    properties: Sequence[Property | Variant],
    sizes: Mapping[type[Sort], int],
    timeout_ms: int,
) -> Trace | z3.CheckSatResult:
    """A state of these sizes that satisfies every property and a step of the action after which one is broken."""
    symbolic = Symbolic(spec, sizes)
    found = spec.actions[action]
    env = symbolic.parameters(found)
    after = symbolic.after(found, symbolic.before, env)
    goals = []
    for p in properties:
        if isinstance(p, Variant):
            goals.append(symbolic.decreases(p, after))
        elif p.role == "step":
            goals.append(symbolic.formula(p.formula, symbolic.before, after))
        else:
            goals.append(symbolic.formula(p.formula, after))
    solver = z3.Solver(ctx=symbolic.context)
    solver.set("timeout", timeout_ms)
    solver.add(*symbolic.axioms(), *symbolic.hypotheses(spec.role("invariant", "lemma")))
    solver.add(*symbolic.guard(found, symbolic.before, env), z3.Not(z3.And(goals)))
    answer = solver.check()
    if answer != z3.sat:
        return answer
    instance, state, step = symbolic.read_back(solver.model(), found, env)
    assert step is not None
    then = list(state)
    instance.perform(then, step)
    return Trace(instance, (instance.freeze(state), instance.freeze(then)), (step,), inductive=True)


def broken_by(
    spec: Spec, action: str, sizes: Mapping[type[Sort], int], timeout_ms: int
) -> tuple[list[str], Trace | z3.CheckSatResult]:
    """What an action breaks on finite domains, properties before lemmas before variants, and how: for mutants."""
    answer: Trace | z3.CheckSatResult = z3.unsat
    groups: list[tuple[Property | Variant, ...]] = [
        spec.role("invariant", "step"),
        spec.role("lemma"),
        *((v,) for v in spec.variants.values() if action in v.decreases),
    ]
    for group in filter(None, groups):
        answer = step_breaking(spec, action, group, sizes, timeout_ms)
        if isinstance(answer, Trace):
            before, then = answer.states
            roles = {p.role if isinstance(p, Property) else "variant" for p in group}
            broken = [p.id for p in answer.instance.violated(then, tuple(roles - {"step"}))]
            steps = answer.instance.violated_step(before, then) if "step" in roles else []
            return [*broken, *(p.id for p in steps), *(v.id for v in group if isinstance(v, Variant))], answer
    return [], answer
