"""The independent checker of a run: it reads the log and nothing else, and says what does not hold.

It is written from the published protocol and the documented log format (``docs/records.md``), shares no rule with the
code that ran, and does not trust the log's claims where it can recompute them: positions, members, restored values,
premises and the final state are derived again, and serializability is decided a second time from the dependency graph
of what survived, in which the claimed order plays no part. One pass, near linear in the length of the log.

Sources: "CoAgent" (arXiv 2606.15376), "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4.
"""

from __future__ import annotations

from mtpo.proofs.runs.runform import fault, name_of
from mtpo.proofs.runs.rungraph import anomaly, cycles_of, graph_of, premises_of
from mtpo.proofs.runs.runreport import CHECKS, Check, Finding, Report, report_of, values
from mtpo.proofs.runs.runrules import clock, take
from mtpo.proofs.runs.runstate import AT_REST, Trajectories
from mtpo.proofs.runs.runwalk import Walk
from mtpo.spec.records import value_digest
from mtpo_core.log import LoggedRun, check_chain
from mtpo_core.logchain import digests_of
from mtpo_core.problems import Problem

__all__ = ["CHECKS", "Check", "Finding", "Report", "check"]


def check(run: LoggedRun, certified: frozenset[str] | None = None) -> Report:
    """Judge a run by its log. Never raises for what a log says; a log that can't be read is refused by ``read_log``.

    ``certified``: the digests of the values that a certificate lists as redacted; a value that was redacted since is
    one that can't be checked any more. None when there is no certificate to go by.
    """
    chain = check_chain(run)
    problems = [p for p in chain if p.property != "log.incomplete"]
    unfinished = [p for p in chain if p.property == "log.incomplete"]
    walk = _walk(run, problems)
    if walk is not None:
        problems += walk.problems
        if walk.lost is not None:
            unfinished.append(
                Problem("run.unjudged", f"record {walk.lost}", "the rules stop here: it can't be understood")
            )
        unfinished += [
            Problem("log.unjudged", f"record {seq}", f"the checker has no rules for {kind!r}")
            for kind, seq in walk.skipped.items()
        ]
        if walk.closed is not None and not walk.complete:
            why = walk.closed.body["error"] or "no reason given"
            unfinished.append(Problem("run.halted", f"record {walk.closed.seq}", f"the run was halted: {why}"))
    if certified is not None and run.redacted - certified:
        unfinished.append(_redacted_since(run, run.redacted - certified))
    return report_of(run, walk, problems, unfinished, 0 if certified is None else len(run.redacted & certified))


def _redacted_since(run: LoggedRun, digests: frozenset[str]) -> Problem:
    named = sorted({r.seq for r in run.records if digests & digests_of(r)})
    more = f" and {len(named) - 6} more" if len(named) > 6 else ""
    where = f"record{'' if len(named) == 1 else 's'} {', '.join(map(str, named[:6]))}{more}" if named else "the values"
    what = f"{values(len(digests))} redacted since the certificate: the content is no longer checked"
    return Problem("log.value", where, what)


def _walk(run: LoggedRun, problems: list[Problem]) -> Walk | None:
    bad = next(run.unreadable(), None)
    if not run.records or (bad is not None and bad[0] <= run.records[0].seq):
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
        if bad is not None and record.seq >= bad[0] and walk.lost is None:
            walk.lost = bad[0]
        take(walk, record)
    if walk.lost is None and bad is not None:
        walk.lost = bad[0]
    if walk.lost is None:
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
    for acting in walk.repairs:
        walk.report("run.repair-atomic", where, f"the repair of call {name_of(acting)} is still open")
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
