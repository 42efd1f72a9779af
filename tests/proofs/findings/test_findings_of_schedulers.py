"""Every finding of the schedulers in proofs/FINDINGS.md, reproduced; the others are in test_findings."""

from __future__ import annotations

import pytest

from mtpo.proofs.findings import beside, placing, timing, windows
from mtpo.schedulers.simulator.worker import StuckError
from tests.proofs.fates import fate
from tests.schedulers.placement import test_pab
from tests.schedulers.simulator import test_worker
from tests.schedulers.step import test_fairbatching as deadlines


def test_f7_a_chunk_reserves_its_blocks_before_it_fills_them():
    run = beside.RESERVED_BEFORE_FILLED.run()
    assert [(told.step.action, told.by) for told in run.told] == [("fill", "kv.fill.in-order")]
    assert [step.action for step in run.trace.steps][-3:] == ["fill", "fill", "complete"]


def test_f19_fairbatching_pauses_a_decode_for_as_long_as_what_arrives_takes():
    def longest(step, prompts):
        decode = timing.decode_beside(step, prompts)
        assert decode.late == 0 and decode.gap == pytest.approx(max(decode.gaps))
        return decode.gap

    slow = timing.SLOW
    assert [longest(f"fairbatching:{slow}", n) for n in timing.BURSTS] == pytest.approx([1.15, 2.29, 4.57], abs=0.01)
    assert longest(f"fairbatching:{slow},cap=0.1", 12) > 4.0
    bound = timing.BOUND
    assert max(longest(f"bounded_gap:{bound},{slow}", n) for n in timing.BURSTS) <= bound
    assert fate("gap.admit.reserved").killed_by


def test_f20_under_sarathi_a_decode_may_never_get_on_and_a_step_is_as_long_as_its_contexts():
    first, second, third = sorted(timing.three_decodes(), key=lambda turn: turn.conversation)
    assert third.end > 1.8 * second.end > 1.8 * first.end, "the third one has hardly begun when the others end"
    assert [timing.full_batch(n) for n in (1, 8, 64)] == pytest.approx([0.0146, 0.0608, 0.43], rel=0.01)
    assert beside.DECODE_LEFT_OUT.run().trace.steps


def test_f21_small_conversations_that_poll_for_room_starve_a_large_one():
    found = [placing.before_the_large_one(placing.placed(one)[0]) for one in ("conserve:poll=0.05", "failover:none")]
    assert found == [60, 6]
    assert "failover.first-come-first-served" in fate("failover.bind.first-in-line").killed_by


def test_f22_a_lost_decoder_takes_neither_conversations_nor_places():
    outcome, _ = placing.placed("failover:none", placing.LOST)
    before = placing.before_the_large_one(outcome)
    assert before < 12 and outcome.replaced > 0 and len(outcome.turns) == 61
    assert "failover.none-lost" in fate("failover.crash.prefilled:=").killed_by
    given_up = [placing.later_turns(name).abandoned for name in ("conserve", "failover")]
    assert given_up[0] > 0 and given_up[1] == 0


def test_f23_concurs_window_is_stuck_by_one_large_agent_and_cut_after_the_collapse():
    stuck = {name: windows.one_large_agent(policy)[-1][0] for name, policy in windows.controls().items()}
    assert stuck == {"concur": 1, "footprint": 3}
    late = {name: windows.contexts_that_grow(policy) for name, policy in windows.controls().items()}
    assert max(wanted for _, wanted in late["concur"]) > 1 >= max(wanted for _, wanted in late["footprint"])
    for id, property in (
        ("grow.some", "never-stuck"),
        ("grow.fits", "cut-in-time"),
        ("pause.over", "oldest-goes-on"),
    ):
        assert f"footprint.{property}" in fate(f"footprint.{id}").killed_by


def test_f25_a_paused_agent_keeps_the_room_that_the_only_active_one_waits_for():
    for placement in windows.placements():
        locked, *others = windows.admissions().values()
        with pytest.raises(StuckError, match=r"holds 1 turn, .* 1 agent waiting for admission by Concur"):
            windows.two_controls(locked, placement).run()
        for admission in others:
            assert len(windows.two_controls(admission, placement).run().turns) == 3


def test_f25_its_chart_says_since_when_and_what_room_is_promised():
    chart = windows.locked_controls()
    says = "From 1.14 s on nothing changes: c1 needs 100 tokens (50 of 200 free, 150 promised); 1 agent waiting for"
    assert chart.title == f"{says} admission" and chart.end > 1.14
    bars = {(row.name, row.note): row.bars for row in chart.rows}
    assert bars["c0", "concur"][-1].label == "turn 2 waits, 150 tokens promised"
    assert round(bars["c0", "concur"][-1].start, 2) == 1.14


def test_f34_an_earlier_token_makes_a_gap_too_long_and_no_deadline_is_missed_by_it():
    even, early = (timing.three_tokens(beside) for beside in (timing.EVEN, timing.EARLY))
    assert (even, early) == (pytest.approx([0.05, 0.1, 0.15]), pytest.approx([0.05, 0.06, 0.15]))
    late, earlier = timing.gaps_judged().rows
    assert late.note == earlier.note == "0 tokens after their deadlines"
    assert [[bar.tone for bar in row.bars] for row in (late, earlier)] == [["good"] * 3, ["good", "good", "bad"]]
    deadlines.test_P2_is_false_of_the_time_between_tokens()


def test_f35_a_budget_that_overlooks_decodes_to_come_promises_too_much():
    kept, late = (timing.promised(outputs)[0] for outputs in (1, 400))
    assert kept.prompt == late.prompt and kept.first <= timing.PROMISED and late.first > 2 * timing.PROMISED
    test_pab.test_P11_is_false_decodes_that_prompts_under_way_will_spawn_are_not_reserved()


@pytest.mark.parametrize(("spare", "moved", "ended"), [(0.0, [12, 12], []), (0.5, [12, 0], [0, 1])])
def test_f36_two_requests_and_seven_blocks(monkeypatch, spare, moved, ended):
    check = test_worker.test_what_is_brought_for_two_that_wait_must_leave_room_or_both_wait_for_ever
    check(monkeypatch, "sarathi:64", spare, moved, ended)
    found = timing.two_that_wait(spare)
    assert (list(found.moved), [id for id, _ in found.ended], found.stuck) == (moved, ended, not ended)
    assert found.needed == (5, 5) and found.free == 7 - sum(found.held)
