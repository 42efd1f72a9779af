"""Which hypotheses a proof needs, read off small finite domains.

A quantifier too many is what makes a solver lose its way: it instantiates what has nothing to do with the question. On
a finite domain there are no quantifiers, and the solver tells at once which few hypotheses the goal follows from there.
Those are tried first without bounds; where they are not enough the next larger domain adds to them. Leaving hypotheses
out is sound: what follows from few follows from all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import cast

import attrs
import z3

from mtpo.proofs.children import check
from mtpo.proofs.digests import formula_digest
from mtpo.proofs.induction.remembered import Memory, goal_digest
from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.proofs.induction.vacuity import QUICK_MS, SMALL, small_sizes
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

    def __init__(self, unbounded: Symbolic, memory: Memory) -> None:
        self.unbounded = unbounded
        self.memory = memory
        self.spec: Spec = unbounded.spec
        self._facts = [part for p in self.spec.basis for part in parts(p.formula)]
        self._digests = [formula_digest(fact) for fact in self._facts]
        self._places: dict[tuple[str, int], Place] = {}
        self._small: dict[int, Symbolic] = {}

    def known(self, action: Action, goal: Goal, timeout_ms: int) -> list[Argument] | None:
        """Arguments that entail the goal from what is remembered to have sufficed; None where nothing does."""
        hint, split = self.memory.hint(goal_digest(action, goal.part, goal.step)), parts(goal.part)
        if hint is None or len(hint) != len(split):
            return None
        here = self.place(action)
        number = {digest: i for i, digest in enumerate(self._digests_of(action))}
        found = []
        for part, needed in zip(split, hint, strict=True):
            if not all(digest in number for digest in needed):
                return None
            hypotheses = [here.facts[i] for i in sorted(number[digest] for digest in needed)]
            argument = Argument(hypotheses, here.goal(Goal(part, goal.step)))
            if not self._shown(argument, min(timeout_ms, 2 * QUICK_MS)):
                return None
            found.append(argument)
        return found

    def arguments(self, action: Action, goal: Goal) -> list[Argument] | None:
        """Arguments that together entail the goal; None where none was found, or a small domain refutes it."""
        found, sufficed, digests = [], [], self._digests_of(action)
        for part in parts(goal.part):
            argument, needed = self._argument(action, Goal(part, goal.step))
            if argument is None:
                return None
            found.append(argument)
            sufficed.append(tuple(digests[i] for i in sorted(needed)))
        self.memory.learn(goal_digest(action, goal.part, goal.step), tuple(sufficed))
        return found

    def _argument(self, action: Action, goal: Goal) -> tuple[Argument | None, set[int]]:
        here = self.place(action)
        aim = here.goal(goal)
        needed: set[int] = set()
        for size in SMALL[1:]:
            core = self.place(action, size).core(goal)
            if core is None:
                break
            if core <= needed and needed:
                continue
            needed |= core
            argument = Argument([here.facts[i] for i in sorted(needed)], aim)
            if self._shown(argument, QUICK_MS):
                return argument, needed
        return None, needed

    def _shown(self, argument: Argument, timeout_ms: int) -> bool:
        return any(entailed(self.unbounded, argument, timeout_ms, seed) for seed in SEEDS)

    def place(self, action: Action, size: int = 0) -> Place:
        """An action in the unbounded interpretation, or in that of a size."""
        if size and size not in self._small:
            self._small[size] = Symbolic(self.spec, small_sizes(self.spec, size))
        key = action.name, size
        if key not in self._places:
            for old in [k for k in self._places if k[0] != action.name]:
                del self._places[old]  # obligations come action by action
            self._places[key] = Place(self._small[size] if size else self.unbounded, action, self._facts)
        return self._places[key]

    def _digests_of(self, action: Action) -> list[str]:
        """Those of the facts of a place, in their order."""
        return [*self._digests, *(formula_digest(part, action) for part in _guard(action))]


class Place:
    """An action in one interpretation: what may be supposed of a step of it, piece by piece."""

    def __init__(self, symbolic: Symbolic, action: Action, facts: list[Bool]) -> None:
        self.symbolic = symbolic
        self.env = symbolic.parameters(action)
        self.after = symbolic.after(action, symbolic.before, self.env)
        self._terms = [(fact, None) for fact in facts] + [(part, self.env) for part in _guard(action)]
        self._solver: z3.Solver | None = None

    @functools.cached_property
    def facts(self) -> list[z3.BoolRef]:
        """Invariants and guard, in small pieces, of the state before the step."""
        return [self.symbolic.formula(term, self.symbolic.before, None, env) for term, env in self._terms]

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
        self._solver.add(z3.Not(self.goal(goal)))
        answer = check(self._solver, 10 * QUICK_MS, *self._names())
        core = {int(str(name).rpartition("!")[2]) for name in self._solver.unsat_core()} if answer == z3.unsat else None
        self._solver.pop()
        return core

    def _names(self) -> Iterator[z3.BoolRef]:
        return (z3.Bool(f"fact!!{i}", ctx=self.symbolic.context) for i in range(len(self.facts)))


def _guard(action: Action) -> list[Bool]:
    return [part for clause in action.guard for part in parts(clause.formula)]


def entailed(symbolic: Symbolic, argument: Argument, timeout_ms: int, seed: int) -> bool:
    """Whether z3 shows the goal of an argument."""
    solver = z3.Solver(ctx=symbolic.context)
    solver.set("random_seed", seed)
    solver.add(*symbolic.axioms(), *argument.hypotheses, z3.Not(argument.goal))
    return bool(check(solver, timeout_ms) == z3.unsat)
