"""ConServe's properties I1 to I7 and L1 on random traces; starvation under polling, shown."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.placement.simple import Collocated, FullDisaggregation, OneWorker
from mtpo.schedulers.types import PlacementObservation, RequestView, WorkerView, is_oracle


@attrs.define
class Talk:
    """A conversation of the cluster: its turns (appended, output); how far it is."""

    name: str
    turns: list
    k: int = 0
    history: int = 0
    bound: int | None = None
    reserved: int = 0
    transfers: int = 0
    prefiller: int | None = None
    ran: list = attrs.field(factory=list)

    @property
    def prompt(self):
        return self.history + self.turns[self.k][0]

    @property
    def output(self):
        return self.turns[self.k][1]

    @property
    def peak(self):
        return sum(a + o for a, o in self.turns)


class Cluster:
    """One prefiller (0) and some decoders; turns are placed and ended, nothing takes time. Books are kept here, apart
    from the policy: ``held`` of each decoder, checked against the conversations after every decision (I5, I6)."""

    def __init__(self, policy, capacities, prefillers=1):
        self.policy = policy
        self.workers = [WorkerView(p, 10_000, 10_000, decodes=False) for p in range(prefillers)]
        self.workers += [WorkerView(prefillers + d, c, c, prefills=False) for d, c in enumerate(capacities)]
        self.talks, self.waiting, self.decoding, self.shed = [], [], [], []

    def observe(self, talk, prefilled, ahead):
        held = {w.id: sum(t.reserved for t in self.talks if t.bound == w.id) for w in self.workers}
        workers = tuple(attrs.evolve(w, held=held[w.id]) for w in self.workers)
        return PlacementObservation(
            0.0,
            talk.name,
            talk.k + 1,
            talk.prompt,
            workers,
            talk.output,
            prefilled,
            talk.prefiller,
            talk.bound,
            talk.reserved,
            talk.peak if is_oracle(self.policy) else None,
            ahead,
        )

    def ask(self, talk, prefilled, ahead=0):
        return self.policy.decide(self.observe(talk, prefilled, ahead))

    def arrive(self, talk):
        if talk not in self.talks:
            self.talks.append(talk)
        decision = self.ask(talk, False)
        assert decision.prefill is not None
        talk.prefiller = decision.prefill
        if decision.decode is None:
            self.waiting.append(talk)
        else:
            self.carry(talk, decision)

    def carry(self, talk, decision):
        if talk.bound is not None:
            assert decision.decode == talk.bound, "I2, I3"
        talk.transfers += decision.prefill != decision.decode
        talk.bound, talk.reserved = decision.decode, decision.reserve
        self.decoding.append(talk)
        talk.ran.append(decision.decode)

    def place(self, talk):
        """Ask about a turn that waits, prefilled; whether it left the line."""
        ahead = self.waiting.index(talk)
        decision = self.ask(talk, True, ahead)
        assert decision.prefill == talk.prefiller
        if decision.shed or decision.decode is not None:
            self.waiting.remove(talk)
        if decision.shed:
            self.shed.append(talk)
            self.talks.remove(talk)
        elif decision.decode is not None:
            # I6: what it chose has room for what it takes, as seen in this very observation.
            worker = next(w for w in self.observe(talk, True, 0).workers if w.id == decision.decode)
            assert worker.unheld + talk.reserved >= decision.reserve
            self.carry(talk, decision)
        return decision

    def end(self, talk):
        """The end of a turn; the next one arrives, or the conversation is over."""
        self.decoding.remove(talk)
        talk.history, talk.k = talk.prompt + talk.output, talk.k + 1
        if talk.k < len(talk.turns):
            self.arrive(talk)
        else:
            self.talks.remove(talk)
            talk.bound, talk.reserved = None, 0

    def held(self, worker):
        return sum(t.reserved for t in self.talks if t.bound == worker)


lengths = st.tuples(st.integers(1, 60), st.integers(1, 20))
talks = st.lists(st.lists(lengths, min_size=1, max_size=4), min_size=1, max_size=6)
choices = st.lists(st.integers(0, 100), max_size=60)


def drive(cluster, shapes, picks):
    """Random interleaving, in the line's order; yields after every step."""
    coming = [Talk(f"c{n}", turns) for n, turns in enumerate(shapes)]
    every = list(coming)
    picks = iter([*picks, *range(500)])
    while coming or cluster.waiting or cluster.decoding:
        moves = [("arrive", t) for t in coming[:1]] + [("end", t) for t in cluster.decoding]
        moves += [("place", t) for t in cluster.waiting]
        kind, talk = moves[next(picks) % len(moves)]
        if kind == "arrive":
            coming.remove(talk)
            cluster.arrive(talk)
        elif kind == "end":
            cluster.end(talk)
        else:
            cluster.place(talk)
        yield every


oracle = pytest.mark.parametrize("oracle", [False, True])


@oracle
@given(shapes=talks, picks=choices, capacities=st.lists(st.integers(80, 400), min_size=1, max_size=3))
def test_I1_I2_I3_one_transfer_and_one_decoder_for_every_turn(oracle, shapes, picks, capacities):
    cluster = Cluster(ConServe(oracle), capacities)
    for every in drive(cluster, shapes, picks):
        for talk in every:
            assert talk.transfers <= 1
            assert len(set(talk.ran)) <= 1
            # I7: by the first decode, the cache has moved.
            assert bool(talk.ran) == (talk.transfers == 1)


@given(shapes=talks, picks=choices, capacities=st.lists(st.integers(80, 400), min_size=1, max_size=3))
def test_I4_an_oracle_never_promises_more_than_there_is(shapes, picks, capacities):
    cluster = Cluster(ConServe(oracle=True), capacities)
    for _ in drive(cluster, shapes, picks):
        for worker in cluster.workers[1:]:
            assert cluster.held(worker.id) <= worker.capacity


@given(shapes=talks, picks=choices, capacities=st.lists(st.integers(80, 400), min_size=1, max_size=3))
def test_I4_I6_by_observation_a_decoder_has_room_at_admission(shapes, picks, capacities):
    cluster = Cluster(ConServe(), capacities)
    before = {}
    for every in drive(cluster, shapes, picks):
        for talk in every:
            if talk.bound is not None and talk.name not in before:
                before[talk.name] = talk.bound
                assert talk.reserved == talk.prompt + talk.output


def test_I4_by_observation_conversations_outgrow_their_decoder():
    cluster = Cluster(ConServe(), [100])
    pair = [Talk("a", [(40, 10), (40, 10)]), Talk("b", [(40, 10), (40, 10)])]
    for talk in pair:
        cluster.arrive(talk)
        cluster.place(talk)
    for talk in pair:
        cluster.end(talk)
    assert cluster.held(1) == 200 > 100, "its engine preempts; no turn goes elsewhere"
    assert {talk.bound for talk in pair} == {1}


@oracle
@given(shapes=talks, picks=choices, capacities=st.lists(st.integers(80, 400), min_size=1, max_size=3))
def test_I5_what_is_held_is_what_the_bound_conversations_need(oracle, shapes, picks, capacities):
    cluster = Cluster(ConServe(oracle), capacities)
    for every in drive(cluster, shapes, picks):
        for worker in cluster.workers[1:]:
            bound = [t for t in every if t.bound == worker.id and t not in cluster.shed]
            grown = [t.peak if oracle else t.prompt + t.output for t in bound]
            assert cluster.held(worker.id) == sum(grown)


@oracle
@given(shapes=talks, picks=choices, capacities=st.lists(st.integers(80, 400), min_size=1, max_size=3))
def test_L1_first_come_first_served_every_conversation_that_fits_anywhere_is_placed(oracle, shapes, picks, capacities):
    cluster = Cluster(ConServe(oracle), capacities)
    order = []
    for every in drive(cluster, shapes, picks):
        order += [t.name for t in every if t.ran and t.name not in order]
    for talk in every:
        need = talk.peak if oracle else sum(talk.turns[0])
        assert (talk in cluster.shed) == (need > max(capacities)), "only what fits nowhere is refused"
        assert talk in cluster.shed or len(talk.ran) == len(talk.turns)


def churn(policy, rounds):
    """A large conversation waits while small ones come and go, one always there before the last one has gone. Returns
    the round in which the large one is placed, None if it never is."""
    cluster = Cluster(policy, [100])
    small = Talk("first", [(40, 10)])
    cluster.arrive(small)
    cluster.place(small)
    large = Talk("large", [(80, 10)])
    cluster.arrive(large)
    for number in range(rounds):
        after = Talk(f"small{number}", [(40, 10)])
        cluster.arrive(after)
        cluster.place(after)
        cluster.place(large)
        if small in cluster.decoding:
            cluster.end(small)
        for talk in list(cluster.waiting):
            cluster.place(talk)
        if large.ran:
            return number
        small = after
    return None


def test_L1_is_false_under_polling_small_conversations_barge_past_a_large_one():
    assert churn(ConServe(poll=0.05), 1000) is None
    assert churn(ConServe(), 1000) == 0


def test_a_polled_turn_is_asked_about_again_after_a_while_and_a_held_one_when_something_changes():
    seen = PlacementObservation(
        0.0, "c", 1, 50, (WorkerView(0, 9, 9, decodes=False), WorkerView(1, 100, 100, 80)), 10, True, 0
    )
    assert ConServe(poll=0.05).decide(seen).retry == 0.05
    held = ConServe().decide(seen)
    assert held.decode is None and held.retry is None and not held.shed


def test_the_first_turn_goes_to_the_prefiller_with_the_least_to_do():
    busy = RequestView(0, 0.0, 500, 0, 0, 0)
    workers = (
        WorkerView(0, 1000, 1000, decodes=False, waiting=(busy,)),
        WorkerView(1, 1000, 1000, decodes=False),
        WorkerView(2, 1000, 1000, prefills=False),
    )
    decision = ConServe().decide(PlacementObservation(0.0, "c", 1, 50, workers, 10))
    assert (decision.prefill, decision.decode) == (1, None)
    with pytest.raises(ValueError, match="no worker prefills"):
        ConServe().decide(PlacementObservation(0.0, "c", 1, 50, workers[2:], 10))


def test_an_oracle_that_is_not_shown_the_peak_says_so():
    seen = PlacementObservation(0.0, "c", 1, 50, (WorkerView(0, 100, 100),), 10, True, 0)
    with pytest.raises(ValueError, match="peak"):
        ConServe(oracle=True).decide(seen)
    assert is_oracle(ConServe(oracle=True)) and not is_oracle(ConServe()) and not is_oracle(Collocated())


@given(shapes=talks, picks=choices, capacities=st.lists(st.integers(80, 400), min_size=1, max_size=3))
def test_ampd_without_errors_is_conserve(shapes, picks, capacities):
    pair = [Cluster(ConServe(), capacities), Cluster(Ampd(error=0.0), capacities)]
    ends = [list(drive(cluster, shapes, picks))[-1] for cluster in pair]
    assert [(t.ran, t.transfers) for t in ends[0]] == [(t.ran, t.transfers) for t in ends[1]]


def test_ampd_is_wrong_as_often_as_asked_and_always_in_the_same_places():
    wrong = [Ampd(0.1, seed=1).misrouted(f"c{n}", k) for n in range(1000) for k in range(2, 7)]
    assert 0.08 < sum(wrong) / len(wrong) < 0.12
    assert wrong == [Ampd(0.1, seed=1).misrouted(f"c{n}", k) for n in range(1000) for k in range(2, 7)]
    assert wrong != [Ampd(0.1, seed=2).misrouted(f"c{n}", k) for n in range(1000) for k in range(2, 7)]
    assert not any(Ampd(1.0).misrouted(f"c{n}", 1) for n in range(100))


def test_ampd_misrouted_prefills_a_first_turn_on_its_decoder_and_a_later_one_remotely():
    workers = (WorkerView(0, 1000, 1000, decodes=False), WorkerView(1, 1000, 1000, prefills=False))
    always = Ampd(error=1.0, first=True)
    first = always.decide(PlacementObservation(0.0, "c", 1, 50, workers, 10))
    assert (first.prefill, first.decode, first.bind, first.reserve) == (1, 1, True, 60)
    later = always.decide(PlacementObservation(0.0, "c", 2, 80, workers, 10, bound=1, reserved=60))
    assert (later.prefill, later.decode, later.bind, later.reserve, later.fetch) == (0, 1, True, 90, True)
    full = (workers[0], attrs.evolve(workers[1], held=990))
    held = always.decide(PlacementObservation(0.0, "c", 1, 50, full, 10))
    assert held.prefill is None and held.decode is None and not held.shed


def test_one_worker_collocated_and_full_disaggregation():
    both = (
        WorkerView(0, 1000, 1000, held=500),
        WorkerView(1, 1000, 1000, held=100),
        WorkerView(2, 1000, 1000, held=100),
    )
    seen = PlacementObservation(0.0, "c", 1, 50, both, 10)
    assert OneWorker().decide(seen).decode == 0 and OneWorker(2).decide(seen).prefill == 2
    with pytest.raises(ValueError, match="there is no worker 7; there are 0, 1, 2"):
        OneWorker(7).decide(seen)
    placed = Collocated().decide(seen)
    assert (placed.prefill, placed.decode, placed.bind, placed.reserve) == (1, 1, True, 60)
    assert Collocated().decide(attrs.evolve(seen, turn=2, bound=0)).decode == 0
    holds = Collocated(hold=True, oracle=True)
    assert is_oracle(holds) and holds.decide(attrs.evolve(seen, peak=900)).reserve == 900
    for more in ({"peak": 901}, {"peak": 60, "ahead": 1}):
        held = holds.decide(attrs.evolve(seen, **more))
        assert held.prefill is None and not held.shed
    assert holds.decide(attrs.evolve(seen, peak=1001)).shed
    with pytest.raises(ValueError, match="peak"):
        holds.decide(seen)
    apart = (WorkerView(0, 1000, 1000, decodes=False), *(attrs.evolve(w, prefills=False) for w in both[1:]))
    rule = FullDisaggregation()
    assert rule.decide(attrs.evolve(seen, workers=apart)).prefill == 0
    later = attrs.evolve(seen, workers=apart, turn=2, prefilled=True, prefiller=0)
    assert (rule.decide(later).prefill, rule.decide(later).decode, rule.decide(later).bind) == (0, 1, False)
    assert rule.decide(attrs.evolve(later, prompt=950)).decode is None
    assert rule.decide(attrs.evolve(later, prompt=991)).shed
    assert rule.decide(attrs.evolve(later, ahead=1)).decode is None
