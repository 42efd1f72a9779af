"""The whole judgment of a logged run: the independent checker, the replay against the spec, and a certificate saved
before, if there is one."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from mtpo.proofs.replay.readable import Readable, readable
from mtpo.proofs.replay.replay import MALFORMED, REPLAY, Replay, replay, replay_to_the_fault
from mtpo.proofs.runs.certificate import Property, RunCertificate, certify, compare, verdict_of
from mtpo.proofs.runs.checker import Report, check
from mtpo.spec.records import value_digest
from mtpo_core.causes import in_order
from mtpo_core.log import LoggedRun
from mtpo_core.problems import MEANINGS, Problem

__all__ = ["REPLAY", "Judgment", "judge"]


@attrs.frozen
class Judgment:
    """``report`` by the checker; ``replay`` where the log is one of MTPO, of what is ``readable`` of it;
    ``certificate`` of the log as it is; ``differences`` from the certificate that it was held against."""

    report: Report
    replay: Replay | None
    certificate: RunCertificate
    differences: tuple[Problem, ...] = ()
    readable: Readable | None = None

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
    read, why = _asked(run, report)
    if read is None:
        replayed, row = None, Property(REPLAY, MEANINGS[REPLAY].english, "not asked", why)
    else:
        replayed = _replayed(run, read, tell, jobs)
        row = _row(run, read, replayed)
    certificate = certify(run, report, extra=[row], found=replayed.problems if replayed else ())
    differences = compare(run, expected, certificate) if expected else ()
    return Judgment(report, replayed, certificate, tuple(differences), read)


def _asked(run: LoggedRun, report: Report) -> tuple[Readable | None, str]:
    """What is to be replayed; None where nothing is, and why."""
    if report.mode is None:
        return None, "the log does not say what run it is"
    if report.mode != "mtpo":
        return None, f"the spec is that of mode mtpo, the run is {report.mode}"
    return readable(run, (*report.problems, *report.unfinished)), ""


def _replayed(run: LoggedRun, read: Readable, tell: Callable[[str], None], jobs: int | None) -> Replay:
    absent = value_digest(run.salt, None)
    try:
        return replay(
            read.records,
            absent=absent,
            beside=read.beside,
            jobs=jobs,
            progress=lambda done, total: tell(f"{done:,} of {total:,} records replayed against the spec"),
        )
    except MALFORMED:
        return replay_to_the_fault(read.records, absent, read.beside)


def _row(run: LoggedRun, read: Readable, found: Replay) -> Property:
    """What is to be said of the replay; where not all records could be read, what it says is of those before."""
    more, whole = "", len(read.records) == len(run.rows)
    if read.why is not None:
        end = "" if whole else f" up to record {run.rows[len(read.records)].seq}, which can't be read as a step"
        more = f"{end}; the records are not those of a run ({read.why})"
    elif not any(r.kind == "close" for r in run.records):
        more = "; the run was cut short"
    verdict = "violated" if found.problems else "holds" if whole else "incomplete"
    return Property(REPLAY, MEANINGS[REPLAY].english, verdict, f"{found.steps} steps, every property after each{more}")
