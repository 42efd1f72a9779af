"""Whole runs: whether each comes to its goal and keeps it, for ``mtpo explore --live``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtpo_core.cli.common import frontier, out, plural, progress, usage
from mtpo_core.cli.ending import Ending
from mtpo_core.cli.sized import extent_line


def live_runs(
    made: Iterable[tuple[Any, Any, Any]],
    goal: str | None,
    may: Sequence[str],
    limit: int,
    record: Path | None,
    ending: Ending,
) -> int:
    """Look at the runs of specs, each with its instance and initial states; tell of them, write what holds into a
    ledger if there is one, and return the exit code."""
    from mtpo.proofs.exploration.deadends import data_of
    from mtpo.proofs.exploration.liveness import check_goal
    from mtpo.proofs.ledger import entries_of
    from mtpo.proofs.ledger import record as write
    from mtpo.proofs.verdicts import Status

    wanted = [(_goal(spec, goal, may), instance, initial) for spec, instance, initial in made]
    found = []
    for each, instance, initial in wanted:
        with progress(f"runs of {instance.spec.name}", ending.json) as tell:
            found.append(check_goal(instance, initial, each, limit=limit, progress=frontier(tell)))
    verdicts = [result.verdict for result in found]
    if record is not None:
        english = {each.id: each.doc for each, _, _ in wanted}
        write(record, entries_of([v for v in verdicts if v.status is Status.CHECKED], english))

    def show() -> None:
        for (each, _, _), result in zip(wanted, found, strict=True):
            _show(each, result)

    data = {"runs": list(map(data_of, found))}
    return ending.tell(verdicts, "runs that miss their goal", lambda: data, show)


def _goal(spec: Any, id: str | None, may: Sequence[str]) -> Any:
    """The goal of an id, a property of states, or the spec's own; nobody need take the actions named."""
    from mtpo.proofs.exploration.goals import Goal, goals_of

    for action in may:
        if action not in spec.actions:
            raise usage(f"--may {action}: {spec.name} has no such action; known: {', '.join(spec.actions)}")
    own = {each.id: each for each in goals_of(spec)}
    states = {p.id: p for p in spec.role("invariant", "lemma", "reachable")}
    if id is None and own:
        found = next(iter(own.values()))
    elif id is not None and id in own:
        found = own[id]
    elif id is not None and id in states:
        found = Goal(id, states[id].doc, states[id].formula, at=states[id].at)
    else:
        lacks = f"--live: {spec.name} has no goal of its own" if id is None else f"--goal {id}: no property of states"
        known = ", ".join((*own, *states)) or f"none; declare one with @{spec.name}.reachable(...)"
        raise usage(f"{lacks}; give the one that runs are to come to, --goal ID; known: {known}")
    return attrs.evolve(found, may=found.may | set(may))


def _show(goal: Any, result: Any) -> None:
    from mtpo.proofs.pictures.shown import why_lines

    v, spec = result.verdict, result.instance.spec
    out.print(extent_line(result.instance, result.initial))
    cycles = f"{plural(result.cyclic, 'state')} on cycles" if result.cyclic else "no cycle"
    out.print(
        f"{plural(result.states, 'state')}, {plural(result.transitions, 'step')}, depth {result.depth}, "
        f"{result.seconds:.1f} s, {'complete' if result.complete else 'not complete'}"
        + (f"; a run may end in {plural(result.ends, 'state')}, {cycles}" if result.complete else "")
    )
    needless = [name for name in spec.actions if name in goal.may]
    if needless:
        out.print(f"need never be taken: {', '.join(needless)}")
    out.print(f"{v.status:<8} {v.property:<36} live: {v.detail.get('why') or goal.doc}")
    if v.trace is None:
        return
    for line in (*v.trace.lines(), *why_lines(v, v.trace)):
        out.print(f"         {line}")
