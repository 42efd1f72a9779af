"""Placement through the loss of workers: beside its spec in every reachable state of a small cluster, and simulated."""

from __future__ import annotations

import itertools

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.placement.conserve import ConServe
from mtpo.schedulers.placement.failover import Failover
from mtpo.schedulers.simulator.cluster import Setup, Simulation, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.router import Router
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B, Transfer
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Workload, linear
from mtpo.schedulers.types import PlacementDecision, PlacementObservation, RequestView, WorkerView
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.failover import Conversation as Talk
from mtpo.spec.failover import (
    Decoder,
    Slot,
    ahead,
    at,
    bound,
    down,
    failover,
    free,
    holds,
    home,
    idle,
    sent,
    there,
    twice,
    waits,
)
from mtpo.spec.language import Bool, Function, exists, forall, function, implies, require

# -- beside the spec ---------------------------------------------------------------------------------------------------


class Small:
    """Conversations and decoders with slots of ten tokens each; the state is that of the spec."""

    spec = failover

    def __init__(self, needs, slots, policy, backlog):
        self.needs, self.slots, self.policy, self.backlog = needs, slots, policy, backlog
        self.home = [d for d, n in enumerate(slots) for _ in range(n)]
        sizes = {Talk: len(needs), Decoder: len(slots), Slot: len(self.home)}
        self.at = Instance(self.spec, sizes, {"home": lambda s: self.home[s], "nowhere": lambda: 0})
        self.first = self.at.freeze(self.at.initial())

    def observe(self, state, c):
        value = lambda name, *args: self.at.value(state, name, *args)  # noqa: E731
        talks = range(len(self.needs))
        taken = [s for s in range(len(self.home)) if any(value("holds", s, q) for q in talks)]
        held = [sum(self.home[s] == d for s in taken) for d in self.ups]
        waits = [q for q in talks if value("prefilled", q) and not value("bound", q) and not value("done", q)]
        line = sum(value("before", q, c) or (value("ranked", q) and not value("ranked", c)) for q in waits if q != c)
        queue = (RequestView(9, 0.0, self.backlog, 0, 0, 0),) if self.backlog else ()
        workers = [WorkerView(100, 1000, 1000, decodes=False, waiting=queue)]
        for d, h in zip(self.ups, held, strict=True):
            if not value("down", d):
                n = 10 * self.slots[d]
                workers.append(WorkerView(d, n, n - 10 * h, 10 * h, prefills=False))
        prompt = 10 * self.needs[c] - 1
        prefilled = bool(value("prefilled", c))
        bound = value("at", c) if value("ranked", c) and value("down", value("at", c)) else None
        return PlacementObservation(
            0.0, str(c), 1, prompt, tuple(workers), 1, prefilled, 100 if prefilled else None, bound, line=line
        )

    @property
    def ups(self):
        return range(len(self.slots))

    def ask(self, state, c):
        """The step that the policy's decision is, None when it holds or leaves it to a prefiller."""
        seen = self.observe(state, c)
        decision = self.policy.decide(seen)
        room = [w.id for w in seen.workers if w.decodes and w.unheld >= 10 * self.needs[c]]
        if decision.shed:
            assert all(w.capacity < 10 * self.needs[c] for w in seen.workers if w.decodes)
            return None
        if decision.decode is None:
            assert not (seen.prefilled and room and not seen.line), "the first in line finds room and is held"
            return None
        assert decision.bind and decision.reserve == 10 * self.needs[c] and decision.decode in room
        taken = {
            s for s in range(len(self.home)) for q in range(len(self.needs)) if self.at.value(state, "holds", s, q)
        }
        free = [s for s, h in enumerate(self.home) if h == decision.decode and s not in taken]
        out = tuple(int(s in free[: self.needs[c]]) for s in range(len(self.home)))
        return Step("bind" if seen.prefilled else "bind_local", (c, decision.decode, out))

    def steps(self, state):
        """What may happen next: anything in the world, and what the policy says to whoever asks."""
        talks, decoders = range(len(self.needs)), self.ups
        for name, args in [
            *(("arrive", (c,)) for c in talks),
            *((name, (c,)) for c in talks for name in ("prefill", "compute", "transfer", "finish", "spoil")),
            *((name, (c, d)) for c in talks for d in decoders for name in ("begin", "end")),
            *(("crash", (d,)) for d in decoders),
        ]:
            if self.at.enabled(state, Step(name, args)):
                yield Step(name, args)
        for c in talks:
            value = lambda name, c=c: self.at.value(state, name, c)  # noqa: E731
            if value("arrived") and not value("bound") and not value("done"):
                step = self.ask(state, c)
                if step is not None:
                    assert not self.at.refused(state, step), [x.id for x in self.at.refused(state, step)]
                    yield step

    def after(self, state, step):
        found = list(state)
        self.at.perform(found, step)
        found = self.at.freeze(found)
        assert not self.at.violated(found) and not self.at.violated_step(state, found)
        return found


def every_state(world):
    """All states that can be reached, and the actions taken on the way."""
    seen, line, taken = {world.first}, [world.first], set()
    while line:
        state = line.pop()
        for step in world.steps(state):
            taken.add(step.action)
            found = world.after(state, step)
            if found not in seen:
                seen.add(found)
                line.append(found)
    return seen, taken


@pytest.mark.parametrize(("spill", "backlog"), [(None, 0), (0.0, 1000), (1.0, 15)])
def test_in_every_state_of_a_small_cluster_it_decides_as_the_spec_allows(spill, backlog):
    world = Small((2, 1), (2, 1), Failover(spill), backlog)
    seen, taken = every_state(world)
    assert taken >= {"bind", "crash", "finish", "spoil", "transfer"}
    assert ("bind_local" in taken) == (spill is not None)
    assert len(seen) > 300


@given(
    st.lists(st.integers(1, 2), min_size=3, max_size=4),
    st.sampled_from([(2, 2), (3, 2, 2)]),
    st.lists(st.integers(0, 40), min_size=10, max_size=60),
    st.sampled_from([(None, 0), (0.0, 1000), (1.0, 15)]),
)
@settings(max_examples=30, deadline=None)
def test_and_on_random_runs_of_larger_ones(needs, slots, picks, kind):
    world = Small(tuple(needs), slots, Failover(kind[0]), kind[1])
    state = world.first
    for pick in picks:
        steps = list(world.steps(state))
        if not steps:
            break
        state = world.after(state, steps[pick % len(steps)])


# -- a conversation moves ----------------------------------------------------------------------------------------------

GIVEN_UP = {"failover.bound-until-the-end", "failover.moved-once"}
moving = failover.without(properties={id: one for id, one in failover.properties.items() if id not in GIVEN_UP})


@moving.action(out=function(Slot))
def move(c: Talk, d: Decoder, out: Function[Bool]) -> None:
    "Between two turns a conversation is bound elsewhere, where room is reserved for it; its KV cache goes there."
    require("bound", bound(c) & there(c) & idle(c))
    require("elsewhere", (at(c) != d) & ~down(d))
    require("nobody-passed", forall(Talk, lambda q: ~(waits(q) & ahead(q, c))))
    require("some", exists(Slot, lambda s: out(s)))
    require("free", forall(Slot, lambda s: implies(out(s), (home(s) == d) & free(s))))
    at[c] = d
    holds.becomes(lambda s, q: (holds(s, q) & (q != c)) | ((q == c) & out(s)))
    sent[c] = True
    twice[c] = sent(c)


@moving.step_property("failover.moves-into-free-room")
def moves_into_free_room() -> Bool:
    "A binding changes in the very step that reserves free room there, and while nobody waits whose place is before."
    return forall(
        Talk,
        Talk,
        Slot,
        lambda c, q, s: implies(
            bound(c) & bound.next(c) & (at.next(c) != at(c)),
            ~(waits(q) & ahead(q, c))
            & implies(holds.next(s, c), free(s) & (home(s) == at.next(c)) & ~down(home(s)))
            & exists(Slot, lambda t: holds.next(t, c))
            & implies(holds(s, c), forall(Talk, lambda p: ~holds.next(s, p))),
        ),
    )


class Crowded(Small):
    """Whoever asks for a later turn finds its own decoder with a prompt to compute."""

    spec = moving

    def steps(self, state):
        yield from super().steps(state)
        value = lambda name, *args: self.at.value(state, name, *args)  # noqa: E731
        for c in range(len(self.needs)):
            if not value("there", c) or value("done", c) or any(value("runs", c, d) for d in self.ups):
                continue
            seen, bound = self.observe(state, c), value("at", c)
            workers = [
                attrs.evolve(w, prefix=seen.prompt, waiting=(RequestView(9, 0.0, 50, 0, 0, 0),)) if w.id == bound else w
                for w in seen.workers
            ]
            seen = attrs.evolve(
                seen, workers=tuple(workers), turn=2, prefilled=False, prefiller=None, bound=bound,
                reserved=10 * self.needs[c],
            )  # fmt: skip
            decision = self.policy.decide(seen)
            room = [w.id for w in workers if w.decodes and w.id != bound and w.unheld >= 10 * self.needs[c]]
            assert decision.prefill == decision.decode and decision.bind and decision.reserve == 10 * self.needs[c]
            assert (decision.decode != bound) == decision.fetch == bool(room and not seen.line)
            if decision.fetch:
                taken = {s for s in range(len(self.home)) for q in range(len(self.needs)) if value("holds", s, q)}
                left = [s for s, h in enumerate(self.home) if h == decision.decode and s not in taken]
                out = tuple(int(s in left[: self.needs[c]]) for s in range(len(self.home)))
                step = Step("move", (c, decision.decode, out))
                assert not self.at.refused(state, step), [x.id for x in self.at.refused(state, step)]
                yield step


def test_in_every_state_it_moves_as_the_spec_with_moves_allows():
    world = Crowded((2, 1), (2, 1), Failover(1.0, move=20), 15)
    _, taken = every_state(world)
    assert taken >= {"bind", "move", "crash", "finish"}


@pytest.mark.slow
def test_all_that_is_proven_but_two_properties_holds_with_moves():
    pytest.importorskip("z3")
    from mtpo.proofs.induction.inductive import prove
    from mtpo.proofs.verdicts import Status

    verdicts = {v.property: v.status for v in prove(moving)}
    assert verdicts.keys() > {"failover.moves-into-free-room", "failover.none-lost", "failover.keeps-its-place"}
    assert set(verdicts.values()) == {Status.PROVED}


# -- simulated ---------------------------------------------------------------------------------------------------------

TOKENS = 2048
CAPS = Caps(TOKENS // 16)


def cluster(prefillers=1, decoders=3):
    worker = WorkerSetup(A40_QWEN_06B, CAPS)
    prefiller, decoder = attrs.evolve(worker, decodes=False), attrs.evolve(worker, prefills=False)
    return (prefiller,) * prefillers + (decoder,) * decoders


def talks(shapes):
    made = [Conversation(str(n), when, linear(n, turns)) for n, (when, turns) in enumerate(shapes)]
    return Workload("some", tuple(sorted(made, key=lambda one: one.arrival)))


turns = st.lists(
    st.tuples(st.integers(1, 300), st.integers(1, 40), st.sampled_from([0.0, 0.0, 1.0])), min_size=1, max_size=3
)
shapes = st.lists(st.tuples(st.floats(0.0, 2.0), turns), min_size=1, max_size=12)
losses = st.lists(st.builds(Loss, st.integers(0, 4), st.floats(0.0, 4.0)), max_size=3, unique_by=lambda one: one.worker)


@given(shapes, losses, st.sampled_from([None, 0.0, 1.0]), st.sampled_from(["sarathi:256", "bounded_gap:0.1"]))
@settings(max_examples=60, deadline=None)
def test_no_conversation_is_lost_none_emits_a_token_twice_and_all_books_are_clean(shapes, losses, spill, step):
    workload = talks(shapes)
    setup = Setup(load_policy(step), cluster(2, 3), placement=Failover(spill), losses=tuple(losses), gaps=True)
    world = Simulation(workload, setup)
    if {2, 3, 4} <= {loss.worker for loss in losses}:
        losses = losses[:2]
        world = Simulation(workload, attrs.evolve(setup, losses=tuple(losses)))
    outcome = world.run()
    assert outcome.shed == outcome.lost == outcome.abandoned == 0
    ended = [(turn.conversation, turn.turn) for turn in outcome.turns]
    assert len(set(ended)) == len(ended) == workload.requests
    assert all(len(turn.gaps) == turn.output - 1 for turn in outcome.turns)
    gone = {loss.worker: loss.at for loss in losses}
    assert all(turn.end <= gone.get(turn.worker, turn.end) for turn in outcome.turns)
    for site in world.sites:
        assert site.held == 0
        if site.lost is None:
            site.worker.kv.check()
            assert site.worker.kv.used == 0 and not site.worker.busy


LOSS = Loss(1, 1.0)


def lose_a_decoder(placement, losses=(LOSS,)):
    shapes = [(0.1 * n, [(200, 60, 0.0), (20, 60, 0.5)]) for n in range(12)]
    return simulate(talks(shapes), Setup(Sarathi(512), cluster(), placement=placement, losses=losses))


def test_a_lost_decoder_costs_time_and_nobody_and_conserve_gives_up_what_was_bound_to_it():
    whole, ours = lose_a_decoder(Failover(None), ()), lose_a_decoder(Failover(None))
    assert (len(ours.turns), ours.abandoned) == (len(whole.turns), 0) and ours.replaced > 0
    assert ours.end > whole.end and ours.most_transfers == 2
    published = lose_a_decoder(ConServe())
    assert published.abandoned > 0 and len(published.turns) + published.shed + published.lost == len(whole.turns)


def test_without_any_prefiller_it_goes_on_where_it_decodes():
    outcome = lose_a_decoder(Failover(), (Loss(0, 0.5),))
    assert len(outcome.turns) == 24 and outcome.shed == 0


def test_a_large_one_is_not_passed_over_by_small_ones_and_keeps_its_place_through_a_loss():
    """Small ones keep coming and fill whatever comes free; the large one needs a whole decoder."""
    small = [(0.05 * n, [(500, 60, 0.0)]) for n in range(60)]
    large = (0.3, [(1900, 20, 0.0)])

    def first_token(placement, losses=()):
        workload = talks([*small, large])
        prefiller, *decoders = cluster(1, 2)
        workers = (attrs.evolve(prefiller, caps=Caps(10_000)), *decoders)
        outcome = simulate(workload, Setup(Sarathi(512), workers, placement=placement, losses=losses))
        (turn,) = (turn for turn in outcome.turns if turn.prompt == 1900)
        order = sorted(outcome.turns, key=lambda one: one.end)
        return order.index(turn), turn.held

    barged, waited = first_token(ConServe(poll=0.05))
    ours, held = first_token(Failover(None))
    assert barged > ours + 20 and waited > 3 * held
    # A decoder is lost while it waits, or with what it has begun to say: all small ones still come after it.
    for loss in itertools.product((1, 2), (0.5, 1.0, 1.2)):
        assert first_token(Failover(None), (Loss(*loss),))[0] < ours + 6


def test_spilling_takes_from_the_queue_of_the_prefiller():
    shapes = [(0.01 * n, [(1500, 5, 0.0)]) for n in range(6)]
    tails = [
        max(turn.ttft for turn in simulate(talks(shapes), Setup(Sarathi(512), cluster(), placement=p)).turns)
        for p in (Failover(None), Failover(1.0))
    ]
    assert tails[1] < 0.7 * tails[0]


def test_what_fits_nowhere_is_refused_and_holds_up_nobody():
    shapes = [(0.0, [(100, 5, 0.0)]), (0.01, [(1500, 5, 0.0)]), (0.02, [(100, 5, 0.0)])]
    prefiller = attrs.evolve(cluster()[0])
    decoder = attrs.evolve(cluster()[1], caps=Caps(32))
    outcome = simulate(talks(shapes), Setup(Sarathi(512), (prefiller, decoder), placement=Failover()))
    assert outcome.shed == 1 and sorted(turn.conversation for turn in outcome.turns) == ["0", "2"]


def test_more_may_be_promised_than_a_decoder_holds():
    shapes = [(0.01 * n, [(600, 30, 0.0), (10, 5, 5.0)]) for n in range(12)]
    workers = (WorkerSetup(A40_QWEN_06B, CAPS),) * 2
    setup = Setup(load_policy("bounded_gap:0.1"), workers, ttft_slo=5.0)
    waits = {}
    for promise in (1.0, 4.0):
        outcome = simulate(talks(shapes), attrs.evolve(setup, placement=Failover(1.0, promise)))
        assert len(outcome.turns) == 24 and outcome.preemptions == 0 and outcome.transfers == 0
        waits[promise] = max(turn.ttft for turn in outcome.turns)
    assert waits[1.0] > 5.0 > waits[4.0], "those that wait for their tools hold up nobody"


def test_it_is_named():
    assert load_policy("failover", "placement") == Failover(1.0)
    assert load_policy("failover:none", "placement") == Failover(None)
    assert load_policy("failover:1,move=30000", "placement") == Failover(1.0, move=30_000)


@attrs.frozen
class Restless(Failover):
    """Moves before every later turn, wherever it may."""

    def decide(self, observation):
        decision = super().decide(observation)
        need = decision.reserve
        others = [w.id for w in observation.workers if w.decodes and self.room(w) >= need and w.id != observation.bound]
        if decision.decode is None or decision.decode != observation.bound or not others:
            return decision
        to = others[observation.turn % len(others)]
        return attrs.evolve(decision, prefill=to, decode=to, fetch=True)


class Watched(Simulation):
    """Looks at the caches when a conversation has left its worker."""

    departures = 0

    def _fetch(self, talk, request, worker):
        brings = super()._fetch(talk, request, worker)
        if brings:
            # On the way it can be found nowhere but where it comes from.
            assert worker.prefix(request.holding.runs, request.prompt) == 0
        elif talk.source not in (None, talk.bound):
            self.departed(talk)
        return brings

    def _fetched(self, talk):
        super()._fetched(talk)
        self.departed(talk)
        assert self.sites[talk.bound].worker.prefix(talk.request.holding.runs, talk.request.prompt) > 0

    def departed(self, talk):
        self.departures += 1
        source = self.sites[talk.source]
        assert source.lost is not None or source.worker.prefix(talk.request.holding.runs, talk.request.prompt) == 0
        for site in self.sites:
            if site.lost is None:
                site.worker.kv.check()


both = (WorkerSetup(A40_QWEN_06B, CAPS),) * 3


@given(shapes, losses, st.booleans(), st.sampled_from(["sarathi:256", "bounded_gap:0.1"]))
@settings(max_examples=60, deadline=None)
def test_a_cache_that_moves_is_in_one_place_and_none_is_lost_with_a_worker(shapes, losses, split, step):
    workers, workload = cluster(1, 3) if split else both, talks(shapes)
    losses = tuple(loss for loss in losses if 0 < loss.worker < len(workers))[: 1 + split]
    setup = Setup(load_policy(step), workers, placement=Restless(1.0, 4.0), losses=losses, gaps=True)
    world = Watched(workload, setup)
    outcome = world.run()
    assert outcome.shed == outcome.lost == outcome.abandoned == 0
    ended = [(turn.conversation, turn.turn) for turn in outcome.turns]
    assert len(set(ended)) == len(ended) == workload.requests
    assert all(len(turn.gaps) == turn.output - 1 for turn in outcome.turns)
    for site in world.sites:
        assert site.held == 0
        if site.lost is None:
            site.worker.kv.check()
            assert site.worker.kv.used == 0 and not site.worker.busy


def move_of(losses=(), others=()):
    """A second turn, a second after the first, that moves to worker 1 with 320 of its tokens."""
    slow = attrs.evolve(A40_QWEN_06B, transfer=Transfer(0.5, 0, 0.5, 0.0))
    workers = (WorkerSetup(slow, CAPS),) * 2
    world = Watched(
        talks([(0.0, [(300, 20, 0.0), (20, 5, 1.0)]), *others]),
        Setup(Sarathi(512), workers, placement=Restless(), losses=losses),
    )
    return world, world.run()


def test_a_move_takes_the_time_of_a_transfer_and_saves_the_prompt():
    world, outcome = move_of()
    first, second = outcome.turns
    assert (first.worker, second.worker, world.departures) == (0, 1, 1)
    assert (outcome.transfers, outcome.moved, second.hits) == (1, 304, 304)
    assert second.ttft > 0.5


def test_a_move_to_a_worker_that_is_lost_has_not_happened():
    begins = move_of()[1].turns[1].submitted
    world, outcome = move_of((Loss(1, begins + 0.2),))
    second = outcome.turns[1]
    assert (second.worker, second.hits, world.departures) == (0, 304, 0) and outcome.replaced == 1
    # And one whose old worker is lost is computed anew where it goes.
    world, outcome = move_of((Loss(0, begins + 0.2),))
    assert (outcome.turns[1].worker, outcome.turns[1].hits) == (1, 0)


@pytest.mark.parametrize("prompt", [1600, 1900])
def test_room_that_was_left_is_promised_to_somebody_else_and_not_twice(monkeypatch, prompt):
    """Where it was bound, who comes while it moves gets the room; then the worker that it goes to is lost."""
    begins, most = move_of()[1].turns[1].submitted, dict[int, int]()
    reserve = Router._reserve

    def reserved(self, *given):
        reserve(self, *given)
        most.update({site.worker.id: max(site.held, most.get(site.worker.id, 0)) for site in self.sites})

    monkeypatch.setattr(Router, "_reserve", reserved)
    _, outcome = move_of((Loss(1, begins + 0.2),), [(begins + 0.1, [(prompt, 40, 0.0)])])
    assert outcome.replaced == 1 and [turn.worker for turn in outcome.turns] == [0, 0, 0]
    # It goes back at once if there is room for both, and else has to wait.
    assert most == {0: prompt + 40 + (345 if prompt == 1600 else 0), 1: 345}


def test_only_who_would_wait_for_longer_than_that_moves():
    def seen(waiting, free=2000, line=0, home=900):
        prompt = RequestView(9, 0.0, waiting, 0, 0, 0)
        workers = (
            WorkerView(0, 2000, 500, prefix=home, waiting=(prompt,)),
            WorkerView(1, 2000, free),
        )
        return PlacementObservation(0.0, "c", 2, 1000, workers, 10, bound=0, reserved=900, line=line)

    policy = Failover(1.0, 4.0, move=100)
    assert [policy.decide(seen(waiting)).decode for waiting in (100, 145, 146, 900)] == [0, 0, 1, 1]
    moved = policy.decide(seen(900))
    assert moved == PlacementDecision(1, 1, bind=True, reserve=1010, fetch=True)
    # Not past somebody who waits; and a cache for which there is no room counts as one to be computed anew.
    assert policy.decide(seen(900, line=1)).decode == 0
    assert [policy.decide(seen(900, free=free)).decode for free in (1899, 1900)] == [0, 1]
    assert policy.decide(seen(900, free=0, home=0)).decode == 1
    assert attrs.evolve(policy, move=None).decide(seen(900)).decode == 0
