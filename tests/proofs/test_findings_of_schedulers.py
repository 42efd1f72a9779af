"""Every finding of the schedulers in proofs/FINDINGS.md, reproduced; the others are in test_findings."""

from __future__ import annotations

import attrs
import pytest

from mtpo.schedulers.admission.caps import NoLimit
from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.placement.conserve import ConServe
from mtpo.schedulers.placement.failover import Failover
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B, A100_LLAMA_8B, Hardware, Power, StepTime, Transfer
from mtpo.schedulers.simulator.worker import Caps, StuckError
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Turn, Workload, linear
from mtpo.schedulers.types import AdmissionObservation, RequestView, StepObservation
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.paged_kv import Block, Request, kv
from tests.proofs.fates import fate
from tests.schedulers.placement import test_pab
from tests.schedulers.simulator import test_worker
from tests.schedulers.step import test_fairbatching as deadlines


def test_f7_a_chunk_reserves_its_blocks_before_it_fills_them():
    instance = Instance(kv, {Block: 3, Request: 1})
    state = instance.initial()
    for step in (Step("allocate_first", (0, 0)), Step("allocate", (0, 1, 0)), Step("begin", (0,))):
        assert not instance.refused(state, step)
        instance.perform(state, step)
    assert [c.id for c in instance.refused(state, Step("fill", (0, 1)))] == ["kv.fill.in-order"]


def test_f19_fairbatching_pauses_a_decode_for_as_long_as_what_arrives_takes():
    def longest(step, prompts):
        talks = (Conversation("decode", 0.0, (Turn(10, 300),)),)
        talks += tuple(Conversation(str(n), 0.5, (Turn(4000, 1),)) for n in range(prompts))
        outcome = simulate(Workload("burst", talks), one_worker(load_policy(step)))
        (decode,) = (turn for turn in outcome.turns if turn.conversation == "decode")
        assert decode.late == 0
        return decode.gap

    slow = "ttft=10,tpot=1,learns=no"
    assert [longest(f"fairbatching:{slow}", n) for n in (3, 6, 12)] == pytest.approx([1.15, 2.29, 4.57], abs=0.01)
    assert longest(f"fairbatching:{slow},cap=0.1", 12) > 4.0
    assert max(longest(f"bounded_gap:0.2,{slow}", n) for n in (3, 6, 12)) <= 0.2
    assert fate("gap.admit.reserved").killed_by


def test_f20_under_sarathi_a_decode_may_never_get_on_and_a_step_is_as_long_as_its_contexts():
    talks = tuple(Conversation(str(n), 0.0, (Turn(10, 100),)) for n in range(3))
    ended = [turn.end for turn in simulate(Workload("three", talks), one_worker(Sarathi(2))).turns]
    assert ended[2] > 1.8 * ended[1], "the third one has hardly begun when the others end"
    seconds = []
    for n in (1, 8, 64):
        held = tuple(RequestView(id, 0.0, 50_001, 50_000, 1, 3_126) for id in range(n))
        work = Sarathi(512).decide(StepObservation(1.0, held, (), 1_000, 16, 8192, 64)).work
        assert [w.tokens for w in work] == [1] * n
        seconds.append(A100_LLAMA_8B.step.seconds(n, n * 50_001, 0.0))
    assert seconds == pytest.approx([0.0146, 0.0608, 0.43], rel=0.01)


def one_worker(step):
    hardware = attrs.evolve(A100_LLAMA_8B, kv_tokens=4_000_000)
    return Setup(
        step, (WorkerSetup(hardware, Caps(hardware.kv_tokens // 16, max_tokens=100_000)),), ttft_slo=10.0, tpot_slo=1.0
    )


def placed(placement, losses=()):
    """How many small conversations have ended before a large one among them, and the outcome."""
    talks = [Conversation(f"small {n}", 0.05 * n, (Turn(500, 60),)) for n in range(60)]
    talks.insert(7, Conversation("large", 0.3, (Turn(1900, 20),)))
    decoder = WorkerSetup(A40_QWEN_06B, Caps(128), prefills=False)
    workers = (WorkerSetup(A40_QWEN_06B, Caps(10_000), decodes=False), decoder, decoder)
    policy = load_policy(placement, "placement")
    outcome = simulate(Workload("w", tuple(talks)), Setup(Sarathi(512), workers, placement=policy, losses=losses))
    order = [turn.conversation for turn in sorted(outcome.turns, key=lambda turn: turn.end)]
    return order.index("large"), outcome


def test_f21_small_conversations_that_poll_for_room_starve_a_large_one():
    assert (placed("conserve:poll=0.05")[0], placed("failover:none")[0]) == (60, 6)
    assert "failover.first-come-first-served" in fate("failover.bind.first-in-line").killed_by


def test_f22_a_lost_decoder_takes_neither_conversations_nor_places():
    before, outcome = placed("failover:none", (Loss(1, 1.2),))
    assert before < 12 and outcome.replaced > 0 and len(outcome.turns) == 61
    assert "failover.none-lost" in fate("failover.crash.prefilled:=").killed_by
    later = tuple(Conversation(str(n), 0.1 * n, linear(n, [(50, 20, 0.0), (50, 20, 1.0)])) for n in range(10))
    decoder = WorkerSetup(A40_QWEN_06B, Caps(128), prefills=False)
    workers = (WorkerSetup(A40_QWEN_06B, Caps(1000), decodes=False), decoder, decoder)
    setup = Setup(Sarathi(512), workers, losses=(Loss(1, 1.0),))
    given_up = [
        simulate(Workload("w", later), attrs.evolve(setup, placement=load_policy(name, "placement"))).abandoned
        for name in ("conserve", "failover")
    ]
    assert given_up[0] > 0 and given_up[1] == 0


def test_f23_concurs_window_is_stuck_by_one_large_agent_and_cut_after_the_collapse():
    def windows(policy, start, ticks, share):
        """The window of each tick, when an agent takes ``share(tick)`` of the cache and prefixes are lost beyond it."""
        window, found = start, []
        for tick in range(ticks):
            active = max(1, int(window))
            wanted = active * share(tick)
            hits = 0.95 if wanted <= 1 else 0.1
            seen = AdmissionObservation(tick, active, 9, min(1.0, wanted), hits, window, active, 100)
            window = policy.decide(seen).window
            found.append((int(window), wanted))
        return found

    control = {"concur": Concur(), "footprint": Footprint(0.8, least=1)}
    stuck = {name: windows(policy, 1.0, 100, lambda tick: 0.25)[-1][0] for name, policy in control.items()}
    assert stuck == {"concur": 1, "footprint": 3}
    late = {name: windows(policy, 8.0, 60, lambda tick: 0.04 + 0.01 * tick) for name, policy in control.items()}
    assert max(wanted for _, wanted in late["concur"]) > 1 >= max(wanted for _, wanted in late["footprint"])
    for id, property in (
        ("grow.some", "never-stuck"),
        ("grow.fits", "cut-in-time"),
        ("pause.over", "oldest-goes-on"),
    ):
        assert f"footprint.{property}" in fate(f"footprint.{id}").killed_by


def test_f25_a_paused_agent_keeps_the_room_that_the_only_active_one_waits_for():
    hardware = Hardware("test", StepTime(0.01, 1e-4, 1e-7), 0, Power(100.0, 10.0), Transfer(0.05, 100, 0.1, 1e-3))
    caps = Caps(50, 4, 256)
    workers = (WorkerSetup(hardware, caps, True, False), WorkerSetup(hardware, caps, False, True))
    lengths = ((0.0, [(110, 40, 0.0), (10, 5, 0.5)]), (0.05, [(90, 10, 0.0)]))
    talks = tuple(Conversation(f"c{tag}", at, linear(tag, one)) for tag, (at, one) in enumerate(lengths))
    workload = Workload("two", talks, timed=False)

    def ended(admission, placement):
        return len(simulate(workload, Setup(Sarathi(64), workers, admission, placement)).turns)

    for placement in (ConServe(), Failover(None)):
        with pytest.raises(StuckError, match=r"holds 1 turn, .* 1 agent waiting for admission by Concur"):
            ended(Concur(period=0.2), placement)
        assert ended(NoLimit(), placement) == 3
        assert ended(Concur(period=0.2, unlocks=True), placement) == 3
        for per_request in (False, True):
            assert ended(Footprint(period=0.2, least=1, per_request=per_request), placement) == 3


def test_f34_an_earlier_token_makes_a_gap_too_long_and_no_deadline_is_missed_by_it():
    deadlines.test_P2_is_false_of_the_time_between_tokens()


def test_f35_a_budget_that_overlooks_decodes_to_come_promises_too_much():
    test_pab.test_P11_is_false_decodes_that_prompts_under_way_will_spawn_are_not_reserved()


@pytest.mark.parametrize(("spare", "moved", "ended"), [(0.0, [12, 12], []), (0.5, [12, 0], [0, 1])])
def test_f36_two_requests_and_seven_blocks(monkeypatch, spare, moved, ended):
    check = test_worker.test_what_is_brought_for_two_that_wait_must_leave_room_or_both_wait_for_ever
    check(monkeypatch, "sarathi:64", spare, moved, ended)
