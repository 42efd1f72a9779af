"""Inductive proofs: seconds that z3 takes for every obligation, and cvc5 beside it on the same arguments.

Of each obligation cvc5 is given what z3 has proven: the goal, and the hypotheses that it took. A question that cvc5
can't answer in its time counts with that time. Wall-clock seconds, one process: solvers run under such limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from measure import Figure

from mtpo.proofs.inductive import Prover
from mtpo.proofs.second import SecondSolver
from mtpo.spec.language import Spec
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv

GOAL = 60
LIMIT = 10.0
"""Seconds for cvc5 on each question."""


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """The figures of this benchmark."""
    return [figure for spec in (kv, mtpo) for figure in of_spec(spec, tell)]


def of_spec(spec: Spec, tell: Callable[[str], None]) -> list[Figure]:
    """Seconds for all obligations of a spec, and how many were proven."""
    prover = Prover(spec)
    obligations = list(prover.obligations())
    ours = theirs = 0.0
    proved = confirmed = 0
    with SecondSolver(LIMIT) as second:
        for number, obligation in enumerate(obligations):
            tell(f"{spec.name}: obligation {number + 1} of {len(obligations)}")
            start = time.perf_counter()
            outcome = prover.discharge(obligation)
            ours += time.perf_counter() - start
            scripts = [prover.smt2(argument) for argument in outcome.proof]
            start = time.perf_counter()
            answers = [second.ask(script)[0] for script in scripts]
            theirs += time.perf_counter() - start
            proved += bool(outcome.proof)
            confirmed += bool(answers) and all(answer == "unsat" for answer in answers)
    assert proved == len(obligations), f"{spec.name}: {proved} of {len(obligations)} proved"
    return [
        Figure(f"{spec.name}: seconds for {proved:,} obligations", ours, theirs, GOAL, more=False, absolute=True),
        Figure(f"{spec.name}: obligations proved", proved, confirmed, 1.0),
    ]
