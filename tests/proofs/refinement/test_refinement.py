"""The machine refines the spec: exhaustively at small sizes, at random at large ones; planted bugs are caught."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, ClassVar, get_args

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtpo.proofs.ledger import REFINES, read_ledger
from mtpo.proofs.refinement.planted import BUGS, FAULTY, NoGate
from mtpo.proofs.refinement.refined import ADD, CHOSEN, OBJECTS, Size, caught_by, random_plan, total
from mtpo.proofs.refinement.refinement import Divergence, Explored, Pair, Plan, Use, drive, explore, small_plans
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, Machine, MachineError, Policy

# -- exhaustive ----------------------------------------------------------------------------------------------------


def test_every_interleaving_of_two_calls_on_one_object() -> None:
    plans, found = total(small_plans(agents=2, calls=1, objects=1))
    assert plans == 30
    assert (found.states, found.ends) == (2570, 486)
    assert found.own == sum(alone(plan) for plan in small_plans(agents=2, calls=1, objects=1)) == 2554
    assert found.refused > 10 * found.states


def with_faults(plans: Iterable[Plan]) -> Iterator[Plan]:
    return (attrs.evolve(plan, faults=True) for plan in plans)


def test_every_interleaving_of_two_calls_on_one_object_with_aborts_and_retractions() -> None:
    plans, found = total(with_faults(small_plans(agents=2, calls=1, objects=1)))
    assert plans == 30
    assert found.states == 12_224
    assert found.own == sum(alone(plan) for plan in with_faults(small_plans(agents=2, calls=1, objects=1))) == 10_816


def test_every_interleaving_of_two_calls_on_two_objects() -> None:
    """Every third of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=2, calls=1, objects=2), 0, None, 3))
    assert plans == 140
    assert (found.states, found.own, found.ends) == (18_603, 18_427, 3_542)


def test_every_interleaving_of_four_calls_on_one_object() -> None:
    """Every fifteenth of the plans; all of them in the slow set, and some with aborts and retractions in the ledger."""
    plans, found = total(itertools.islice(small_plans(agents=2, calls=2, objects=1), 4, None, 15))
    assert plans == 30
    assert (found.states, found.own) == (30_543, 28_307)


def test_every_interleaving_of_three_agents_on_one_object() -> None:
    """Every twenty-fifth of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=3, calls=1, objects=1), 0, None, 25))
    assert plans == 6
    assert (found.states, found.own) == (27_198, 20_766)


def recorded(size: Size) -> dict[str, Any]:
    """What the ledger says of a size."""
    (entry,) = (entry for entry in read_ledger() if entry.property == REFINES)
    names = attrs.asdict(size)
    (row,) = (row for row in entry.detail["explored"] if {name: row.get(name, False) for name in names} == names)
    return {name: count for name, count in row.items() if name not in names}


def look_at(size: Size) -> Explored:
    """Go through every plan of a size beside the spec, and once more with the machine by itself; the ledger agrees."""
    plans, found = total(size.plans())
    assert found.own == sum(alone(plan) for plan in size.plans())
    assert recorded(size) == {"plans": plans, **attrs.asdict(found)}
    return found


@pytest.mark.slow
def test_every_interleaving_of_two_calls_on_two_objects_in_full() -> None:
    found = look_at(Size(agents=2, calls=1, objects=2))
    assert (found.states, found.own, found.ends) == (57_774, 57_182, 10_878)


@pytest.mark.slow
def test_every_interleaving_of_three_agents_on_one_object_in_full() -> None:
    found = look_at(Size(agents=3, calls=1, objects=1))
    assert (found.states, found.own, found.ends) == (224_766, 205_814, 16_626)


@pytest.mark.slow
def test_every_interleaving_of_four_calls_on_one_object_in_full() -> None:
    plans, found = total(small_plans(agents=2, calls=2, objects=1))
    assert plans == 450
    assert found.own == sum(alone(plan) for plan in small_plans(agents=2, calls=2, objects=1))


@pytest.mark.slow
@pytest.mark.parametrize("policy", Policy)
def test_every_interleaving_of_four_calls_that_read_and_write_with_aborts_and_retractions(policy: Policy) -> None:
    """The plan of its size that has most states; too long to be recorded with those that are chosen."""
    plan = Plan(((ADD, ADD), (ADD, ADD)), ("x",), 2, policy, faults=True)
    assert explore(plan).own == alone(plan)


def test_what_is_listed_of_the_chosen_plans_is_in_them() -> None:
    """Four of them, those with few states, have it all."""
    Watched.told.clear()
    for uses in (CHOSEN[4], CHOSEN[5], CHOSEN[6], CHOSEN[8]):
        explore(Plan(uses, ("x",), 2, Policy.REPLAY, faults=True), Watched)
    assert Watched.told == {
        *("launched in a repair", "launched late", "reads nothing", "is called for nothing", "reads by undoing"),
        *("is gated", "is final", "takes back the last", "takes back an earlier one", "is given up when finished"),
        *("is given up untold", "fails", "strands", "redone alike", "redone otherwise", "told nothing", "reopens"),
        *("finishes early", "acts untold", "refused"),
    }


class Watched(Machine):
    """The machine, and what of the odder things it was told."""

    told: ClassVar[set[str]] = set()

    def step(self, event: Event) -> list[Effect]:
        before = self.snapshot()
        try:
            effects = super().step(event)
        except MachineError:
            self.told.add("refused")
            raise
        self.told.update(what for what, so in self._of(before, event, effects) if so)
        return effects

    @staticmethod
    def _of(before: Machine, event: Event, effects: list[Effect]) -> Iterator[tuple[str, bool]]:
        def has(kind: type[Effect]) -> bool:
            return any(isinstance(effect, kind) for effect in effects)

        yield "acts untold", has(m.Bounced)
        match event:
            case m.Launch():
                yield "launched in a repair", before.repair is not None
                yield "launched late", any(agent.committed for agent in before.agents)
            case m.Read(objects=objects):
                yield "reads nothing", has(m.Served) and not objects
            case m.Call(reads=reads, writes=writes, invertible=invertible):
                yield "is gated", has(m.Gated)
                yield "is final", has(m.Accepted) and not invertible
                yield "reads by undoing", has(m.Undo) and bool(reads) and not writes
                yield "is called for nothing", has(m.Accepted) and not reads and not writes
            case m.Retract(call=key) if has(m.Retracting):
                last = key == before.agents[key.rank].live[-1]
                yield "takes back the last" if last else "takes back an earlier one", True
            case m.Abort(agent=rank):
                yield "is given up when finished", before.agents[rank].finished
                yield "is given up untold", bool(before.agents[rank].noted)
            case m.Failed() | m.Stranded():
                yield "fails" if isinstance(event, m.Failed) else "strands", True
            case m.Redone():
                otherwise = any(isinstance(effect, m.Resolved) and effect.changed for effect in effects)
                yield "redone otherwise" if otherwise else "redone alike", True
            case m.Deliver():
                yield "told nothing", not effects
                yield "reopens", has(m.Reopened)
            case m.Finish(agent=rank):
                yield "finishes early", has(m.Finished) and before.agents[rank].issued < 2


# -- the machine by itself -----------------------------------------------------------------------------------------


def alone(plan: Plan) -> int:
    """How many states the machine of a plan has, counted without the spec: what is possible, and what a state is, are
    said once more, from the machine alone."""
    first = Machine({plan.objects[0]: "0"}, "0", plan.policy)
    seen = {shape(first, None)}
    work: list[tuple[Machine, Effect | None]] = [(first, None)]
    while work:
        machine, asked = work.pop()
        for event in possible(machine, plan, asked):
            after = machine.snapshot()
            effects = after.step(event)
            asks = [effect for effect in effects if isinstance(effect, m.Undo | m.Exec | m.Redo)]
            then = asked if isinstance(event, m.Launch) else asks[-1] if asks else None
            if (form := shape(after, then)) not in seen:
                seen.add(form)
                work.append((after, then))
    return len(seen)


def possible(machine: Machine, plan: Plan, asked: Effect | None) -> Iterator[Event]:
    """What the machine may be told now: what it asked for has ended, or an agent does something."""
    if len(machine.agents) < len(plan.uses):
        yield m.Launch()
    match asked:
        case m.Undo(call=key):
            yield m.Undone(key)
        case m.Exec(call=key) | m.Redo(call=key):
            writes = machine.calls[key].writes
            well, badly = (m.Applied, m.Failed) if isinstance(asked, m.Exec) else (m.Redone, m.Stranded)
            yield badly(key)
            for digests in itertools.product("0123456789"[: plan.values], repeat=len(writes)):
                yield well(key, dict(zip(writes, digests, strict=True)))
        case _:
            for rank in range(len(machine.agents)):
                yield from deeds(machine, plan, rank)


def deeds(machine: Machine, plan: Plan, rank: int) -> Iterator[Event]:
    agent = machine.agents[rank]
    yield m.Deliver(rank)
    if agent.finished and not agent.noted:
        if plan.faults and not agent.committed and not agent.aborted:
            yield m.Abort(rank)
        return
    yield m.Finish(rank)
    for use in plan.uses[rank][agent.issued :][:1]:
        called = use.writes or use.by_undo
        yield m.Call(rank, use.reads, use.writes, use.invertible) if called else m.Read(rank, tuple(use.reads))
    if plan.faults:
        yield m.Abort(rank)
        final = [key for key in agent.live if not machine.calls[key].invertible]
        yield from (m.Retract(key) for key in agent.live if agent.noted or not final or key > final[-1])


def shape(machine: Machine, asked: Effect | None) -> Hashable:
    """All that the machine remembers but for the numbers of notices, and what it asked for."""
    kept = {name: value for name, value in vars(machine).items() if name != "notifications"}
    return frozen(kept), tuple(machine.calls), type(asked)


def frozen(value: Any) -> Hashable:
    """Any value, to be compared by what is in it."""
    if attrs.has(type(value)):
        fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        return frozen({name: bool(of) if name == "unread" else of for name, of in fields.items()})
    if isinstance(value, dict):
        return frozenset((name, frozen(of)) for name, of in value.items() if of != [])
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return frozenset(value) if isinstance(value, set) else value


def test_the_count_of_states_does_not_depend_on_the_order_of_exploration() -> None:
    plan = Plan(((Use("x", "x"),), (Use("x", "x"),)), ("x",))
    assert explore(plan) == explore(plan)
    machine = Pair(plan).machine
    assert not machine.agents, "an exploration leaves nothing behind"


# -- at random -----------------------------------------------------------------------------------------------------


def some_objects(most: int) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(OBJECTS), max_size=most)


@st.composite
def uses(draw: st.DrawFn) -> Use:
    reads, writes = draw(some_objects(3)), draw(some_objects(2))
    return Use(reads or {"u"}, writes, draw(st.integers(0, 7)) > 0 or not writes)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    agents = draw(st.integers(2, 8))
    calls = draw(st.integers(1, 4))
    rows = tuple(tuple(draw(uses()) for _ in range(calls)) for _ in range(agents))
    return Plan(rows, OBJECTS, 3, draw(st.sampled_from(Policy)), draw(st.booleans()))


@settings(max_examples=150, deadline=None)
@given(plans(), st.lists(st.integers(0, 2**16), max_size=250))
def test_a_random_schedule(plan: Plan, tape: list[int]) -> None:
    pair = Pair(plan)
    drive(pair, tape)
    assert pair.machine.quiet
    assert all(agent.committed for agent in pair.machine.agents)


@pytest.mark.parametrize("policy", Policy)
def test_a_random_schedule_of_64_agents(policy: Policy) -> None:
    rng = random.Random(64)
    plan = random_plan(rng, 64, 1, 6, policy)
    pair = Pair(plan)
    drive(pair, (16 * rng.randrange(2**20) + rng.randint(1, 15) for _ in range(1500)))  # nobody finishes early
    assert len(pair.machine.calls) == 64
    assert sum(isinstance(event, m.Undone) for event in pair.trace) > 20
    assert pair.machine.quiet


@st.composite
def large_plans(draw: st.DrawFn) -> Plan:
    """Of up to 64 agents; what fails shrinks to two."""
    agents, calls = draw(st.sampled_from((8, 16, 32, 64))), draw(st.integers(1, 2))
    rows = tuple(tuple(draw(uses()) for _ in range(calls)) for _ in range(agents))
    return Plan(rows, OBJECTS, 3, draw(st.sampled_from(Policy)), faults=True)


@st.composite
def tapes(draw: st.DrawFn, most: int) -> list[int]:
    """Of every length alike: lists that Hypothesis makes by itself are short."""
    return [draw(st.integers(0, 2**16)) for _ in range(draw(st.integers(0, most)))]


def drive_with_faults(pair: Pair, tape: Iterable[int]) -> None:
    """Follow a tape, then run to the end. Of 16 steps one aborts an agent and two retract calls; one of eight pieces of
    repairs fails. Where nothing of the wanted kind is possible, somebody acts."""
    faults: dict[int, type[Event]] = {0: m.Abort, 1: m.Retract, 2: m.Retract, 3: m.Finish}
    for number in tape:
        choice, kind = divmod(number, 16)
        if kind == 15:
            events = pair.forbidden()
            pair.refuse(events[choice % len(events)])
        elif pair.waiting is not None:
            out = {o: str(choice % pair.plan.values) for o in pair.use(pair.waiting.call).writes}
            pair.step(pair.answer(None if kind < 2 else out))
        else:
            moves = pair.moves()
            acts = [e for e in moves if not isinstance(e, m.Abort | m.Retract | m.Finish)]
            wanted = [e for e in moves if isinstance(e, faults[kind])] if kind in faults else []
            if events := wanted or acts or moves:
                pair.step(events[choice % len(events)])
    drive(pair, ())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(large_plans(), st.integers(0, 64), tapes(400))
def test_a_random_schedule_of_many_agents_with_aborts_retractions_and_failures(
    plan: Plan, early: int, tape: list[int]
) -> None:
    """The first ones are launched at once, the others along the way."""
    pair = Pair(plan)
    for _ in range(min(early, len(plan.uses))):
        pair.step(m.Launch())
    drive_with_faults(pair, tape)
    assert pair.machine.quiet
    assert all(agent.committed for agent in pair.machine.agents)


def test_a_schedule_of_64_agents_has_faults_of_every_kind() -> None:
    rng, kinds = random.Random(64), set[type[Event]]()
    for policy in Policy:
        pair = Pair(attrs.evolve(random_plan(rng, 64, 2, 6, policy), faults=True))
        drive_with_faults(pair, [rng.randrange(2**16) for _ in range(600)])
        kinds |= {type(event) for event in pair.trace}
    assert kinds == set(get_args(Event))


@pytest.mark.parametrize("policy", Policy)
def test_a_snapshot_is_independent_and_restores(policy: Policy) -> None:
    rng = random.Random(5)
    plan = random_plan(rng, 4, 3, 3, policy)
    pair = Pair(plan)
    for _ in range(60):
        kept = pair.machine.snapshot()
        form = repr(vars(kept))
        assert form == repr(vars(pair.machine))
        moves = pair.moves()
        if not moves:
            break
        pair.copy().step(moves[0])
        assert repr(vars(pair.machine)) == form, "a step of the copy moved the original"
        pair.step(rng.choice([move for move in moves if not isinstance(move, m.Finish)] or moves))
        assert repr(vars(kept)) == form, "a step of the original moved the copy"
        after = pair.machine.snapshot()
        pair.machine.restore(kept)
        assert repr(vars(pair.machine)) == form
        pair.machine.restore(after)
    assert len(pair.trace) > 20


# -- planted bugs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", [*BUGS, *FAULTY], ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: type[Machine]) -> None:
    found = caught_by(bug)
    assert found is not None, f"nothing catches: {bug.__doc__}"
    assert found.property in (BUGS.get(bug) or FAULTY[bug]), str(found)
    assert found.trace


def test_the_message_of_a_divergence_names_the_clause_and_the_events() -> None:
    plan = Plan(((Use("x"),), (Use((), "x", False),)), ("x",))
    pair = Pair(plan, NoGate)
    pair.step(m.Launch())
    pair.step(m.Launch())
    with pytest.raises(Divergence, match=r"mtpo\.call\.gate: call.* is no step of the spec, after\n  0: Launch"):
        pair.step(m.Call(1, frozenset(), frozenset("x"), False))
