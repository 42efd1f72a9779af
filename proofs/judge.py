"""The whole judgment of a logged run: the independent checker, and the replay against the spec."""

from __future__ import annotations

import attrs

from mtpo.proofs.certificate import Property, RunCertificate, certify
from mtpo.proofs.checker import Report, check
from mtpo.proofs.replay import Replay, replay
from mtpo_core.log import LoggedRun
from mtpo_core.problems import Problem


@attrs.frozen
class Judgment:
    """``report`` by the checker, ``replay`` where the log is one of MTPO and can be read, and the certificate."""

    report: Report
    replay: Replay | None
    certificate: RunCertificate

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is violated."""
        return (*self.report.problems, *(self.replay.problems if self.replay else ()))

    @property
    def exit_code(self) -> int:
        """0 holds, 1 violated, 3 incomplete."""
        return 1 if self.problems else self.report.exit_code


def judge(run: LoggedRun) -> Judgment:
    """Judge a run by its log. A log whose chain or bodies are broken is not replayed: the report says why."""
    report = check(run)
    replayed = None
    broken = any(p.property.startswith("log.") and p.property != "log.incomplete" for p in report.problems)
    if report.mode == "mtpo" and not broken:
        try:
            replayed = replay(run.records)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            where = f"log of {run.run}"
            problem = Problem("spec.replay", where, f"names something that the log does not introduce: {error}")
            replayed = Replay(0, (problem,), 0)
    extra = []
    if replayed is not None:
        english = f"every record is a step of the spec, with its outcome ({replayed.steps} steps)"
        extra.append(Property("spec.replay", english, "violated" if replayed.problems else "holds"))
    return Judgment(report, replayed, certify(run, report, extra=extra))
