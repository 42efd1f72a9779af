"""The second solver: it confirms, it may refute, it may not know, and it is not waited for for ever."""

from __future__ import annotations

import sys

import attrs
import pytest

from mtpo.proofs.induction import second
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.prover import Prover, obligations
from mtpo.proofs.induction.second import SecondSolver
from mtpo.proofs.verdicts import Status
from mtpo.spec.language import Spec
from mtpo.spec.paged_kv import kv

pytest.importorskip("cvc5")


def test_cvc5_confirms_every_obligation_of_the_cache() -> None:
    with SecondSolver(10) as solver:
        verdicts = prove(kv, confirm=solver)
    assert {v.status for v in verdicts} == {Status.PROVED}
    for v in verdicts:
        assert v.detail["confirmed"] == v.detail["obligations"] > 0, v
        assert v.detail["second_solver"].startswith("cvc5 1.")
        assert "why" not in v.detail


@pytest.mark.slow
def test_cvc5_confirms_every_obligation_of_the_protocol() -> None:
    from mtpo.spec.mtpo import mtpo

    with SecondSolver(10) as solver:
        assert all(v.detail["confirmed"] == v.detail["obligations"] for v in prove(mtpo, confirm=solver))


def test_what_does_not_follow_is_refuted(lock: Spec) -> None:
    prover = Prover(lock)
    (one, *_) = (prover.whole(o) for o in obligations(lock, lambda p, action: action == "acquire"))
    with SecondSolver(10) as solver:
        assert solver.ask(prover.smt2(one)) == ("unsat", "")
        answer, why = solver.ask(prover.smt2(attrs.evolve(one, hypotheses=[])))
        assert (answer, why) in (("sat", ""), ("unknown", "cvc5 can't tell in time"))
        answer, why = solver.ask("(check-sat")
        assert answer == "unknown"
        assert why.startswith("cvc5: ")
        assert solver.ask(prover.smt2(one)) == ("unsat", ""), "the child goes on after an error"


@attrs.define
class Says(SecondSolver):
    """A solver with one answer."""

    answer: str = "sat"

    def ask(self, smt2: str):  # type: ignore[no-untyped-def]
        return self.answer, "because"


def test_two_solvers_that_disagree_show_nothing(lock: Spec) -> None:
    by_id = {v.property: v for v in prove(lock, confirm=Says(1, answer="sat"))}
    assert {v.status for v in by_id.values()} == {Status.FAILED}
    assert "z3 proves this and cvc5 refutes it" in by_id["lock.exclusion"].detail["why"]
    by_id = {v.property: v for v in prove(lock, confirm=Says(1, answer="unknown"))}
    assert {v.status for v in by_id.values()} == {Status.PROVED}
    assert by_id["lock.exclusion"].detail["confirmed"] == 0
    assert by_id["lock.exclusion"].detail["why"] == "3 obligations not confirmed: because"


@pytest.mark.parametrize(
    "body", ["import time; time.sleep(600)", "import sys; sys.exit(3)", "import sys; sys.stdin.readline(); sys.exit(3)"]
)
def test_a_solver_that_hangs_or_dies_is_stopped(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second, "GRACE", 0.3)
    with SecondSolver(0.1, (sys.executable, "-c", body)) as solver:
        for _ in range(2):
            answer, why = solver.ask("(check-sat)")
            assert answer == "unknown"
            assert why.startswith("cvc5 did not answer")
        child = solver._child
    assert child is None


@attrs.define
class OfFew(SecondSolver):
    """A solver that many hypotheses lead astray: it says nothing of long texts."""

    asked: list[int] = attrs.Factory(list)

    def ask(self, smt2: str):  # type: ignore[no-untyped-def]
        self.asked.append(smt2.count("(assert"))
        return ("unknown", "too long") if len(self.asked) == 3 or self.asked[-1] > 40 else ("unsat", "")


def test_what_is_not_confirmed_is_asked_again_with_fewer_hypotheses(lock: Spec) -> None:
    solver = OfFew(1)
    verdicts = prove(lock, confirm=solver, jobs=0)
    obligations_ = sum(v.detail["obligations"] for v in verdicts)
    assert len(solver.asked) == obligations_ + 1, "one of them twice"
    assert solver.asked[-1] <= solver.asked[2]
    assert all(v.detail["confirmed"] == v.detail["obligations"] for v in verdicts)
    assert all("why" not in v.detail for v in verdicts)
