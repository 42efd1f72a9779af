"""The checks of a run, and how a report says what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs

from mtpo.proofs.runs.runwalk import Mode, Walk
from mtpo_core.log import LoggedRun
from mtpo_core.problems import Problem

Verdict = Literal["holds", "violated", "incomplete", "not asked"]

OF_THE_FILE: Final = frozenset({"log.chain", "log.gap", "log.value"})
"""The checks that ask nothing of what the records say."""

OF_FORM: Final = frozenset({"log.time", "log.body"})
"""The checks that are asked of every record, also after one that can't be understood."""

NEEDS_END: Final = "needs the end of the run"
"""How the note begins of a check that a log without the end of its run leaves open."""

ALL: Final = frozenset({"mtpo", "naive", "serial"})
_MTPO: Final = frozenset({"mtpo"})
_CLAIMS: Final = frozenset({"mtpo", "serial"})


@attrs.frozen
class Check:
    """A property of runs: ``id``, one line of ``english``, the ``modes`` in which it is asked, and whether it
    ``needs_end``: of a log that was cut short it can be violated, but not decided."""

    id: str
    english: str
    modes: frozenset[str] = ALL
    needs_end: bool = False


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        check.id: check
        for check in (
            Check("log.chain", "Every record has the digest stored with it, and carries that of the one before it."),
            Check("log.gap", "No record is missing or out of place."),
            Check("log.value", "Every value matches its digest and is kept or redacted."),
            Check("log.time", "Time does not run backwards: not from record to record, nor in an agent's inferences."),
            Check("log.body", "Every record has the documented form and names only what the log knows."),
            Check("log.launch-order", "Agents are launched with ranks 0, 1, 2, ..."),
            Check("log.call-order", "The calls of an agent are numbered 0, 1, 2, ... in issue order."),
            Check("run.phases", "Every phase of a call was logged before it acted, and none was skipped."),
            Check(
                "run.captured",
                "What undo needs is captured once for an effect, and from the state that the effect acts on.",
            ),
            Check(
                "run.order-respected",
                "Live writes lie on every object in serial order at every moment: what is above is undone first.",
                _CLAIMS,
            ),
            Check(
                "run.filtered-read",
                "Every read saw the greatest live write below it (naive: what was live), unaltered.",
            ),
            Check(
                "run.premise-told",
                "What every author reasons from, as read or as told since, is the value at its position; each is told "
                "all that a repair changed for it, once, and nothing else.",
                _CLAIMS,
                needs_end=True,
            ),
            Check(
                "run.failure-told",
                "What a failed call found is still the value at its position.",
                _CLAIMS,
                needs_end=True,
            ),
            Check("run.one-way", "Notifications go from lower to higher ranks only.", _MTPO),
            Check(
                "run.consumed-before-action",
                "Notifications are consumed once, in order, and before their receiver acts again.",
                _MTPO,
                needs_end=True,
            ),
            Check(
                "run.no-lost-call",
                "Every call has an outcome: it is live, or withdrawn and its author told.",
                needs_end=True,
            ),
            Check("run.undo-restores", "An undone call leaves on each object what the trajectory holds below.", _MTPO),
            Check("run.repair-atomic", "Nobody acts on, or goes by, the middle of a repair.", _MTPO, needs_end=True),
            Check(
                "run.commit-order", "Agents act until they finish, and commit finished, in rank order.", needs_end=True
            ),
            Check(
                "run.abort",
                "An agent that aborts acts no more; what it did is taken out, up to its last call without an inverse.",
                _MTPO,
            ),
            Check("run.gate", "A call without an inverse runs after every lower rank has committed.", _MTPO),
            Check("run.external", "Nobody changed an object without a tool (assumption A2).", needs_end=True),
            Check("run.final-state", "Every object ends with what its last surviving write left.", needs_end=True),
            Check(
                "run.serializable",
                "The agents' dependencies have no cycle, and the claimed order agrees with them.",
                needs_end=True,
            ),
        )
    }
)
"""Every check, in the order in which a report lists them."""


@attrs.frozen
class Finding:
    """How one check came out; ``note`` says to what extent, or why it is incomplete or not asked."""

    check: Check
    verdict: Verdict
    problems: int
    note: str = ""


@attrs.frozen
class Report:
    """What the checker found. ``problems`` are violations; ``unfinished`` says why the run can't be judged to its end.

    ``mode`` is None when the log does not say; ``agents`` are names in rank order; ``committed`` the ranks for which
    the judgment of an unfinished run counts; ``redacted`` is how many values can't be looked at.
    """

    run: str
    mode: Mode | None
    agents: tuple[str, ...]
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    unfinished: tuple[Problem, ...]
    committed: tuple[int, ...]
    redacted: int = 0

    @property
    def complete(self) -> bool:
        """The run came to its end and the log has it."""
        return not self.unfinished

    @property
    def status(self) -> Literal["holds", "violated", "incomplete"]:
        """Violated wins over incomplete."""
        return "violated" if self.problems else "holds" if self.complete else "incomplete"

    @property
    def exit_code(self) -> int:
        """0 all asked holds, 1 violated, 3 incomplete."""
        return {"holds": 0, "violated": 1, "incomplete": 3}[self.status]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "run": self.run,
            "mode": self.mode,
            "agents": list(self.agents),
            "status": self.status,
            "checks": [
                {"id": f.check.id, "english": f.check.english, "verdict": f.verdict, "problems": f.problems}
                for f in self.findings
            ],
            "problems": [attrs.asdict(p) for p in self.problems],
            "unfinished": [attrs.asdict(p) for p in self.unfinished],
        }


def report_of(
    run: LoggedRun, walk: Walk | None, problems: Sequence[Problem], unfinished: Sequence[Problem], certified: int
) -> Report:
    """The report: a finding for every check. ``walk`` is None for a log that can't be judged beyond its chain;
    ``certified`` is how many redacted values a certificate lists."""
    return Report(
        run.run,
        None if walk is None else walk.mode,
        () if walk is None else tuple(agent.name for agent in walk.agents),
        tuple(_finding(check, run, walk, problems, unfinished, certified) for check in CHECKS.values()),
        tuple(problems),
        tuple(unfinished),
        () if walk is None else tuple(a.rank for a in walk.agents if a.committed),
        len(run.redacted),
    )


def _finding(
    check: Check,
    run: LoggedRun,
    walk: Walk | None,
    problems: Sequence[Problem],
    unfinished: Sequence[Problem],
    certified: int,
) -> Finding:
    count = sum(p.property == check.id for p in problems)
    if count:
        return Finding(check, "violated", count)
    if walk is not None and walk.mode not in check.modes:
        return Finding(check, "not asked", 0, f"it is a property of {' and '.join(sorted(check.modes))} runs")
    own = [p.what for p in unfinished if p.property == check.id]
    if own:
        return Finding(check, "incomplete", 0, "; ".join(own))
    if check.id not in OF_THE_FILE:
        if walk is None:
            return Finding(check, "incomplete", 0, _no_opening(run))
        if walk.lost is not None and check.id not in OF_FORM:
            note = f"decided up to record {walk.lost}, which can't be understood; not violated before"
            return Finding(check, "incomplete", 0, note)
        if walk.skipped:
            kinds = ", ".join(map(repr, walk.skipped))
            return Finding(check, "incomplete", 0, f"the checker has no rules for {kinds}")
    if not run.rows:
        return Finding(check, "incomplete", 0, "the log has no records")
    return _as_far_as_it_goes(check, run, walk, certified)


def _as_far_as_it_goes(check: Check, run: LoggedRun, walk: Walk | None, certified: int) -> Finding:
    """Nothing is wrong with what there is: whether that decides the check."""
    notes = []
    there = f"records 0 to {run.rows[-1].seq}"
    if why := _unended(run, walk):
        if check.needs_end:
            return Finding(check, "incomplete", 0, f"{NEEDS_END}, which was {why}; not violated in {there}")
        notes.append(f"decided on {there}: the run was {why}")
    if check.id == "log.value" and run.redacted:
        listed = ", as the certificate lists" if certified else ""
        notes.append(f"{values(len(run.redacted))} redacted{listed}: the content is not checked")
    return Finding(check, "holds", 0, "; ".join(notes))


def _unended(run: LoggedRun, walk: Walk | None) -> str:
    """How a run ended that did not come to its end; empty where it did, or where its close may be a record that can't
    be read."""
    if walk is not None and walk.closed is not None:
        return "" if walk.complete else "halted"
    closed = any(record.kind == "close" for record in run.records)
    return "" if closed or not run.reads_to_its_end else "cut short"


def _no_opening(run: LoggedRun) -> str:
    for seq, _ in run.unreadable():
        if seq == run.rows[0].seq:
            return f"record {seq}, which says what run it is, can't be read"
    return "the log does not begin with a run-open that says what run it is"


def values(count: int) -> str:
    """``1 value``, ``2 values``."""
    return f"{count} value{'' if count == 1 else 's'}"
