"""Counterexamples to induction on small finite domains: a state that satisfies every property, and a step of it that
breaks one; or an initial state that is bad already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import z3

from mtpo.proofs.children import check
from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.proofs.verdicts import Trace
from mtpo.spec.language import Property, Sort, Spec, Variant


def first_state_breaking(
    spec: Spec, property: str, sizes: Mapping[type[Sort], int], timeout_ms: int
) -> Trace | z3.CheckSatResult:
    """An initial state of these sizes that violates an invariant, or the solver's answer."""
    symbolic = Symbolic(spec, sizes)
    solver = z3.Solver(ctx=symbolic.context)
    goal = symbolic.formula(spec.properties[property].formula, symbolic.before)
    solver.add(*symbolic.axioms(), *symbolic.initial(), z3.Not(goal))
    answer = check(solver, timeout_ms)
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
    """A state of these sizes that satisfies every invariant and a step of the action after which one is broken."""
    symbolic = Symbolic(spec, sizes)
    found = spec.actions[action]
    env = symbolic.parameters(found)
    after = symbolic.after(found, symbolic.before, env)
    goals = []
    for p in properties:
        if isinstance(p, Variant):
            goals.append(symbolic.bounded(p, action, after))
        elif p.role == "step":
            goals.append(symbolic.formula(p.formula, symbolic.before, after))
        else:
            goals.append(symbolic.formula(p.formula, after))
    solver = z3.Solver(ctx=symbolic.context)
    solver.add(*symbolic.axioms(), *symbolic.hypotheses(spec.basis))
    solver.add(*symbolic.guard(found, symbolic.before, env), z3.Not(z3.And(goals)))
    answer = check(solver, timeout_ms)
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
        tuple(p for p in spec.role("invariant", "step") if not p.derived),
        spec.role("lemma"),
        *((v,) for v in spec.variants.values() if v.bounds(action)),
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
