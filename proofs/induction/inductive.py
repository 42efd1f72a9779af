"""Inductive proofs: a property holds initially and every action preserves it, for any number of elements.

The obligations (``prover``) are discharged in child processes (``children``), as many at a time as there are cores.
Each has a hard limit; what was answered when the work is interrupted, or a child is lost, stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import z3

from mtpo.proofs.children import Children, Interrupted, Lost, processes
from mtpo.proofs.induction.endings import open_ends, rests_on, that_bound
from mtpo.proofs.induction.prover import TIMEOUT_MS, Obligation, Prover, obligations
from mtpo.proofs.induction.remembered import Hint, Memory, memory
from mtpo.proofs.induction.second import Answer, SecondSolver, cvc5_name
from mtpo.proofs.induction.vacuity import never_taken, no_model
from mtpo.proofs.verdicts import Picture, Status, Verdict
from mtpo.spec.language import Ending, Spec

WHOLE = 30
"""An obligation is several questions to z3, and has formulas to build: so many times the limit of one, and seconds."""

Progress = Callable[[int, int, str], None]


@attrs.frozen
class Answered:
    """What a child says of an obligation, without anything of a solver in it."""

    status: Status
    seconds: float
    why: str = ""
    scripts: tuple[str, ...] = ()
    """The arguments as SMT-LIB, when they are wanted; of what is not proven, the obligation."""
    picture: Picture | None = None
    learned: dict[str, Hint] = attrs.Factory(dict)
    second: str = ""
    """What the second solver said, empty when it was not asked."""


@attrs.frozen
class _Question:
    """``what``: "model", "never" (actions never taken, if all invariants hold), "never at all", "obligation", or
    "fewer" (an obligation that is proven, from as few hypotheses as will do)."""

    what: str
    number: int = 0
    scripts: bool = False


class _Solver:
    """Answers questions about a spec, in a child."""

    def __init__(self, spec: Spec, wanted: list[Obligation], timeout_ms: int, hints: Memory) -> None:
        self.wanted = wanted
        self.memory = hints
        self.prover = Prover(spec, timeout_ms, hints)

    def __call__(self, question: _Question) -> Answered | list[Verdict]:
        prover = self.prover
        match question.what:
            case "model":
                return no_model(prover.symbolic, prover.timeout_ms)
            case "never" | "never at all":
                return never_taken(prover.symbolic, prover.invariants if question.what == "never" else ())
        obligation = self.wanted[question.number]
        prover = prover.of(obligation)
        try:
            outcome = prover.with_fewer(obligation) if question.what == "fewer" else prover.discharge(obligation)
        except z3.Z3Exception as error:
            return Answered(Status.UNKNOWN, 0.0, f"z3: {error}")
        arguments = outcome.proof or (prover.whole(obligation),)
        scripts = [prover.smt2(argument, outcome.status) for argument in arguments] if question.scripts else []
        picture = Picture.of(outcome.trace) if outcome.trace else None
        learned, self.memory.fresh = self.memory.fresh, {}
        return Answered(outcome.status, outcome.seconds, "", tuple(scripts), picture, learned)


def prove(
    spec: Spec,
    *,
    properties: frozenset[str] | None = None,
    timeout_ms: int = TIMEOUT_MS,
    progress: Progress = lambda done, total, what: None,
    keep_smt2: Callable[[str, str], None] | None = None,
    confirm: SecondSolver | None = None,
    hints: Memory | None = None,
    jobs: int | None = None,
) -> list[Verdict]:
    """Prove the invariants, lemmas, step properties and variants of a spec, and that its runs end; one verdict each.

    A verdict PROVED rests on all invariants together being inductive: if any of them fails, those that are preserved
    only under its assumption are UNKNOWN, and say so. ``properties`` are those to report; the invariants, on which any
    proof rests, are proven all the same.
    ``confirm`` is asked about every obligation that z3 has proven: what it refutes has FAILED, for one of the two is
    wrong; what it can't tell is counted in the verdict. What would be proven of nothing fails: assumptions without a
    model, no initial state, an action never enabled, a property of which nothing is to be shown. Assumptions of which
    no model is found are UNKNOWN.
    ``hints`` say what sufficed before (default: what is remembered, to which what is found is added); ``jobs`` is the
    number of child processes (default: one a core; 0: none, and no hard limits).

    Raises :class:`~mtpo.proofs.children.Interrupted` on Ctrl-C, with the verdicts so far: what is open is UNKNOWN.
    """
    basis = {p.id for p in spec.role("invariant", "lemma")}  # an inductive proof rests on all of them together
    endings = [ending for id, ending in spec.endings.items() if properties is None or id in properties]
    needed = basis | {variant.id for variant in that_bound(spec.variants.values()) if endings}
    wanted = list(obligations(spec, lambda p, a: properties is None or p in properties or p in needed))
    known = memory() if hints is None else hints
    answered: dict[int, Answered] = {}
    rest: list[Verdict] = []
    stopped = ""
    count, limit = processes() if jobs is None else jobs, WHOLE * timeout_ms / 1000 + WHOLE
    with Children(lambda: _Solver(spec, wanted, timeout_ms, known), count, limit) as solvers:
        try:
            rest = _verdicts(solvers.ask(_Question("model")), f"{spec.name}.assumptions")
            if any(v.status is Status.FAILED for v in rest):
                return rest
            scripts = keep_smt2 is not None or confirm is not None
            questions = [_Question("obligation", number, scripts) for number in range(len(wanted))]

            def begin(number: int) -> None:
                progress(len(answered), len(wanted), f"{wanted[number].property} / {wanted[number].place}")

            for number, reply in solvers.map(questions, begin):
                answer = Answered(Status.UNKNOWN, 0.0, reply.why) if isinstance(reply, Lost) else reply
                assert isinstance(answer, Answered)
                if keep_smt2 is not None:
                    place = wanted[number].place.replace(" ", "-")
                    _keep(keep_smt2, f"{wanted[number].property}-{place}-{number}", answer.scripts)
                if confirm is not None and answer.status is Status.PROVED:
                    answer = _confirmed(answer, [confirm.ask(script) for script in answer.scripts])
                known.fresh |= answer.learned
                answered[number] = attrs.evolve(answer, scripts=())
            for number in (n for n, a in answered.items() if confirm is not None and a.second == "unknown"):
                progress(len(wanted), len(wanted), f"{wanted[number].property} / {wanted[number].place}, once more")
                fewer = solvers.ask(_Question("fewer", number, scripts=True))
                if isinstance(fewer, Answered) and fewer.status is Status.PROVED and confirm is not None:
                    known.fresh |= fewer.learned
                    answer = _confirmed(answered[number], [confirm.ask(script) for script in fewer.scripts])
                    answered[number] = attrs.evolve(answer, why="" if answer.second == "unsat" else answer.why)
            progress(len(wanted), len(wanted), "")
            broken = any(wanted[n].property in basis and a.status is not Status.PROVED for n, a in answered.items())
            never = solvers.ask(_Question("never at all" if broken else "never"))
            rest = [*_verdicts(never, f"{spec.name}.actions"), *rest]
        except KeyboardInterrupt:
            stopped = f"interrupted after {len(answered)} of {len(wanted)} obligations"
            rest.append(Verdict(f"{spec.name}.actions", Status.UNKNOWN, "model", {"why": stopped}))
    if hints is None:
        known.keep()
    results: dict[str, list[tuple[Obligation, Answered]]] = {}
    for number, obligation in enumerate(wanted):
        answer = answered.get(number) or Answered(Status.UNKNOWN, 0.0, stopped)
        results.setdefault(obligation.property, []).append((obligation, answer))
    broken_ids = sorted(id for id in basis & set(results) if any(a.status is not Status.PROVED for _, a in results[id]))
    shown = {id: found for id, found in results.items() if properties is None or id in properties}
    asked = _provable(spec) if properties is None else [id for id in _provable(spec) if id in properties]
    idle = [_of_nothing(spec, id) for id in asked if id not in results]
    ends = [_ends(spec, ending, results, broken_ids) for ending in endings]
    verdicts = [*(_verdict(spec, id, found, broken_ids) for id, found in shown.items()), *idle, *ends, *rest]
    if stopped:
        raise Interrupted(stopped, verdicts)
    return verdicts


def _verdicts(reply: Answered | list[Verdict] | Lost, id: str) -> list[Verdict]:
    """Verdicts that a child came to; one that says so if it was lost."""
    if isinstance(reply, Lost):
        return [Verdict(id, Status.UNKNOWN, "model", {"why": f"whether all this is of nothing: {reply.why}"})]
    assert isinstance(reply, list)
    return reply


def _keep(keep_smt2: Callable[[str, str], None], name: str, scripts: tuple[str, ...]) -> None:
    for i, script in enumerate(scripts):
        keep_smt2(f"{name}-{i + 1}" if len(scripts) > 1 else name, script)


def _confirmed(answer: Answered, said: list[tuple[Answer, str]]) -> Answered:
    """What is left of a proof when a second solver has spoken of each of its arguments."""
    word, why = next(a for word in ("sat", "unknown", "unsat") for a in said if a[0] == word)
    if word == "sat":
        why = "z3 proves this and cvc5 refutes it: one of them is wrong, so nothing is shown"
        return attrs.evolve(answer, status=Status.FAILED, second=word, why=why)
    return attrs.evolve(answer, second=word, why=why)


def solver_name() -> str:
    """The solver and its version."""
    return f"z3 {z3.get_version_string()}"


def _verdict(spec: Spec, id: str, results: list[tuple[Obligation, Answered]], broken: list[str]) -> Verdict:
    assumptions = tuple(p.id for p in spec.role("assumption"))
    detail: dict[str, Any] = {
        "obligations": len(results),
        "seconds": round(sum(a.seconds for _, a in results), 3),
        "solver": solver_name(),
        "scope": "any number of elements of each sort",
    }
    asked = [a for _, a in results if a.second]
    if asked:
        confirmed = sum(a.second == "unsat" for a in asked)
        detail["second_solver"] = cvc5_name()
        detail["confirmed"] = confirmed
        unsure = sorted({a.why for a in asked if a.second == "unknown"})
        if unsure:
            detail["why"] = f"{len(asked) - confirmed} obligations not confirmed: {'; '.join(unsure)}"
    worst = next((found for s in (Status.FAILED, Status.UNKNOWN) for found in results if found[1].status is s), None)
    if worst is not None:
        obligation, answer = worst
        clause = f"{obligation.clause}, at {obligation.action.name if obligation.action else 'the initial state'}"
        if answer.why:
            detail["why"] = answer.why
        trace = answer.picture.trace(spec) if answer.picture else None
        return Verdict(id, answer.status, "inductive", detail, assumptions, clause, trace)
    if broken:
        why = f"preserved only if {', '.join(broken)} holds, which is not shown"
        return Verdict(id, Status.UNKNOWN, "inductive", {**detail, "why": why}, assumptions)
    return Verdict(id, Status.PROVED, "inductive", detail, assumptions)


def _provable(spec: Spec) -> list[str]:
    """The properties that obligations are to arise of."""
    return [*(p.id for p in spec.role("invariant", "lemma", "step")), *spec.variants]


def _of_nothing(spec: Spec, id: str) -> Verdict:
    """Of a property of which there is no obligation: it is not shown by that."""
    why = "each action may raise it, so nothing is to be shown of any" if spec.actions else "there is no action"
    return Verdict(id, Status.FAILED, "vacuous", {"why": why})


def _ends(
    spec: Spec, ending: Ending, results: dict[str, list[tuple[Obligation, Answered]]], broken: list[str]
) -> Verdict:
    """Whether runs end, of what was shown of the variants."""
    shown = {id: found for id, found in results.items() if all(a.status is Status.PROVED for _, a in found)}
    variants = [v for id, v in spec.variants.items() if id in shown]
    found = _verdict(spec, ending.id, [one for v in rests_on(spec, ending, variants) for one in shown[v.id]], broken)
    left = open_ends(spec, ending, variants)
    if not left and not found.detail["obligations"]:
        why = "it claims nothing: each action may be taken for ever"
        return Verdict(ending.id, Status.FAILED, "vacuous", {"why": why})
    if found.status is not Status.PROVED or not left:
        return found
    why = f"nothing shown bounds how often these are taken: {'; '.join(left)}"
    return attrs.evolve(found, status=Status.UNKNOWN, detail={**found.detail, "why": why})
