"""Nothing is proven of nothing: assumptions have a model, there is an initial state, every action can be taken.

A small finite model settles each of these fast; where there is none, z3 is asked for a contradiction, and what takes
part in it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import z3

from mtpo.proofs.children import check
from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.language import Action, Property, Sort, Spec

QUICK_MS = 1_000
"""Time for a question that is a first try, or one of many, in milliseconds."""

SMALL = (1, 2, 3, 4)
"""Sizes of the finite domains that are tried, smallest first."""

Formulas = Callable[[Symbolic], list[z3.BoolRef]]


def no_model(symbolic: Symbolic, timeout_ms: int) -> list[Verdict]:
    """Verdicts on what makes every proof empty, or may: assumptions without a model, no initial state."""
    spec = symbolic.spec
    if _has_model(spec, lambda s: [*s.axioms(), *s.initial()]):
        return []
    assumptions = {p.id: symbolic.hypotheses((p,)) for p in spec.role("assumption")}
    answer, core = _core(symbolic, symbolic.orders_axioms(), assumptions, timeout_ms)
    if answer == z3.unsat:
        why = f"{' and '.join(core)} can't hold: no model satisfies the assumptions, so everything would follow"
        return [Verdict(id, Status.FAILED, "vacuous", {"why": why}, clause=spec.properties[id].doc) for id in core]
    if answer == z3.unknown and not _has_model(spec, lambda s: s.axioms()):
        why = (
            f"not shown to have a model: none with up to {SMALL[-1]} elements of each sort, and z3 can't tell; "
            "if there is none, what is proven is proven of nothing"
        )
        return [Verdict(f"{spec.name}.assumptions", Status.UNKNOWN, "model", {"why": why}, tuple(assumptions))]
    answer, _ = _core(symbolic, [*symbolic.axioms(), *symbolic.initial()], {})
    if answer == z3.unsat:
        why = "no initial state satisfies the assumptions, so everything would follow"
        return [Verdict(f"{spec.name}.init", Status.FAILED, "vacuous", {"why": why})]
    return []


def never_taken(symbolic: Symbolic, properties: tuple[Property, ...]) -> list[Verdict]:
    """Verdicts on actions that can't be taken in any state that the properties allow: what they preserve is empty."""
    spec = symbolic.spec

    def allowed(s: Symbolic) -> list[z3.BoolRef]:
        return [*s.axioms(), *s.hypotheses(properties)]

    left = list(spec.actions.values())
    for small, solver in _small(spec, allowed):
        left = [a for a in left if not _enabled(a, small, solver)]
        if not left:
            return []
    which = "that every property allows" if properties else "at all"
    base, found = allowed(symbolic), []
    for action in left:
        formulas = symbolic.guard(action, symbolic.before, symbolic.parameters(action))
        answer, core = _core(symbolic, base, {c.id: [g] for c, g in zip(action.guard, formulas, strict=True)})
        if answer == z3.unsat:
            places = " and ".join(f"{c.id} ({c.at})" for c in action.guard if c.id in core)
            why = f"never enabled ({action.at}): there is no state {which}"
            if places:
                why = f"never enabled: in no state {which} can {places} hold"
            found.append(Verdict(f"{spec.name}.{action.name}", Status.FAILED, "vacuous", {"why": why}))
    return found


def _small(spec: Spec, base: Formulas) -> Iterator[tuple[Symbolic, z3.Solver]]:
    """Small finite interpretations, each with a solver that knows the base."""
    uniform = (dict.fromkeys(spec.sorts, size) for size in SMALL[2:])
    for sizes in (*(small_sizes(spec, size) for size in SMALL), *uniform):
        symbolic = Symbolic(spec, sizes)
        solver = z3.Solver(ctx=symbolic.context)
        solver.add(*base(symbolic))
        yield symbolic, solver


def _has_model(spec: Spec, base: Formulas) -> bool:
    return any(check(solver, QUICK_MS) == z3.sat for _, solver in _small(spec, base))


def _enabled(action: Action, symbolic: Symbolic, solver: z3.Solver) -> bool:
    solver.push()
    solver.add(*symbolic.guard(action, symbolic.before, symbolic.parameters(action)))
    answer = check(solver, QUICK_MS)
    solver.pop()
    return bool(answer == z3.sat)


def _core(
    symbolic: Symbolic, base: list[z3.BoolRef], named: Mapping[str, list[z3.BoolRef]], timeout_ms: int = QUICK_MS
) -> tuple[z3.CheckSatResult, list[str]]:
    """Whether formulas have a model given the base; if not, the names of few that contradict each other."""
    context = symbolic.context
    solver = z3.Solver(ctx=context)
    solver.add(*base)
    tracked = {id: z3.Bool(f"named!!{id}", ctx=context) for id in named}
    for id, formulas in named.items():
        solver.add(*(z3.Implies(tracked[id], f) for f in formulas))
    answer = check(solver, timeout_ms, *tracked.values())
    if answer != z3.unsat:
        return answer, []
    core = list(named)
    for id in named:  # one after the other left out, as long as the rest is a contradiction still
        if check(solver, timeout_ms, *(tracked[other] for other in core if other != id)) == z3.unsat:
            core.remove(id)
    return answer, core


def small_sizes(spec: Spec, size: int) -> dict[type[Sort], int]:
    """Elements of each sort: of an order one more than ``size``, of others at most two."""
    return {s: size + 1 if s.ordered else min(size, 2) for s in spec.sorts}
