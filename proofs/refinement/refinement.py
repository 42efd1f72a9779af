"""The machine refines the spec: both are driven side by side, and compared after every event.

A :class:`Plan` fixes the universe: who makes which calls, with which footprints, under which policy. A :class:`Pair`
is the machine and an instance of the spec on that plan. Each event of the machine is one or several steps of the spec;
each step's guard must hold, and the abstraction of the machine's state must be the spec's state. What the machine
refuses the spec must refuse too. :func:`explore` tries every interleaving of a plan; :func:`drive` follows a tape of
choices.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

import attrs

from mtpo.spec.concrete import Instance, State, Step, evaluate
from mtpo.spec.language import Sort
from mtpo.spec.mtpo import Agent, Object, Value, mtpo
from mtpo.spec.mtpo import Call as CallSort
from mtpo.spec.mtpo.abstraction import Scope, abstraction
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, Key, Machine, MachineError, Policy


def _names(objects: Iterable[str]) -> frozenset[str]:
    return frozenset(objects)


@attrs.frozen
class Use:
    """One planned call: a read if it writes nothing, from what was kept or (``by_undo``) by a call."""

    reads: frozenset[str] = attrs.field(default=(), converter=_names)
    writes: frozenset[str] = attrs.field(default=(), converter=_names)
    invertible: bool = True
    by_undo: bool = False


@attrs.frozen
class Plan:
    """``uses[a]`` are the calls of the agent of rank ``a``, in order; values are the numbers below ``values``.

    ``faults``: agents may also abort, and retract calls.
    """

    uses: tuple[tuple[Use, ...], ...]
    objects: tuple[str, ...]
    values: int = 2
    policy: Policy = Policy.REPLAY
    faults: bool = False


class Divergence(Exception):
    """The machine did what the spec does not: ``property`` is what it broke, ``trace`` the events that led there."""

    def __init__(self, property: str, what: str, trace: Sequence[Event]) -> None:
        lines = "".join(f"\n  {number}: {event}" for number, event in enumerate(trace))
        super().__init__(f"{property}: {what}, after{lines}")
        self.property = property
        self.trace = tuple(trace)


@attrs.frozen
class Explored:
    """The extent of an exploration: distinct states of machine and spec, and of the machine by itself; events taken; in
    how many states everyone had committed; how many events were held off or refused, as they should be."""

    states: int
    own: int
    events: int
    ends: int
    refused: int


_OPEN = ("author", "reads", "writes", "invertible", "given", "replay")


@functools.lru_cache(maxsize=64)
def _instance(agents: int, calls: int, objects: int, values: int) -> Instance:
    sizes: dict[type[Sort], int] = {Agent: agents, CallSort: calls, Object: objects, Value: values}
    return Instance(mtpo, sizes, {"origin": [0], "accepts": lambda *premise: 0}, open=_OPEN)


class Pair:
    """The machine and the spec on one plan. ``waiting`` is the piece of an open repair that must be answered next."""

    def __init__(self, plan: Plan, make: type[Machine] = Machine) -> None:
        self.plan = plan
        self.keys = [Key(rank, seq) for rank, uses in enumerate(plan.uses) for seq in range(len(uses))]
        self.scope = Scope(len(plan.uses), self.keys, plan.objects)
        self.number = self.scope.number
        self.places = {o: i for i, o in enumerate(plan.objects)}
        rows = [Use((), plan.objects), *(self.use(key) for key in self.keys)]
        self.instance = _instance(len(plan.uses), len(rows), len(plan.objects), plan.values)
        chosen = {
            "author": [0, *(key.rank for key in self.keys)],
            "reads": [int(o in use.reads) for use in rows for o in plan.objects],
            "writes": [int(o in use.writes) for use in rows for o in plan.objects],
            "invertible": [int(use.invertible) for use in rows],
            "given": [0] * len(plan.objects),
            "replay": [int(plan.policy is Policy.REPLAY)],
        }
        self.state = self.instance.initial(chosen)
        self._cells: dict[tuple[str, tuple[int, ...]], int] = {}
        named = plan.objects[:1]  # the others begin as what is not there: absent, which is as good
        self.machine = make(dict.fromkeys(named, "0"), "0", plan.policy)
        self.waiting: m.Undo | m.Exec | m.Redo | None = None
        self.sent: dict[int, tuple[int, ...]] = {}
        """Notices not yet delivered, per agent."""
        self.trace: tuple[Event, ...] = ()

    def use(self, key: Key) -> Use:
        """What the plan says of a call."""
        return self.plan.uses[key.rank][key.seq]

    def copy(self) -> Pair:
        """An independent pair in the same state."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.machine, other.state = self.machine.snapshot(), list(self.state)
        return other

    # -- what can happen ---------------------------------------------------------------------------------------

    def next_event(self, agent: int) -> Event | None:
        """The agent's next planned call, as an event; None when all are made."""
        issued = self.machine.agents[agent].issued
        if issued == len(self.plan.uses[agent]):
            return None
        use = self.plan.uses[agent][issued]
        if use.writes or use.by_undo:
            return m.Call(agent, use.reads, use.writes, use.invertible)
        return m.Read(agent, tuple(sorted(use.reads)))

    def moves(self) -> list[Event]:
        """Every event that whoever drives the machine may bring about now; outcomes of tools with every value."""
        found: list[Event] = []
        if len(self.machine.agents) < len(self.plan.uses):
            found.append(m.Launch())
        if self.waiting is not None:
            return [*found, *self._outcomes(self.waiting)]
        for rank, agent in enumerate(self.machine.agents):
            event = self.next_event(rank)
            if event is not None and (not agent.finished or agent.noted):
                found.append(event)
            if agent.noted:
                found.append(m.Deliver(rank))
            if not agent.finished or agent.noted:
                found.append(m.Finish(rank))
            if self.plan.faults and not agent.committed:
                found += [] if agent.aborted else [m.Abort(rank)]
                found += [] if agent.finished else [m.Retract(key) for key in agent.live if not self._kept(key)]
        return found

    def _outcomes(self, waiting: m.Undo | m.Exec | m.Redo) -> list[Event]:
        if isinstance(waiting, m.Undo):
            return [m.Undone(waiting.call)]
        writes = sorted(self.use(waiting.call).writes)
        texts = [str(v) for v in range(self.plan.values)]
        outs = [dict(zip(writes, row, strict=True)) for row in itertools.product(texts, repeat=len(writes))]
        return [*(self.answer(out) for out in outs), self.answer(None)]

    def futile(self) -> list[Event]:
        """Events that may come now and change nothing: there is nothing to deliver, or their author must read first."""
        if self.waiting is not None:
            return []
        found: list[Event] = []
        for rank, agent in enumerate(self.machine.agents):
            found += [] if agent.noted else [m.Deliver(rank)]
            found += [m.Retract(key) for key in self.keys if agent.noted and self.plan.faults and key.rank == rank]
        return found

    def _kept(self, key: Key) -> bool:
        later = self.machine.agents[key.rank].live
        return any(w >= key and not self.use(w).invertible for w in later)

    def answer(self, out: dict[str, str] | None) -> Event:
        """The end of the piece that waits: with these values, or (None) in failure."""
        match self.waiting:
            case m.Exec(call=key):
                return m.Failed(key) if out is None else m.Applied(key, out)
            case m.Redo(call=key):
                return m.Stranded(key) if out is None else m.Redone(key, out)
            case m.Undo(call=key):
                return m.Undone(key)
        raise ValueError("no piece of a repair waits")

    def forbidden(self) -> list[Event]:
        """Events that the protocol does not allow now: each must be refused and change nothing."""
        found: list[Event] = [m.Finish(len(self.machine.agents)), m.Read(len(self.machine.agents), ())]
        waiting = None if self.waiting is None else self.waiting.call
        found += [] if waiting is None or isinstance(self.waiting, m.Undo) else self._misfits(waiting)
        for key in self.machine.calls:
            out = dict.fromkeys(self.use(key).writes, "0")
            if not isinstance(self.waiting, m.Exec) or key != waiting:
                found += [m.Applied(key, out), m.Failed(key)]
            if not isinstance(self.waiting, m.Redo) or key != waiting:
                found += [m.Redone(key, out), m.Stranded(key)]
            if not isinstance(self.waiting, m.Undo) or key != waiting:
                found.append(m.Undone(key))
            agent = self.machine.agents[key.rank]
            dead = not self._value("live", self.number[key]) or self._kept(key)
            if self.plan.faults and (self.waiting is not None or (not agent.noted and (agent.finished or dead))):
                found.append(m.Retract(key))
        for rank, agent in enumerate(self.machine.agents):
            event = self.next_event(rank)
            if self.waiting is not None or (agent.finished and not agent.noted):
                found += [m.Finish(rank)] + ([] if event is None else [event])
            if self.waiting is not None:
                found.append(m.Deliver(rank))
            unmade = Key(rank, agent.issued)
            if self.plan.faults and unmade in self.number and (self.waiting is not None or not agent.noted):
                found.append(m.Retract(unmade))
            if self.plan.faults and (self.waiting is not None or agent.committed or agent.aborted):
                found.append(m.Abort(rank))
        return found

    def strangers(self) -> list[Event]:
        """What an agent would do that was not launched: forbidden, too."""
        nobody = len(self.machine.agents)
        return [m.Call(nobody, frozenset(), frozenset()), m.Deliver(nobody), m.Abort(nobody), m.Retract(Key(nobody, 0))]

    def _misfits(self, key: Key) -> list[Event]:
        """Outcomes of the piece that waits which leave out an object that it writes, or have another one."""
        out = dict.fromkeys(self.use(key).writes, "0")
        return [self.answer(odd) for odd in (dict(list(out.items())[1:]), {**out, "elsewhere": "0"}) if odd != out]

    # -- one event ---------------------------------------------------------------------------------------------

    def step(self, event: Event) -> list[Effect]:
        """Take one of :meth:`moves` on both sides; :class:`Divergence` if they part."""
        self.trace = (*self.trace, event)
        noted = self._noted()
        try:
            effects = self.machine.step(event)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it should not
            raise Divergence(getattr(error, "clause", "core.total"), f"it raised {error!r}", self.trace) from None
        for effect in effects:
            self._ask(effect)
        if isinstance(event, m.Abort):
            self.sent = {**self.sent, event.agent: ()}
        for step in self._steps(event, effects):
            refused = self.instance.refused(self.state, step)
            if refused:
                raise Divergence(refused[0].id, f"{step.action}{step.args} is no step of the spec", self.trace)
            if step.action == "retract":  # perhaps one of several of an abort, each after the one before is settled
                taken = next(e for e in effects if isinstance(e, m.Retracting))
                self._check_least(taken.call, taken.members, retracting=True)
            if step.action == "deliver":
                self._check_delivery(next(e for e in effects if isinstance(e, m.Delivered)))
            self.instance.perform(self.state, step)
        if not isinstance(event, m.Launch):  # which may come in the middle of a repair, and leaves it where it is
            last = effects[-1] if effects else None
            self.waiting = last if isinstance(last, m.Undo | m.Exec | m.Redo) else None
        asks = (self.waiting is not None) == (self.machine.repair is not None)
        self._check(asks, "mtpo.repair-ends", f"repair {self.machine.repair}, and {self.waiting} is asked for")
        self._compare()
        self._check_effects(effects, noted)
        return effects

    def hold_off(self, *events: Event) -> None:
        """Try some of :meth:`futile`: none may come to anything. What they left is compared by :meth:`refuse`."""
        for event in events:
            self.trace = (*self.trace, event)
            effects = self.machine.step(event)
            for effect in effects:
                self._ask(effect)
            vain = all(isinstance(effect, m.Bounced) for effect in effects)
            self._check(vain, "core.refuses", f"it came to something: {effects}")

    def refuse(self, *events: Event) -> None:
        """Try some of :meth:`forbidden`: both sides must refuse each, and nothing may change."""
        for event in events:
            self.trace = (*self.trace, event)
            try:
                effects = self.machine.step(event)
            except MachineError as error:
                self._both_refuse(event, error)
            else:
                raise Divergence("core.refuses", f"it was taken, with the effects {effects}", self.trace)
        self._compare()

    def _steps(self, event: Event, effects: Sequence[Effect]) -> Iterator[Step]:
        """The steps of the spec that an event and its effects are."""
        match event:
            case m.Launch():
                yield Step("launch", (len(self.machine.agents) - 1,))
            case m.Abort(agent=rank):
                yield Step("abort", (rank,))
            case m.Undone(call=key) if self._value("retracting", self.number[key]):
                yield Step("retracted", (self.number[key],))
            case m.Undone(call=key) | m.Failed(call=key) | m.Stranded(call=key):
                yield Step(type(event).__name__.lower(), (self.number[key],))
            case m.Applied(call=key, out=out) | m.Redone(call=key, out=out):
                table = [0] * len(self.places)
                for o, digest in out.items():
                    table[self.places[o]] = int(digest)
                yield Step(type(event).__name__.lower(), (self.number[key], tuple(table)))
        for effect in effects:
            match effect:
                case m.Served(call=key, saw=saw):
                    below = [0] * len(self.places)
                    for o, sight in saw.items():
                        below[self.places[o]] = self.number[sight.write]
                    yield Step("read", (self.number[key], tuple(below)))
                case m.Accepted(call=key, members=members) | m.Retracting(call=key, members=members):
                    table = [0] * (len(self.keys) + 1)
                    for member in members:
                        table[self.number[member]] = 1
                    held = self._touched(key, members)
                    locks = tuple(int(o in held) for o in self.plan.objects)
                    name = "call" if isinstance(effect, m.Accepted) else "retract"
                    yield Step(name, (self.number[key], tuple(table), locks))
                case m.Resolved(call=key, status="cancelled"):
                    yield Step("cancelled", (self.number[key],))
                case m.Settled(call=key):
                    yield Step("settle", (self.number[key],))
                case m.Reopened(agent=agent):
                    yield Step("reopen", (agent,))
                case m.Delivered(agent=agent):
                    yield Step("deliver", (agent,))
                case m.Finished(agent=agent):
                    yield Step("finish", (agent,))
                case m.Committed(agent=agent):
                    yield Step("commit", (agent,))

    def _touched(self, key: Key, members: Iterable[Key]) -> set[str]:
        """What a repair locks: the footprints of its call and of the calls that it undoes."""
        return {o for c in (key, *members) for o in (*self.use(c).reads, *self.use(c).writes)}

    def _ask(self, effect: Effect) -> None:
        """A call that the machine holds off must be one that the spec refuses, for that reason, and the least set."""
        match effect:
            case m.Bounced(agent=agent, ids=ids):
                quiet = not any(self._value("note", self.number[key]) for key in self.keys if key.rank == agent)
                told = not quiet and bool(ids) and ids == self.sent.get(agent, ())
                self._check(told, "mtpo.call.inbox-empty", f"bounced for {ids}, sent were {self.sent.get(agent)}")
            case m.Gated(agent=agent, waits_for=ranks):
                use = self.use(self.machine.next_key(agent))
                lower = tuple(b for b in range(agent) if not self._value("committed", b))
                held = not use.invertible and ranks == lower and bool(lower)
                self._check(held, "mtpo.call.gate", f"held for {ranks}; not committed: {lower}")
            case m.Accepted(call=key, members=members):
                self._check_least(key, members, retracting=False)

    def _check_least(self, key: Key, members: tuple[Key, ...], retracting: bool) -> None:
        least, clause = self._least(key, retracting), f"mtpo.{'retract' if retracting else 'call'}.closed"
        self._check(list(members) == least, clause, f"undoes {members}, the least set is {least}")

    def _least(self, key: Key, retracting: bool) -> list[Key]:
        """The least closed set above a call, from the spec's definitions."""
        live = [w for w in self.keys if w > key and self._value("live", self.number[w])]
        found: set[Key] = set()
        work = [key]
        replay = self.plan.policy is Policy.REPLAY
        while work:
            x = self.use(work[-1])
            above = work.pop()
            for w in live:
                y = self.use(w)
                looks = replay if above != key else not retracting
                meet = bool(x.writes & (y.reads | y.writes)) or (looks and bool(x.reads & y.writes))
                if w > above and w not in found and meet:
                    found.add(w)
                    work.append(w)
        return sorted(found)

    def _both_refuse(self, event: Event, error: MachineError) -> None:
        """What the machine refuses for a clause that does not depend on its own choices the spec refuses for it too."""
        step: Step | None = None
        if error.clause == "mtpo.repair-atomic":
            return  # the machine keeps to one repair at a time, the spec to as many as don't touch
        match event:
            case m.Read(agent=a) | m.Call(agent=a) if a < len(self.machine.agents):
                name = "read" if isinstance(event, m.Read) else "call"
                call, none = self.number[self.machine.next_key(a)], (0,) * len(self.places)
                step = Step(name, (call, none) if name == "read" else (call, (0,) * (len(self.keys) + 1), none))
            case m.Retract(call=key) if key.rank >= len(self.machine.agents) or self._value("aborted", key.rank):
                return  # nobody of the spec's; or the spec leaves open who retracts, and the machine does, at once
            case m.Retract(call=key):
                step = Step("retract", (self.number[key], (0,) * (len(self.keys) + 1), (0,) * len(self.places)))
            case m.Finish(agent=a) | m.Deliver(agent=a) | m.Abort(agent=a) if a < len(self.machine.agents):
                step = Step(type(event).__name__.lower(), (a,))
        if step is None:
            return
        # The machine names the clause of a call by its event, the spec says `at-work` of an agent that finishes.
        wanted = error.clause.replace("finish.author-at-work", "finish.at-work")
        wanted = wanted.replace("retract.author-at-work", "retract.by-its-author")
        if not self._refuses(step, wanted):
            refused = [clause.id for clause in self.instance.refused(self.state, step)]
            raise Divergence(error.clause, f"refused by the machine, by the spec for {refused}", self.trace)

    def _refuses(self, step: Step, clause: str) -> bool:
        """Whether this clause of the spec, looked at alone, refuses the step."""
        action = mtpo.actions[step.action]
        env = dict(zip(action.params, step.args, strict=True))
        formulas = [each.formula for each in action.guard if each.id == clause]
        return any(not evaluate(formula, self.instance, self.state, env) for formula in formulas)

    # -- comparison --------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        for variable, table in abstraction(self.machine, self.scope).items():
            start = self.instance.offsets[variable]
            wanted = self.state[start : start + len(table)]
            if wanted != table and wanted != [y if x is None else x for x, y in zip(table, wanted, strict=True)]:
                self._differ(variable, table, wanted)
        if self.machine.repair is None:
            for rank in range(len(self.plan.uses)):
                late = self.instance.enabled(self.state, Step("commit", (rank,)))
                self._check(not late, "core.commits-at-once", f"agent {rank} could commit and does not")

    def _differ(self, variable: str, table: Sequence[int | None], wanted: Sequence[int]) -> NoReturn:
        args = self.instance.points(mtpo.variables[variable])
        place, found, there = next(row for row in zip(args, table, wanted, strict=True) if row[1] not in (None, row[2]))
        what = f"{variable}{place} is {found} in the machine, {there} in the spec"
        raise Divergence(f"core.refines.{variable}", what, self.trace)

    def _check_effects(self, effects: Sequence[Effect], noted: set[Key]) -> None:
        """Notifications and sights, against the state that both sides now agree on."""
        for effect in effects:
            match effect:
                case m.Exec(saw=saw) | m.Redo(saw=saw):
                    for o, sight in saw.items():
                        top = self._value("top", self.places[o])
                        there = self._value("value", top, self.places[o]) if top else 0
                        same = (self.number[sight.write], int(sight.digest)) == (top, there)
                        self._check(same, "mtpo.in-place", f"runs on {sight} of {o}, there is the write {top}")
                case m.Settled(call=by, stale=stale):
                    new = self._noted() - noted
                    self._check(new <= set(stale) <= self._noted(), "mtpo.settled-told", f"{new} noted, told {stale}")
                    own = self._value("withdrawn", self.number[by]) and self.machine.calls[by].status == "withdrawn"
                    up = all(k.rank > by.rank or (own and k.rank == by.rank and k > by) for k in stale)
                    self._check(up, "mtpo.one-way", f"{by} tells {stale}")
                    tell = [e for e in effects if isinstance(e, m.Notify)]
                    ranks = [e.agent for e in tell]
                    self._check(ranks == sorted({k.rank for k in stale}), "mtpo.settled-told", f"told are {ranks}")
                    about = {p.call for e in tell for p in e.premises} | {r.call for e in tell for r in e.results}
                    wanted = {k for k in stale if self._changed(k)}
                    self._check(wanted <= about, "mtpo.settled-told", f"nothing is said about {wanted - about}")
                    for e in tell:
                        self.sent = {**self.sent, e.agent: (*self.sent.get(e.agent, ()), e.id)}

    def _changed(self, key: Key) -> set[tuple[Key, str]]:
        """The premises of a call that are not the value at its position, by the spec."""
        c = self.number[key]
        if not self._value("sighted", c):
            return set()
        return {
            (key, o)
            for o in self.use(key).reads
            if self._value("saw", c, self.places[o]) != self._value("value", *self._source(c, o))
        }

    def _source(self, c: int, o: str) -> tuple[int, int]:
        return self._value("source", c, self.places[o]), self.places[o]

    def _check_delivery(self, effect: m.Delivered) -> None:
        """Before the spec refreshes the premises: the machine says those that will change, and all notices sent."""
        due = set[tuple[Key, str]]().union(*(self._changed(key) for key in self.keys if key.rank == effect.agent))
        said = {(p.call, p.object) for p in effect.premises}
        self._check(said == due, "mtpo.premise-fresh-or-notified", f"said {said}, due was {due}")
        sent = self.sent.get(effect.agent, ())
        self._check(effect.ids == sent, "core.notices-once", f"delivered {effect.ids}, sent were {sent}")
        self.sent = {**self.sent, effect.agent: ()}

    def _noted(self) -> set[Key]:
        return {key for agent in self.machine.agents for key in agent.noted}

    def _value(self, variable: str, *args: int) -> int:
        place = self._cells.get((variable, args))
        if place is None:
            place = self.instance.offsets[variable] + self.instance.index(mtpo.variables[variable], args)
            self._cells[variable, args] = place
        return self.state[place]

    def _check(self, holds: bool, property: str, what: str) -> None:
        if not holds:
            raise Divergence(property, what, self.trace)


# -- driving -----------------------------------------------------------------------------------------------------


def drive(pair: Pair, tape: Iterable[int]) -> None:
    """Follow a tape of choices, then run to the end: everyone must commit.

    Each number picks one of the events that are possible, and the values that a tool leaves; every sixteenth or so
    picks one that is forbidden. An agent rarely finishes before it has made its planned calls.
    """
    for number in tape:
        choice, kind = divmod(number, 16)
        if kind == 15:
            events = pair.forbidden()
            pair.refuse(events[choice % len(events)])
        elif pair.waiting is not None:
            pair.step(_answer(pair, choice, failing=kind == 14))
        else:
            events = pair.moves()
            early = [e for e in events if isinstance(e, m.Finish) and pair.next_event(e.agent) is not None]
            if kind > 0:
                events = [e for e in events if e not in early]
            if events:
                pair.step(events[choice % len(events)])
    _to_the_end(pair)


def _answer(pair: Pair, number: int, failing: bool) -> Event:
    assert pair.waiting is not None
    out = {}
    for o in sorted(pair.use(pair.waiting.call).writes):
        number, value = divmod(number, pair.plan.values)
        out[o] = str(value)
    return pair.answer(None if failing else out)


def _to_the_end(pair: Pair) -> None:
    """From wherever the pair is: tools succeed, agents consume, do what they planned, and finish."""
    machine = pair.machine
    while not (len(machine.agents) == len(pair.plan.uses) and all(a.committed for a in machine.agents)):
        before = len(pair.trace)
        while pair.waiting is not None:
            pair.step(_answer(pair, 0, failing=False))
        if len(machine.agents) < len(pair.plan.uses):
            pair.step(m.Launch())
        for rank, agent in enumerate(machine.agents):
            if agent.noted:
                pair.step(m.Deliver(rank))
            event = pair.next_event(rank)
            if event is not None and not agent.finished:
                pair.step(event)
            elif not agent.finished:
                pair.step(m.Finish(rank))
            while pair.waiting is not None:
                pair.step(_answer(pair, 0, failing=False))
        if len(pair.trace) == before:
            raise Divergence(
                "core.everyone-commits", "nothing is left to do and not everyone has committed", pair.trace
            )
        if len(pair.trace) > 100 * (len(pair.keys) + len(pair.plan.uses) + 1) ** 2:
            raise Divergence("core.everyone-commits", "the run does not end", pair.trace[-20:])
    if not machine.quiet:
        raise Divergence("core.everyone-commits", "everyone has committed and the machine is not quiet", pair.trace)


def explore(plan: Plan, make: type[Machine] = Machine) -> Explored:
    """Every interleaving of a plan, with every outcome of every tool: the real machine, state by state.

    In each state, what the protocol does not allow there is tried too.
    """
    first = Pair(plan, make)
    seen: dict[object, set[State]] = {}
    """By what the machine knows: the states of the spec beside it, which has more of a past than the machine keeps."""
    work: list[Pair] = []
    _add(first, seen, work)
    events = ends = refused = 0
    while work:
        pair = work.pop()
        refused += _tried(pair)
        moves = pair.moves()
        if not moves:
            ends += 1
            if not pair.machine.quiet or not all(a.committed for a in pair.machine.agents):
                raise Divergence("core.everyone-commits", "nothing can happen, not everyone has committed", pair.trace)
        for event in moves:
            other = pair.copy() if event is not moves[-1] else pair
            other.step(event)
            events += 1
            _add(other, seen, work)
    return Explored(sum(map(len, seen.values())), len(seen), events, ends, refused)


def _add(pair: Pair, seen: dict[object, set[State]], work: list[Pair]) -> None:
    """Note a state; it is looked at later if it is new."""
    states = seen.setdefault((_own(pair.machine, pair.plan.objects), type(pair.waiting)), set())
    state = pair.instance.freeze(pair.state)
    if state not in states:
        states.add(state)
        work.append(pair)


def _tried(pair: Pair) -> int:
    """Try all that must change nothing in a state; how much that is."""
    trace, futile, forbidden = pair.trace, pair.futile(), [*pair.forbidden(), *pair.strangers()]
    pair.hold_off(*futile)
    pair.refuse(*forbidden)
    pair.trace = trace
    return len(futile) + len(forbidden)


def _own(machine: Machine, objects: Sequence[str]) -> object:
    """All that the machine knows, but for the numbers of notices."""
    agents = (
        (a.issued, a.finished, a.committed, a.aborted, (*a.live,), frozenset(a.noted), bool(a.unread))
        for a in machine.agents
    )
    calls = (
        (key, c.status, c.note, c.void, frozenset(c.saw.items()), frozenset(c.out.items()))
        for key, c in machine.calls.items()
    )
    rows = ((*machine.trajectory.get(o, ()), None, *machine.readers.get(o, ())) for o in objects)
    r = machine.repair
    repair = r and (r.acting, r.members, (*r.undoing,), r.landed, (*r.redoing,), frozenset(r.touched), r.retracting)
    return (*agents,), (*calls,), (*rows,), repair


def small_plans(agents: int, calls: int, objects: int, values: int = 2) -> Iterator[Plan]:
    """Every plan of a size, under both policies.

    Left out by symmetry: renamings of objects; calls without a footprint; reads, and calls of rank 0, without inverse
    (the gate never holds them, nothing undoes them).
    """
    names = tuple("xyzuvw"[:objects])
    subsets = [frozenset(s) for k in range(objects + 1) for s in itertools.combinations(names, k)]
    kinds = [Use(r, w, i) for r in subsets for w in subsets if r or w for i in ((True, False) if w else (True,))]
    seen: set[object] = set()
    for choice in itertools.product(kinds, repeat=agents * calls):
        if any(not use.invertible for use in choice[:calls]):
            continue
        forms = []
        for order in itertools.permutations(names):
            place = dict(zip(names, order, strict=True))
            forms.append(tuple((*(_sorted(use, place)), use.invertible) for use in choice))
        if min(forms) in seen:
            continue
        seen.add(min(forms))
        uses = tuple(choice[a * calls : (a + 1) * calls] for a in range(agents))
        for policy in Policy:
            yield Plan(uses, names, values, policy)


def _sorted(use: Use, place: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(sorted(place[o] for o in use.reads)), tuple(sorted(place[o] for o in use.writes))
