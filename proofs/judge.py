"""The whole judgment of a logged run: the independent checker, the replay against the spec, and a certificate saved
before, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from mtpo.proofs.certificate import Property, RunCertificate, certify, compare, verdict_of
from mtpo.proofs.checker import Report, check
from mtpo.proofs.replay import Replay, replay
from mtpo.spec.records import value_digest
from mtpo_core.causes import in_order
from mtpo_core.log import LoggedRun
from mtpo_core.problems import MEANINGS, Problem

REPLAY: Final = "spec.replay"
"""The id of the replay among the checks."""

_NO_RUN: Final = frozenset({"log.chain", "log.gap", "log.body", "log.launch-order", "log.call-order"})


@attrs.frozen
class Judgment:
    """``report`` by the checker; ``replay`` where the log is one of MTPO and can be read; ``certificate`` of the log as
    it is; ``differences`` from the certificate that it was held against."""

    report: Report
    replay: Replay | None
    certificate: RunCertificate
    differences: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is violated, causes first; then how the log differs from a certificate."""
        return (*in_order((*self.report.problems, *self._of_replay)), *self.differences)

    @property
    def _of_replay(self) -> tuple[Problem, ...]:
        return self.replay.problems if self.replay else ()

    @property
    def exit_code(self) -> int:
        """0 holds, 1 violated, 3 incomplete."""
        return 1 if self.problems else self.report.exit_code

    @property
    def verdict(self) -> str:
        """One sentence: yes (exit code 0), no (1) or not known (3)."""
        rows = [row for row in self.certificate.properties if row.id == REPLAY]
        return verdict_of(self.report, self._of_replay, self.differences, rows)


def judge(
    run: LoggedRun,
    expected: RunCertificate | None = None,
    tell: Callable[[str], None] = lambda text: None,
    jobs: int | None = None,
) -> Judgment:
    """Judge a run by its log, and against a certificate saved before when there is one (``expected``).

    ``tell`` is told how far it is. ``jobs``: how many processes share the replay (:func:`mtpo.proofs.replay.replay`).
    """
    tell(f"checking the chain and the rules of {len(run.records):,} records")
    report = check(run, None if expected is None else expected.redacted_digests)
    replayed, row = _replayed(run, report, tell, jobs)
    certificate = certify(run, report, extra=[row], found=replayed.problems if replayed else ())
    differences = compare(run, expected, certificate) if expected else ()
    return Judgment(report, replayed, certificate, tuple(differences))


def _replayed(
    run: LoggedRun, report: Report, tell: Callable[[str], None], jobs: int | None
) -> tuple[Replay | None, Property]:
    """The replay, if the log can be replayed, and what is to be said of it."""
    english = MEANINGS[REPLAY].english
    broken = sorted({p.property for p in report.problems} & _NO_RUN)
    unknown = [p.what for p in report.unfinished if p.property == "log.unjudged"]
    why = ""
    if report.mode is None:
        why = "the log does not say what run it is"
    elif report.mode != "mtpo":
        why = f"the spec is that of mode mtpo, the run is {report.mode}"
    elif broken or unknown:
        why = f"the records are not those of a run ({', '.join(broken)})" if broken else unknown[0]
    if why:
        return None, Property(REPLAY, english, "not asked", why)
    try:
        found = replay(
            run.records,
            absent=value_digest(run.salt, None),
            jobs=jobs,
            progress=lambda done, total: tell(f"{done:,} of {total:,} records replayed against the spec"),
        )
    except (KeyError, ValueError, IndexError, TypeError) as error:
        what = f"names something that the log does not introduce: {error}"
        found = Replay(0, (Problem(REPLAY, f"log of {run.run}", what),))
    cut = "" if report.mode and any(r.kind == "close" for r in run.records) else "; the run was cut short"
    note = f"{found.steps} steps, every property after each{cut}"
    return found, Property(REPLAY, english, "violated" if found.problems else "holds", note)
