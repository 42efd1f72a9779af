"""Child processes: answers come back, errors are raised here, a child that is lost costs one question."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mtpo.proofs import children
from mtpo.proofs.children import Children, Interrupted, Lost, limited, processes
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.verdicts import Status
from mtpo.spec.language import Spec

pytestmark = pytest.mark.skipif(processes() == 0, reason="no forks here")


def squares() -> Callable[[int], tuple[int, int]]:
    """A server that is made once in each child."""
    made = os.getpid()
    return lambda n: (n * n, made)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_question_is_answered_once(count: int) -> None:
    began: list[int] = []
    with Children(squares, count) as some:
        answers = dict(some.map([1, 2, 3, 4, 5], began.append))
        again = some.ask(7)
    assert began == [0, 1, 2, 3, 4]
    assert {n: a[0] for n, a in answers.items() if not isinstance(a, Lost)} == {0: 1, 1: 4, 2: 9, 3: 16, 4: 25}
    pids = {a[1] for a in answers.values() if not isinstance(a, Lost)}
    assert (pids == {os.getpid()}) == (count == 0)
    assert len(pids) <= max(count, 1)
    assert not isinstance(again, Lost) and again[0] == 49 and again[1] in pids, "children stay between questions"


def test_no_child_is_left() -> None:
    with Children(squares, 2) as some:
        pids = {a[1] for _, a in some.map(list(range(8))) if not isinstance(a, Lost)}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def risky() -> Callable[[str], str]:
    """A server that may be lost."""

    def answer(what: str) -> str:
        match what:
            case "die":
                os.kill(os.getpid(), 9)
            case "hang":
                with limited(0.01):
                    time.sleep(3600)
            case "exit":
                os._exit(3)
        return what

    return answer


def test_a_lost_child_costs_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "GRACE", 0.05)
    with Children(risky, 2) as some:
        answers = dict(some.map(["one", "die", "two", "hang", "exit", "three"]))
    assert [answers[n] for n in (0, 2, 5)] == ["one", "two", "three"]
    assert answers[1] == Lost("the solver's process died (SIGKILL)")
    assert answers[3] == Lost("the solver did not keep its time limit and was stopped")
    assert answers[4] == Lost("the solver's process died (exit code 3)")


def test_a_whole_question_has_a_limit_too() -> None:
    def serve() -> Callable[[float], str]:
        def answer(seconds: float) -> str:
            time.sleep(seconds)  # outside what is limited by itself
            return "done"

        return answer

    with Children(serve, 2, limit=0.5) as some:
        answers = dict(some.map([0.0, 3600.0, 0.0]))
    assert answers == {0: "done", 1: Lost("the solver did not keep its time limit and was stopped"), 2: "done"}


def test_a_child_that_dies_with_nothing_to_do_is_replaced() -> None:
    with Children(squares, 2) as some:
        pids = {a[1] for _, a in some.map([1, 2, 3, 4]) if not isinstance(a, Lost)}
        for pid in pids:
            os.kill(pid, 9)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it is dead; its parent has yet to find out
        again = dict(some.map([5, 6, 7]))
    assert [again[n][0] for n in range(3) if not isinstance(again[n], Lost)] == [25, 36, 49]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_children_are_gone_when_their_parent_is_killed(seconds: float) -> None:
    """In the middle of a question, and with nothing to do."""
    text = f"""
import os, sys, time
from mtpo.proofs.children import Children
def serve():
    def answer(n):
        os.write(1, b"%d " % os.getpid())
        if n: time.sleep({seconds})
        return n
    return answer
with Children(serve, 2) as some:
    for _ in some.map([0, 0, 1, 1]): pass
    os.write(1, b". ")
    time.sleep(3600)
"""
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    said = b""
    while len(said.split()) < (4 if seconds else 5):
        said += os.read(parent.stdout.fileno(), 100)
    parent.kill()
    parent.wait()
    rest = parent.stdout.read()  # ends when nobody holds the pipe any more
    assert rest.strip() in (b"", b".")


class Odd(Exception):
    """An error that can't be sent."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def raising() -> Callable[[str], str]:
    """A server that raises."""

    def answer(what: str) -> str:
        raise ValueError(what) if what == "plain" else Odd(what, what)

    return answer


def test_what_a_question_raises_is_raised_here() -> None:
    with Children(raising, 1) as some:
        with pytest.raises(ValueError, match=r"^plain$"):
            some.ask("plain")
        with pytest.raises(RuntimeError, match="Odd: odd"):
            some.ask("odd")


def test_an_obligation_whose_solver_hangs_is_unknown_and_the_others_are_shown(
    lock: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtpo.proofs.induction.prover import Obligation, Outcome, Prover

    own = Prover.discharge

    def discharge(self: Prover, obligation: Obligation) -> Outcome:
        if obligation.property == "lock.no-barging" and obligation.place == "release":
            with limited(0.01):
                time.sleep(3600)
        return own(self, obligation)

    monkeypatch.setattr(children, "GRACE", 0.2)
    monkeypatch.setattr(Prover, "discharge", discharge)
    found = {v.property: v for v in prove(lock)}
    assert found["lock.exclusion"].status is Status.PROVED
    assert found["lock.no-barging"].status is Status.UNKNOWN
    assert found["lock.no-barging"].detail["why"] == "the solver did not keep its time limit and was stopped"


def test_an_interrupt_leaves_what_was_shown(lock: Spec) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    for jobs in (0, 2):
        with pytest.raises(Interrupted, match="interrupted after 3 of 6 obligations") as stopped:
            prove(lock, progress=stop, jobs=jobs)
        found = {v.property: v for v in stopped.value.found}
        assert set(found) == {"lock.exclusion", "lock.no-barging", "lock.emptied", "lock.actions"}
        unknown = [v for v in found.values() if v.status is Status.UNKNOWN]
        assert len(unknown) >= 2
        assert all("interrupted after 3" in v.detail["why"] or "lock.exclusion" in v.detail["why"] for v in unknown)
