"""Whole simulations: queueing theory, conservation across workers, admission, placement, and their failures."""

from __future__ import annotations

import math
import random
import re
import statistics
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.admission.caps import AgentCap, RequestCap
from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.placement.failover import Failover
from mtpo.schedulers.placement.simple import Collocated, FullDisaggregation
from mtpo.schedulers.simulator.cluster import Outcome, Setup, Simulation, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime, Transfer
from mtpo.schedulers.simulator.worker import Caps, SimulationError, StuckError
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload, linear
from mtpo.schedulers.types import (
    AdmissionObservation,
    PlacementDecision,
    PlacementObservation,
    PlacementPolicy,
    StepMeasured,
)

TRANSFER = Transfer(small=0.5, threshold=100, base=1.0, per_token=0.01)
HARDWARE = Hardware("test", StepTime(0.01, 1e-4, 1e-7), 0, Power(100.0, 10.0), TRANSFER)


def setup(placement: PlacementPolicy | None = None, prefillers: int = 0, workers: int = 1, **more: object) -> Setup:
    """``prefillers`` that only prefill, and workers: for both, or decoders where there are prefillers."""
    caps = Caps(more.pop("blocks", 400), 4, 256)  # type: ignore[arg-type]
    kinds = [WorkerSetup(HARDWARE, caps, True, False)] * prefillers
    kinds += [WorkerSetup(HARDWARE, caps, not prefillers, True)] * workers
    step = more.pop("step", Sarathi(64))
    given = {"placement": placement} if placement is not None else {}
    return Setup(step, tuple(kinds), **given, **more)  # type: ignore[arg-type]


def talks(*lengths: list[tuple[int, int, float]], every: float = 0.0) -> Workload:
    found = [Conversation(f"c{tag}", tag * every, linear(tag, one)) for tag, one in enumerate(lengths)]
    return Workload("talks", tuple(found), timed=every > 0)


def everything_ended(workload: Workload, outcome: Outcome) -> None:
    ended = sorted((turn.conversation, turn.turn) for turn in outcome.turns)
    assert ended == sorted((c.name, n) for c in workload.conversations for n in range(1, len(c.turns) + 1))
    given = {(c.name, n): turn for c in workload.conversations for n, turn in enumerate(c.turns, 1)}
    for turn in outcome.turns:
        asked = given[turn.conversation, turn.turn]
        assert (turn.prompt, turn.output) == (asked.prompt, asked.output)
        assert turn.submitted <= turn.arrival <= turn.first <= turn.end


def test_waits_of_one_server_are_those_of_queueing_theory() -> None:
    # One request at a time, each in one step whose time is its length: M/G/1, first come, first served.
    workload = load_workload("poisson:rate=0.7,n=12000,prompt=800..3000,output=1,seed=3")
    hardware = attrs.evolve(HARDWARE, step=StepTime(0.0, 1e-3))
    one = WorkerSetup(hardware, Caps(100_000, 16, 1_000_000, 1))
    outcome = simulate(workload, Setup(Sarathi(1_000_000), (one,)))
    services = [conversation.turns[0].prompt * 1e-3 for conversation in workload.conversations]
    waits = [turn.first - turn.submitted - service for turn, service in zip(outcome.turns, services, strict=True)]
    # Exactly Lindley's recursion,
    expected, before = 0.0, None
    for at, conversation in enumerate(workload.conversations):
        if before is not None:
            expected = max(0.0, expected + services[at - 1] - (conversation.arrival - before))
        before = conversation.arrival
        assert abs(waits[at] - expected) < 1e-6
    # and in the mean Pollaczek and Khinchine's formula, within four standard errors (of means of batches).
    rate, mean = workload.rate, statistics.mean(services)
    formula = rate * statistics.mean(s * s for s in services) / (2 * (1 - rate * mean))
    batches = [statistics.mean(waits[at : at + 600]) for at in range(0, 12000, 600)]
    error = statistics.stdev(batches) / math.sqrt(len(batches))
    assert error < formula / 10
    assert abs(statistics.mean(waits) - formula) < 4 * error


def test_the_same_seed_gives_the_same_outcome() -> None:
    workload = load_workload("agents:n=6,turns=3,first=40..80,append=10,output=5..9,tool=0.2,system=16,seed=2")
    first, second = (simulate(workload, setup(admission=Concur(), step=FairBatching())) for _ in range(2))
    assert first == second
    everything_ended(workload, first)


@attrs.frozen
class AnyPlace:
    """Any decision that can be carried out, now and then a hold or a refusal."""

    seed: int

    def decide(self, seen: PlacementObservation) -> PlacementDecision:
        draw = random.Random(f"{self.seed} {seen.now} {seen.conversation} {seen.prefilled} {seen.ahead}")
        prefillers = [w.id for w in seen.workers if w.prefills]
        decoders = [w.id for w in seen.workers if w.decodes]
        if draw.random() < 0.3 and seen.now < 100:
            return PlacementDecision(None, None, retry=0.1)
        if draw.random() < 0.05:
            return PlacementDecision(None, None, shed=True)
        decode = draw.choice([*decoders, None]) if not seen.prefilled else draw.choice(decoders)
        return PlacementDecision(draw.choice(prefillers), decode, draw.random() < 0.5, draw.randint(0, 99))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 90), st.integers(1, 8), st.sampled_from([0.0, 0.5])), min_size=1, max_size=3),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 999),
    st.sampled_from([(0, 2), (1, 2), (2, 1)]),
)
def test_nothing_is_lost_between_workers(
    lengths: list[list[tuple[int, int, float]]], seed: int, workers: tuple[int, int]
) -> None:
    workload = talks(*lengths, every=0.05)
    run = Simulation(workload, setup(AnyPlace(seed), *workers, blocks=120))
    outcome = run.run()
    assert len(outcome.turns) + outcome.shed + outcome.lost == workload.requests
    if not outcome.shed:
        everything_ended(workload, outcome)
    for site in run.sites:
        site.worker.kv.check()
        assert (site.worker.kv.used, site.worker.busy, site.held) == (0, False, 0)


def test_a_turn_that_is_moved_loses_no_time_but_that_of_the_transfer() -> None:
    together = simulate(talks([(50, 4, 0.0)]), setup()).turns[0]
    apart = simulate(talks([(50, 4, 0.0)]), setup(ConServe(), 1, 1)).turns[0]
    assert apart.first == together.first
    assert apart.end == pytest.approx(together.end + 0.5)
    assert apart.gap == pytest.approx(together.gap + 0.5)
    assert (together.worker, apart.worker) == (0, 1)


def test_conserve_moves_a_conversation_once_and_keeps_it_where_it_is() -> None:
    workload = talks(*[[(50 + 9 * at, 5, 0.0), (9, 4, 0.3), (20, 1, 0.3)] for at in range(7)], every=0.02)
    outcome = simulate(workload, setup(ConServe(), 1, 3))
    everything_ended(workload, outcome)
    assert (outcome.transfers, outcome.most_transfers) == (7, 1)
    homes = {turn.conversation: turn.worker for turn in outcome.turns}
    assert all(turn.worker == homes[turn.conversation] for turn in outcome.turns)
    assert len(set(homes.values())) == 3 and 0 not in homes.values()
    # What was moved and what was computed on the decoder is found there: whole blocks of all but the new tokens.
    assert all(turn.hits >= turn.prompt - 9 - 20 - 4 for turn in outcome.turns if turn.turn > 1)


def test_full_disaggregation_moves_every_turn_but_only_what_the_decoder_lacks() -> None:
    workload = talks([(48, 5, 0.0), (12, 4, 0.0), (20, 1, 0.0)])
    outcome = simulate(workload, setup(FullDisaggregation(), 1, 1))
    everything_ended(workload, outcome)
    # The decoder has the whole blocks of 4 of what it computed itself: 52 of 65 tokens, then 68 of 89.
    assert (outcome.transfers, outcome.moved) == (3, 48 + (65 - 52) + (89 - 68))


@pytest.mark.parametrize(("tools", "found"), [(20.0, 52), (0.0, 8)])
def test_a_misrouted_turn_takes_its_history_along_where_there_is_room(tools: float, found: int) -> None:
    workload = talks([(48, 5, 0.0), (12, 4, tools)], [(396, 5, 0.0)], every=0.5)
    outcome = simulate(workload, attrs.evolve(setup(Ampd(error=1.0), 1, 2, blocks=101), gaps=True))
    everything_ended(workload, outcome)
    first, later = (turn for turn in outcome.turns if turn.conversation == "c0")
    # The other conversation leaves two blocks of the prefiller. While its own wait there for their transfer nothing is
    # brought; later on all 52 tokens of history with keys and values are there. The decoder lacks what is new, 65 - 52.
    assert (later.hits, outcome.moved) == (found, 48 + 396 + (65 - 52) + (found - 8))
    assert outcome.transfers == (4 if found > 8 else 3)
    assert later.began >= later.submitted + (TRANSFER.seconds(found - 8) if found > 8 else 0.0)
    assert first.began == first.submitted and first.held == 0.0
    assert len(first.gaps) == 4 and max(first.gaps) == first.gap
    assert sum(first.gaps) == pytest.approx(first.end - first.first)


def test_a_turn_held_for_a_decoder_keeps_its_blocks_where_it_was_prefilled() -> None:
    workload = talks([(100, 30, 0.0)], [(100, 30, 0.0)], [(100, 30, 0.0)])
    tight = setup(FullDisaggregation(), 1, 1, blocks=65)
    outcome = simulate(workload, tight)
    everything_ended(workload, outcome)
    first, second, third = sorted(outcome.turns, key=lambda turn: turn.end)
    assert third.held > 0 and third.gap > third.held > third.gap - 5.0
    # Two fit into the decoder at once by what they reserve; the third moves when one of them is over.
    assert third.gap > first.end - third.first > 0
    # Two prompts of 25 blocks are pinned on the prefiller at most, and a third one waits for room.
    assert second.first < first.end


def test_a_transfer_without_room_is_computed_anew() -> None:
    @attrs.frozen
    class Overbooks:
        def decide(self, seen: PlacementObservation) -> PlacementDecision:
            return PlacementDecision(0, 1)

    workload = talks([(100, 60, 0.0)], [(100, 60, 0.0)])
    outcome = simulate(workload, setup(Overbooks(), 1, 1, blocks=45))
    everything_ended(workload, outcome)
    assert outcome.preemptions >= 1 and outcome.transfers == 1
    # A single token is there before the transfer: what finds no room then has nothing left to compute.
    workload = talks([(100, 60, 0.0)], [(100, 1, 0.0), (8, 3, 0.0)])
    outcome = simulate(workload, setup(Overbooks(), 1, 1, blocks=45))
    everything_ended(workload, outcome)


def test_agents_wait_for_admission_and_their_tools_take_time() -> None:
    workload = talks(*[[(20, 3, 0.0), (5, 2, 1.0)]] * 4)
    outcome = simulate(workload, setup(admission=AgentCap(2)))
    everything_ended(workload, outcome)
    spans = {name: [t for t in outcome.turns if t.conversation == name] for name in ("c0", "c1", "c2", "c3")}
    for first, second in spans.values():
        assert second.submitted == pytest.approx(first.end + 1.0)
    begins = sorted(first.arrival for first, _ in spans.values())
    ends = sorted(second.end for _, second in spans.values())
    assert begins[1] == 0.0 and begins[2:] == ends[:2]
    free = simulate(workload, setup(admission=RequestCap(2)))
    everything_ended(workload, free)
    assert free.end < outcome.end


def test_the_congestion_window_sees_usage_and_hit_rate() -> None:
    seen: list[AdmissionObservation] = []

    class Watches(Concur):
        def decide(self, observation: AdmissionObservation):  # type: ignore[no-untyped-def]
            seen.append(observation)
            return super().decide(observation)

    workload = load_workload("agents:n=8,turns=3,first=40..80,append=10,output=20,tool=0.5")
    outcome = simulate(workload, setup(admission=Watches(period=0.5)))
    everything_ended(workload, outcome)
    assert [one.now for one in seen] == [at * 0.5 for at in range(len(seen))]
    assert (seen[0].waiting, seen[0].active, seen[0].hit_rate, seen[0].agents) == (0, 0, None, 8)
    assert seen[1].window is not None and seen[1].active >= 2 and seen[1].waiting == 8 - seen[1].active
    assert max(one.kv_usage for one in seen) > 0 and any(one.hit_rate for one in seen)


def test_a_policy_learns_from_each_step_of_its_own_worker() -> None:
    measured: list[StepMeasured] = []

    @attrs.frozen
    class Learns(Sarathi):
        def learn(self, one: StepMeasured) -> Learns:
            measured.append(one)
            return self

    outcome = simulate(talks([(50, 4, 0.0)]), setup(step=Learns(64)))
    assert [(one.new, one.context) for one in measured] == [(50, 50), (1, 51), (1, 52), (1, 53)]
    assert sum(one.seconds for one in measured) == pytest.approx(outcome.end)


@attrs.frozen
class Says:
    decision: PlacementDecision

    def decide(self, seen: PlacementObservation) -> PlacementDecision:
        return self.decision


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (
            PlacementDecision(None, None),
            "nothing can go on at 0 s: 1 conversation left; placement Says holds 1 turn, first turn 1 of "
            "conversation c0, which needs 23 tokens of KV cache (free: ",
        ),
        (PlacementDecision(7, 7), "placed the prefill of turn 1 of conversation c0 on worker 7: there is none"),
        (PlacementDecision(0, 0), "placed the decode of turn 1 of conversation c0 on worker 0, which does not decode"),
    ],
)
def test_a_placement_that_cannot_be_carried_out_is_named(decision: PlacementDecision, why: str) -> None:
    with pytest.raises(SimulationError) as caught:
        simulate(talks([(20, 3, 0.0)]), setup(Says(decision), 1, 1))
    assert why in str(caught.value)


@attrs.frozen
class Retries:
    """Holds every turn and wants to be asked again: for good, or until a time."""

    until: float = math.inf

    def decide(self, seen: PlacementObservation) -> PlacementDecision:
        if seen.now < self.until:
            return PlacementDecision(None, None, retry=0.5)
        return PlacementDecision(0, 0)


def test_a_placement_that_retries_for_ever_is_given_up_and_one_that_waits_is_not() -> None:
    shapes = [(20, 3, 0.0)]
    with pytest.raises(StuckError, match=r"placement Retries holds 2 turns, first turn 1 of conversation c0, which"):
        simulate(talks(shapes, shapes), setup(Retries(), 0, 2))
    assert simulate(talks(shapes, shapes), setup(Retries(2_000.0), 0, 2)).end > 2_000
    # Something is to come that may change its mind: it is asked again as long as that takes.
    losing = attrs.evolve(setup(Retries(20_000.0), 0, 2), losses=(Loss(1, 20_000.0),))
    assert len(simulate(talks(shapes), losing).turns) == 1


def test_what_a_policy_raises_is_one_line() -> None:
    with pytest.raises(SimulationError, match="policy Collocated: ValueError: placement collocated: no worker both"):
        simulate(talks([(20, 3, 0.0)]), setup(Collocated(), 1, 1))


def test_a_request_too_large_for_its_worker_is_named() -> None:
    with pytest.raises(SimulationError, match="conversation c0, turn 2: a request of 1613"):
        simulate(talks([(20, 3, 0.0), (1590, 1, 0.0)]), setup())


def test_what_a_trace_asks_too_much_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:01,9,9\n2024-05-10 00:00:00,1613,1\n")
    with pytest.raises(SimulationError, match=rf"^{re.escape(str(path))}:3: conversation 1, turn 1: a request of 1613"):
        simulate(load_workload(str(path), "azure"), setup())
    path.write_text("Timestamp,Request tokens,Response tokens\n0,9,9\n1e15,9,9\n")
    with pytest.raises(
        SimulationError, match=rf"^{re.escape(str(path))}:3: conversation 3, turn 1: at 1e\+15 s the steps"
    ):
        simulate(load_workload(str(path), "burstgpt"), setup())


def test_one_without_content_shares_nothing() -> None:
    plain = Workload("plain", tuple(Conversation(str(n), n * 9.0, (Turn(40, 2),)) for n in range(2)))
    same = Workload(
        "same", tuple(Conversation(str(n), n * 9.0, (Turn(40, 2, 0.0, (Piece(1, 40),)),)) for n in range(2))
    )
    assert [simulate(one, setup()).hits for one in (plain, same)] == [0, 36]


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(1, 120), st.integers(1, 30), st.sampled_from([0.0, 0.3])), min_size=1, max_size=3
        ),
        min_size=2,
        max_size=7,
    ),
    st.sampled_from([ConServe(), ConServe(oracle=True), Failover(None)]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_admission_and_placement_do_not_lock_each_other_where_those_with_room_go_on(
    lengths: list[list[tuple[int, int, float]]], placement: PlacementPolicy, agents: bool
) -> None:
    workload = attrs.evolve(talks(*lengths, every=0.05), timed=False)
    admission = Concur(period=0.2, unlocks=True) if agents else Footprint(period=0.2, least=1)
    outcome = simulate(workload, setup(placement, prefillers=1, workers=1, blocks=150, admission=admission))
    ended = len(outcome.turns) + outcome.shed + outcome.lost
    assert ended == workload.requests
