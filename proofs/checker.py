"""The independent checker of a run: it reads the log and nothing else, and says what does not hold.

It is written from the published protocol and the documented log format (``docs/records.md``), shares no rule with the
code that ran, and does not trust the log's claims where it can recompute them: positions, members, restored values,
premises and the final state are derived again, and serializability is decided a second time from the dependency graph
of what survived, in which the claimed order plays no part. One pass, near linear in the length of the log.

Sources: "CoAgent" (arXiv 2606.15376), "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs

from mtpo.proofs.runform import fault, name_of
from mtpo.proofs.rungraph import anomaly, cycles_of, graph_of, premises_of
from mtpo.proofs.runrules import clock, take
from mtpo.proofs.runstate import AT_REST, Trajectories
from mtpo.proofs.runwalk import Mode, Walk
from mtpo.spec.records import value_digest
from mtpo_core.log import LoggedRun, check_chain
from mtpo_core.problems import Problem

ALL: Final = frozenset({"mtpo", "naive", "serial"})
_MTPO: Final = frozenset({"mtpo"})
_CLAIMS: Final = frozenset({"mtpo", "serial"})


@attrs.frozen
class Check:
    """A property of runs: ``id``, one line of ``english``, the ``modes`` in which it is asked."""

    id: str
    english: str
    modes: frozenset[str] = ALL


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        check.id: check
        for check in (
            Check("log.chain", "No record was altered, and each carries the digest of the one before it."),
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
                "What every author reasons from, as read or as told since, is the value at its position.",
                _CLAIMS,
            ),
            Check("run.failure-told", "What a failed call found is still the value at its position.", _CLAIMS),
            Check("run.one-way", "Notifications go from lower to higher ranks only.", _MTPO),
            Check(
                "run.consumed-before-action",
                "Notifications are consumed once, in order, and before their receiver acts again.",
                _MTPO,
            ),
            Check("run.no-lost-call", "Every call has an outcome: it is live, or withdrawn and its author told."),
            Check("run.undo-restores", "An undone call leaves on each object what the trajectory holds below.", _MTPO),
            Check("run.repair-atomic", "Nothing else acts in the middle of a repair.", _MTPO),
            Check("run.commit-order", "Agents act until they finish, and commit finished, in rank order.", ALL),
            Check("run.gate", "A call without an inverse runs after every lower rank has committed.", _MTPO),
            Check("run.external", "Nobody changed an object without a tool (assumption A2)."),
            Check("run.final-state", "Every object ends with what its last surviving write left."),
            Check(
                "run.serializable", "The agents' dependencies have no cycle, and the claimed order agrees with them."
            ),
        )
    }
)
"""Every check, in the order in which a report lists them."""


@attrs.frozen
class Finding:
    """How one check came out."""

    check: Check
    verdict: Literal["holds", "violated", "incomplete", "not asked"]
    problems: int


@attrs.frozen
class Report:
    """What the checker found. ``problems`` are violations; ``unfinished`` says why the run can't be judged to its end.

    ``mode`` is None when the log does not say; ``agents`` are names in rank order; ``committed`` the ranks for which
    the judgment of an unfinished run counts.
    """

    run: str
    mode: Mode | None
    agents: tuple[str, ...]
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    unfinished: tuple[Problem, ...]
    committed: tuple[int, ...]

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


def check(run: LoggedRun) -> Report:
    """Judge a run by its log. Never raises for what a log says; a log that can't be read is refused by ``read_log``."""
    chain = check_chain(run)
    problems = [p for p in chain if p.property != "log.incomplete"]
    unfinished = [p for p in chain if p.property == "log.incomplete"]
    walk = _walk(run, problems)
    if walk is None:
        return _report(run, None, problems, unfinished)
    problems += walk.problems
    unfinished += [
        Problem("log.unjudged", f"record {seq}", f"the checker has no rules for {kind!r}")
        for kind, seq in walk.skipped.items()
    ]
    if walk.closed is not None and not walk.complete:
        why = walk.closed.body["error"] or "no reason given"
        unfinished.append(Problem("run.halted", f"record {walk.closed.seq}", f"the run was halted: {why}"))
    return _report(run, walk, problems, unfinished)


def _walk(run: LoggedRun, problems: list[Problem]) -> Walk | None:
    if not run.records:
        return None
    opened = run.records[0]
    wrong = fault(opened)
    if opened.kind != "run-open" or wrong:
        problems.append(
            Problem("log.body", f"record {opened.seq}", wrong or f"a log opens with run-open, not {opened.kind}")
        )
        return None
    world = Trajectories(opened.body["initial"], value_digest(run.salt, None))
    walk = Walk(opened.body["mode"], opened.body["policy"], world)
    clock(walk, opened)
    for record in run.records[1:]:
        take(walk, record)
    _end(walk)
    return walk


def _end(walk: Walk) -> None:
    """What is asked of the run as a whole; of an unfinished one, for the agents that had committed."""
    complete = walk.complete and not walk.skipped
    naive = walk.mode == "naive"
    ranks = frozenset(a.rank for a in walk.agents if complete or a.committed or naive)
    if walk.closed is not None:
        _final_state(walk)
    if complete:
        _all_done(walk)
    if not naive:
        _premises(walk, ranks)
    _serializable(walk, ranks)


def _all_done(walk: Walk) -> None:
    where = walk.closed or "the end"
    if walk.repair is not None:
        walk.report("run.repair-atomic", where, f"the repair of call {name_of(walk.repair.acting)} is still open")
    for operation in walk.world.operations.values():
        if operation.phase not in AT_REST:
            walk.report("run.no-lost-call", where, f"call {name_of(operation.key)} is {operation.phase}")
    for agent in walk.agents:
        done = agent.committed if walk.mode == "mtpo" else agent.finished
        if not done:
            stands = "committed" if walk.mode == "mtpo" else "finished"
            walk.report("run.commit-order", where, f"{walk.who(agent.rank)} has not {stands}")
        if agent.inbox:
            ids = ", ".join(map(str, agent.inbox))
            walk.report("run.consumed-before-action", where, f"{walk.who(agent.rank)} never consumed {ids}")
        walk.settle_debts(agent, where)


def _final_state(walk: Walk) -> None:
    assert walk.closed is not None
    world, final = walk.world, walk.closed.body["final"]
    for o in sorted({*world.initial, *world.physical, *final} - walk.foreign):
        write, digest = world.top(o)
        found = final.get(o, world.absent)
        if found != digest:
            left = "its initial value" if write is None else f"what its last live write {name_of(write)} left"
            walk.report("run.final-state", walk.closed, f"{o} holds {found[:8]}, not {digest[:8]}, {left}")


def _premises(walk: Walk, ranks: frozenset[int]) -> None:
    world = walk.world
    for operation in world.operations.values():
        if operation.key[0] not in ranks or operation.phase not in ("read", "live", "failed"):
            continue
        for o, held in operation.held.items():
            write, digest = world.below(operation.key, o)
            if held == digest:
                continue
            by = "the initial value" if write is None else f"the value of call {name_of(write)}"
            property = "run.failure-told" if operation.phase == "failed" else "run.premise-told"
            verb = "failed on" if operation.phase == "failed" else "has"
            what = (
                f"{walk.who(operation.key[0])} {verb} {o} as {held[:8]}; at its position it is {digest[:8]}, {by}, "
                "and it was not told"
            )
            walk.report(property, f"call {name_of(operation.key)}", what)


def _serializable(walk: Walk, ranks: frozenset[int]) -> None:
    claims, names = walk.mode != "naive", [agent.name for agent in walk.agents]
    premises = premises_of(walk.world.operations.values(), ranks, failures=not claims)
    graph = graph_of(walk.world, ranks, premises, claims)
    for p in graph.orphans:
        what = f"{names[p.key[0]]} goes by a value of {p.object} ({p.digest[:8]}) that no surviving write left"
        walk.report("run.serializable", f"call {name_of(p.key)}", what)
    cycles = cycles_of(graph)
    for cycle in cycles:
        path = " -> ".join(names[edge.first[0]] for edge in (*cycle, cycle[0]))
        reasons = "; ".join(edge.sentence(names) for edge in cycle)
        walk.report("run.serializable", path, f"no serial order has this outcome ({anomaly(cycle)}): {reasons}")
    if claims and not cycles:
        for edge in graph.all():
            if edge.first[0] > edge.then[0]:
                order = f"{names[edge.then[0]]} < {names[edge.first[0]]}"
                walk.report("run.serializable", order, f"the claimed order is not that of {edge.sentence(names)}")


def _report(run: LoggedRun, walk: Walk | None, problems: Iterable[Problem], unfinished: Iterable[Problem]) -> Report:
    problems, unfinished = tuple(problems), tuple(unfinished)
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.property] = counts.get(problem.property, 0) + 1
    findings = []
    for check in CHECKS.values():
        verdict: Literal["holds", "violated", "incomplete", "not asked"]
        if check.id in counts:
            verdict = "violated"
        elif walk is not None and walk.mode not in check.modes:
            verdict = "not asked"
        elif unfinished or walk is None:
            verdict = "incomplete"
        else:
            verdict = "holds"
        findings.append(Finding(check, verdict, counts.get(check.id, 0)))
    return Report(
        run.run,
        None if walk is None else walk.mode,
        () if walk is None else tuple(agent.name for agent in walk.agents),
        tuple(findings),
        problems,
        unfinished,
        () if walk is None else tuple(a.rank for a in walk.agents if a.committed),
    )
