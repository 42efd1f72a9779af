"""A second opinion: obligations that z3 has discharged, given as SMT-LIB text to cvc5, in a process of its own.

The text is what is kept on disk, so what is confirmed is what a reader can check again. The child answers one question
at a time; one that does not answer in time is killed, whatever it is doing, and another takes its place.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from types import TracebackType
from typing import Literal

import attrs

Answer = Literal["unsat", "sat", "unknown"]

GRACE = 2.0
"""Seconds beyond its limit after which a solver is killed."""


@attrs.define
class SecondSolver:
    """cvc5 in a child process: a context manager. ``limit`` seconds for each question."""

    limit: float
    command: tuple[str, ...] = (sys.executable, "-m", "mtpo.proofs.induction.second")
    _child: subprocess.Popen[str] | None = None

    def __enter__(self) -> SecondSolver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def ask(self, smt2: str) -> tuple[Answer, str]:
        """What cvc5 says of a script with one ``check-sat``, and why if it can't tell."""
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps({"smt2": smt2, "limit": self.limit}) + "\n")
            child.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(child.stdout, selectors.EVENT_READ)
                answered = selector.select(self.limit + GRACE)
            line = child.stdout.readline() if answered else ""
        except BrokenPipeError:
            line = ""
        if not line:
            self._end()
            return "unknown", f"cvc5 did not answer in {self.limit + GRACE:.0f} s and was stopped"
        found = json.loads(line)
        return found["answer"], found["why"]

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def cvc5_name() -> str:
    """The solver and its version."""
    import cvc5

    return f"cvc5 {cvc5.__version__}"


def _solve(smt2: str, limit: float) -> tuple[str, str]:
    import cvc5

    solver = cvc5.Solver(cvc5.TermManager())
    solver.setOption("tlimit-per", str(int(limit * 1000)))
    solver.setOption("enum-inst", "true")  # without it an instance that no term suggests is not tried
    parser = cvc5.InputParser(solver)
    asked = "\n".join(line for line in smt2.splitlines() if not line.startswith("(set-info :status "))
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, asked, "obligation")  # not what it is to come out as
    symbols, said = parser.getSymbolManager(), []
    while not (command := parser.nextCommand()).isNull():
        said.append(command.invoke(solver, symbols).strip())
    answers = [line.split()[0] for line in said if line.startswith(("unsat", "sat", "unknown"))]
    if len(answers) != 1:
        return "unknown", f"cvc5 said: {' '.join(said)[:200]}"
    return answers[0], "" if answers[0] != "unknown" else "cvc5 can't tell in time"


def _serve() -> None:
    """Answer questions, one JSON object a line, until there are no more."""
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer, why = _solve(question["smt2"], question["limit"])
        except Exception as error:  # noqa: BLE001 - whatever the solver raises is an answer too
            answer, why = "unknown", f"cvc5: {error}"
        sys.stdout.write(json.dumps({"answer": answer, "why": why}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
