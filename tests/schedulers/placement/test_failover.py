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
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Workload, linear
from mtpo.schedulers.types import PlacementObservation, RequestView, WorkerView
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.failover import Conversation as Talk
from mtpo.spec.failover import Decoder, Slot, failover

# -- beside the spec ---------------------------------------------------------------------------------------------------


class Small:
    """Conversations and decoders with slots of ten tokens each; the state is that of the spec."""

    def __init__(self, needs, slots, policy, backlog):
        self.needs, self.slots, self.policy, self.backlog = needs, slots, policy, backlog
        self.home = [d for d, n in enumerate(slots) for _ in range(n)]
        sizes = {Talk: len(needs), Decoder: len(slots), Slot: len(self.home)}
        self.at = Instance(failover, sizes, {"home": lambda s: self.home[s], "nowhere": lambda: 0})
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


@pytest.mark.parametrize(("spill", "backlog"), [(None, 0), (0.0, 1000), (1.0, 15)])
def test_in_every_state_of_a_small_cluster_it_decides_as_the_spec_allows(spill, backlog):
    world = Small((2, 1), (2, 1), Failover(spill), backlog)
    seen, line, taken = {world.first}, [world.first], set()
    while line:
        state = line.pop()
        for step in world.steps(state):
            taken.add(step.action)
            found = world.after(state, step)
            if found not in seen:
                seen.add(found)
                line.append(found)
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
