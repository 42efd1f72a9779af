"""Inductive proofs: seconds that z3 takes for every obligation, and cvc5 beside it on the same arguments.

Twice: from nothing, and with what the first time remembered of which hypotheses sufficed. Of each obligation cvc5 is
given what z3 has proven: the goal, and the hypotheses that it took. A question that cvc5 can't answer in its time
counts with that time. Wall-clock seconds: z3 in one process a core, cvc5 in one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from measure import Figure

from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.remembered import Memory
from mtpo.proofs.induction.second import SecondSolver
from mtpo.proofs.verdicts import Status
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
    scripts: list[str] = []
    hints = Memory()
    begin = time.perf_counter()
    verdicts = prove(spec, hints=hints, progress=lambda done, total, what: tell(f"{spec.name}: {done} of {total}"))
    ours = time.perf_counter() - begin
    again = Memory(hints.fresh)
    begin = time.perf_counter()
    prove(spec, hints=again)
    remembered = time.perf_counter() - begin
    prove(spec, hints=Memory({**again.known, **again.fresh}), keep_smt2=lambda name, text: scripts.append(text))
    begin = time.perf_counter()
    with SecondSolver(LIMIT) as second:
        answers = []
        for number, script in enumerate(scripts):
            tell(f"{spec.name}: cvc5, {number + 1} of {len(scripts)}")
            answers.append(second.ask(script)[0])
    theirs = time.perf_counter() - begin
    total = sum(v.detail["obligations"] for v in verdicts)
    proved = sum(v.detail["obligations"] for v in verdicts if v.status is Status.PROVED)
    assert proved == total, f"{spec.name}: {proved} of {total} proved"
    return [
        Figure(f"{spec.name}: seconds for {total:,} obligations", ours, theirs, GOAL, more=False, absolute=True),
        Figure(f"{spec.name}: seconds, with hints", remembered, theirs, GOAL, more=False, absolute=True),
        Figure(f"{spec.name}: arguments proved", len(scripts), answers.count("unsat"), 1.0),
    ]
