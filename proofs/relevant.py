"""Which hypotheses a proof needs, read off small finite domains.

A quantifier too many is what makes a solver lose its way: it instantiates what has nothing to do with the question. On
a finite domain there are no quantifiers, and the solver tells at once which few hypotheses the goal follows from there.
Those are tried first without bounds; where they are not enough the next larger domain adds to them. Leaving hypotheses
out is sound: what follows from few follows from all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs
import z3

from mtpo.proofs.symbolic import Symbolic
from mtpo.proofs.vacuity import QUICK_MS, SMALL, small_sizes
from mtpo.spec.language import Action, Bool, Spec

SEEDS = (0, 7, 11)
"""A proof that is missed with one order of instantiation is often found at once with another."""


@attrs.frozen(eq=False)
class Goal:
    """A conjunct to be shown: of the state after an action, or (``step``) of both states."""

    part: Bool
    step: bool


@attrs.frozen(eq=False)
class Argument:
    """Hypotheses that entail a goal."""

    hypotheses: list[z3.BoolRef]
    goal: z3.BoolRef


def parts(term: Bool) -> list[Bool]:
    """Formulas of which the term is the conjunction, as small as can be without making it larger."""
    args = [cast(Bool, arg) for arg in term.args]
    if term.op == "and":
        return [part for arg in args for part in parts(arg)]
    if term.op == "forall":
        return [Bool("forall", (part,), term.data) for part in parts(args[0])]
    if term.op == "or":
        split = [parts(arg) for arg in args]
        many = [i for i, found in enumerate(split) if len(found) > 1]
        if len(many) == 1:
            (i,) = many
            return [Bool("or", (*args[:i], part, *args[i + 1 :])) for part in split[i]]
    return [term]


class Relevance:
    """Finds arguments for the goals of one spec: an interpretation for each small size, made when first needed."""

    def __init__(self, unbounded: Symbolic) -> None:
        self.unbounded = unbounded
        self.spec: Spec = unbounded.spec
        self._facts = [part for p in self.spec.role("invariant", "lemma") for part in parts(p.formula)]
        self._readings: dict[tuple[str, int], _Reading] = {}
        self._small: dict[int, Symbolic] = {}

    def arguments(self, action: Action, goal: Goal, env: Mapping[Any, Any]) -> list[Argument] | None:
        """Arguments that together entail the goal; None where none was found, or a small domain refutes it."""
        here = self._reading(action, 0, env)
        found = []
        for part in parts(goal.part):
            argument = self._argument(action, Goal(part, goal.step), here)
            if argument is None:
                return None
            found.append(argument)
        return found

    def _argument(self, action: Action, goal: Goal, here: _Reading) -> Argument | None:
        aim = here.goal(goal)
        needed: set[int] = set()
        for size in SMALL[1:]:
            core = self._reading(action, size, None).core(goal)
            if core is None:
                return None
            if core <= needed and needed:
                continue
            needed |= core
            argument = Argument([here.facts[i] for i in sorted(needed)], aim)
            if any(entailed(self.unbounded, argument, QUICK_MS, seed) for seed in SEEDS):
                return argument
        return None

    def _reading(self, action: Action, size: int, env: Mapping[Any, Any] | None) -> _Reading:
        if size and size not in self._small:
            self._small[size] = Symbolic(self.spec, small_sizes(self.spec, size))
        key = action.name, size
        if key not in self._readings:
            for old in [k for k in self._readings if k[0] != action.name]:
                del self._readings[old]  # obligations come action by action
            symbolic = self._small[size] if size else self.unbounded
            self._readings[key] = _Reading(symbolic, action, self._facts, env)
        return self._readings[key]


class _Reading:
    """An action in one interpretation: what may be supposed of a step of it, piece by piece."""

    def __init__(self, symbolic: Symbolic, action: Action, facts: list[Bool], env: Mapping[Any, Any] | None) -> None:
        self.symbolic = symbolic
        self.env = symbolic.parameters(action) if env is None else env
        self.after = symbolic.after(action, symbolic.before, self.env)
        guard = [part for clause in action.guard for part in parts(clause.formula)]
        self.facts = [symbolic.formula(f, symbolic.before) for f in facts]
        self.facts += [symbolic.formula(f, symbolic.before, None, self.env) for f in guard]
        self._solver: z3.Solver | None = None

    def goal(self, goal: Goal) -> z3.BoolRef:
        """The goal, as a formula of this interpretation."""
        if goal.step:
            return self.symbolic.formula(goal.part, self.symbolic.before, self.after)
        return self.symbolic.formula(goal.part, self.after)

    def core(self, goal: Goal) -> set[int] | None:
        """Facts, by number, from which the goal follows here; None if it does not, or not in time."""
        if self._solver is None:
            self._solver = z3.Solver(ctx=self.symbolic.context)
            self._solver.set("core.minimize", True)
            self._solver.add(*self.symbolic.axioms())
            self._solver.add(*(z3.Implies(n, f) for n, f in zip(self._names(), self.facts, strict=True)))
        self._solver.push()
        self._solver.set("timeout", 10 * QUICK_MS)
        self._solver.add(z3.Not(self.goal(goal)))
        answer = self._solver.check(*self._names())
        core = {int(str(name).rpartition("!")[2]) for name in self._solver.unsat_core()} if answer == z3.unsat else None
        self._solver.pop()
        return core

    def _names(self) -> Iterator[z3.BoolRef]:
        return (z3.Bool(f"fact!!{i}", ctx=self.symbolic.context) for i in range(len(self.facts)))


def entailed(symbolic: Symbolic, argument: Argument, timeout_ms: int, seed: int) -> bool:
    """Whether z3 shows the goal of an argument."""
    solver = z3.Solver(ctx=symbolic.context)
    solver.set("timeout", timeout_ms, "random_seed", seed)
    solver.add(*symbolic.axioms(), *argument.hypotheses, z3.Not(argument.goal))
    return bool(solver.check() == z3.unsat)
