"""The comparison of machine and spec: their states, what the machine tells and asks for, and what it refuses.

Each check raises :class:`~mtpo.proofs.refinement.sides.Divergence`, which names the property that is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from mtpo.proofs.refinement.sides import Divergence, Sides
from mtpo.spec.concrete import Step, evaluate
from mtpo.spec.mtpo import mtpo
from mtpo.spec.mtpo.abstraction import abstraction
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, Key, MachineError, Policy


def compare(sides: Sides) -> None:
    """The spec is in the state that the machine's stands for, and who can commit has."""
    for variable, table in abstraction(sides.machine, sides.scope).items():
        start = sides.instance.offsets[variable]
        wanted = sides.state[start : start + len(table)]
        if wanted != table and wanted != [y if x is None else x for x, y in zip(table, wanted, strict=True)]:
            _differ(sides, variable, table, wanted)
    if sides.machine.repair is None:
        for rank in range(len(sides.plan.uses)):
            late = sides.instance.enabled(sides.state, Step("commit", (rank,)))
            sides.check(not late, "core.commits-at-once", f"agent {rank} could commit and does not")


def _differ(sides: Sides, variable: str, table: Sequence[int | None], wanted: Sequence[int]) -> NoReturn:
    args = sides.instance.points(mtpo.variables[variable])
    place, found, there = next(row for row in zip(args, table, wanted, strict=True) if row[1] not in (None, row[2]))
    what = f"{variable}{place} is {found} in the machine, {there} in the spec"
    raise Divergence(f"core.refines.{variable}", what, sides.trace)


def check_asked(sides: Sides, effect: Effect) -> None:
    """A call that the machine holds off is one that the spec refuses, for that reason; one that it takes undoes the
    least set."""
    match effect:
        case m.Bounced(agent=agent, ids=ids):
            quiet = not any(sides.value("note", sides.number[key]) for key in sides.keys if key.rank == agent)
            told = not quiet and bool(ids) and ids == sides.sent.get(agent, ())
            sides.check(told, "mtpo.call.inbox-empty", f"bounced for {ids}, sent were {sides.sent.get(agent)}")
        case m.Gated(agent=agent, waits_for=ranks):
            use = sides.use(sides.machine.next_key(agent))
            lower = tuple(b for b in range(agent) if not sides.value("committed", b))
            held = not use.invertible and ranks == lower and bool(lower)
            sides.check(held, "mtpo.call.gate", f"held for {ranks}; not committed: {lower}")
        case m.Accepted(call=key, members=members):
            check_least(sides, key, members, retracting=False)


def check_least(sides: Sides, key: Key, members: tuple[Key, ...], retracting: bool) -> None:
    """What a call, or its retraction, undoes is the least set that is closed."""
    least, clause = _least(sides, key, retracting), f"mtpo.{'retract' if retracting else 'call'}.closed"
    sides.check(list(members) == least, clause, f"undoes {members}, the least set is {least}")


def _least(sides: Sides, key: Key, retracting: bool) -> list[Key]:
    """The least closed set above a call, from the spec's definitions."""
    live = [w for w in sides.keys if w > key and sides.value("live", sides.number[w])]
    found: set[Key] = set()
    work = [key]
    replay = sides.plan.policy is Policy.REPLAY
    while work:
        x = sides.use(work[-1])
        above = work.pop()
        for w in live:
            y = sides.use(w)
            looks = replay if above != key else not retracting
            meet = bool(x.writes & (y.reads | y.writes)) or (looks and bool(x.reads & y.writes))
            if w > above and w not in found and meet:
                found.add(w)
                work.append(w)
    return sorted(found)


def check_effects(sides: Sides, effects: Sequence[Effect], noted: set[Key]) -> None:
    """Notifications and sights, against the state that both sides now agree on."""
    for effect in effects:
        match effect:
            case m.Exec(saw=saw) | m.Redo(saw=saw):
                for o, sight in saw.items():
                    top = sides.value("top", sides.places[o])
                    there = sides.value("value", top, sides.places[o]) if top else 0
                    same = (sides.number[sight.write], int(sight.digest)) == (top, there)
                    sides.check(same, "mtpo.in-place", f"runs on {sight} of {o}, there is the write {top}")
            case m.Settled(call=by, stale=stale):
                new = sides.noted() - noted
                sides.check(new <= set(stale) <= sides.noted(), "mtpo.settled-told", f"{new} noted, told {stale}")
                own = sides.value("withdrawn", sides.number[by]) and sides.machine.calls[by].status == "withdrawn"
                up = all(k.rank > by.rank or (own and k.rank == by.rank and k > by) for k in stale)
                sides.check(up, "mtpo.one-way", f"{by} tells {stale}")
                tell = [e for e in effects if isinstance(e, m.Notify)]
                ranks = [e.agent for e in tell]
                sides.check(ranks == sorted({k.rank for k in stale}), "mtpo.settled-told", f"told are {ranks}")
                about = {p.call for e in tell for p in e.premises} | {r.call for e in tell for r in e.results}
                wanted = {k for k in stale if _changed(sides, k)}
                sides.check(wanted <= about, "mtpo.settled-told", f"nothing is said about {wanted - about}")
                for e in tell:
                    sides.sent = {**sides.sent, e.agent: (*sides.sent.get(e.agent, ()), e.id)}


def _changed(sides: Sides, key: Key) -> set[tuple[Key, str]]:
    """The premises of a call that are not the value at its position, by the spec."""
    c = sides.number[key]
    if not sides.value("sighted", c):
        return set()
    return {
        (key, o)
        for o in sides.use(key).reads
        if sides.value("saw", c, sides.places[o]) != sides.value("value", *_source(sides, c, o))
    }


def _source(sides: Sides, c: int, o: str) -> tuple[int, int]:
    return sides.value("source", c, sides.places[o]), sides.places[o]


def check_delivery(sides: Sides, effect: m.Delivered) -> None:
    """Before the spec refreshes the premises: the machine says those that will change, and all notices sent."""
    due = set[tuple[Key, str]]().union(*(_changed(sides, key) for key in sides.keys if key.rank == effect.agent))
    said = {(p.call, p.object) for p in effect.premises}
    sides.check(said == due, "mtpo.premise-fresh-or-notified", f"said {said}, due was {due}")
    sent = sides.sent.get(effect.agent, ())
    sides.check(effect.ids == sent, "core.notices-once", f"delivered {effect.ids}, sent were {sent}")
    sides.sent = {**sides.sent, effect.agent: ()}


def check_refusal(sides: Sides, event: Event, error: MachineError) -> None:
    """What the machine refuses for a clause that does not depend on its own choices the spec refuses for it too."""
    step: Step | None = None
    if error.clause == "mtpo.repair-atomic":
        return  # the machine keeps to one repair at a time, the spec to as many as don't touch
    match event:
        case m.Read(agent=a) | m.Call(agent=a) if a < len(sides.machine.agents):
            name = "read" if isinstance(event, m.Read) else "call"
            call, none = sides.number[sides.machine.next_key(a)], (0,) * len(sides.places)
            step = Step(name, (call, none) if name == "read" else (call, (0,) * (len(sides.keys) + 1), none))
        case m.Retract(call=key) if key.rank >= len(sides.machine.agents) or sides.value("aborted", key.rank):
            return  # nobody of the spec's; or the spec leaves open who retracts, and the machine does, at once
        case m.Retract(call=key):
            step = Step("retract", (sides.number[key], (0,) * (len(sides.keys) + 1), (0,) * len(sides.places)))
        case m.Finish(agent=a) | m.Deliver(agent=a) | m.Abort(agent=a) if a < len(sides.machine.agents):
            step = Step(type(event).__name__.lower(), (a,))
    if step is None:
        return
    # The machine names the clause of a call by its event, the spec says `at-work` of an agent that finishes.
    wanted = error.clause.replace("finish.author-at-work", "finish.at-work")
    wanted = wanted.replace("retract.author-at-work", "retract.by-its-author")
    if not _refuses(sides, step, wanted):
        refused = [clause.id for clause in sides.instance.refused(sides.state, step)]
        raise Divergence(error.clause, f"refused by the machine, by the spec for {refused}", sides.trace)


def _refuses(sides: Sides, step: Step, clause: str) -> bool:
    """Whether this clause of the spec, looked at alone, refuses the step."""
    action = mtpo.actions[step.action]
    env = dict(zip(action.params, step.args, strict=True))
    formulas = [each.formula for each in action.guard if each.id == clause]
    return any(not evaluate(formula, sides.instance, sides.state, env) for formula in formulas)
