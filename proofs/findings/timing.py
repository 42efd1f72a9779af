"""The traces of the findings on batches and budgets: when tokens come under a step policy (F19, F20, F34 to F36)."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final
from unittest import mock

import attrs

from mtpo.proofs.findings.chart import Bar, Chart, Keys, Line, Row
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.placement.pab import prefill_budget
from mtpo.schedulers.simulator import worker as workers
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.metrics import TurnRecord
from mtpo.schedulers.simulator.request import Request, brought, request_of
from mtpo.schedulers.simulator.steptime import A100_LLAMA_8B, Hardware, Power, StepTime
from mtpo.schedulers.simulator.worker import Caps, Worker
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload, counted
from mtpo.schedulers.types import RequestView, StepModel, StepObservation, StepPolicy, WorkerView

SLOW: Final = "ttft=10,tpot=1,learns=no"
"""An objective of 10 s to the first token and 1 s for each other."""
BURSTS: Final = 3, 6, 12
BOUND: Final = 0.2


def one_worker(step: StepPolicy) -> Setup:
    """A worker with a cache that is never full."""
    hardware = attrs.evolve(A100_LLAMA_8B, kv_tokens=4_000_000)
    caps = Caps(hardware.kv_tokens // 16, max_tokens=100_000)
    return Setup(step, (WorkerSetup(hardware, caps),), ttft_slo=10.0, tpot_slo=1.0, gaps=True)


def tokens_of(turn: TurnRecord) -> list[float]:
    """When each token of a turn was there."""
    return list(accumulate(turn.gaps, initial=turn.first))


# -- F19, F20 ------------------------------------------------------------------------------------------------------


def decode_beside(step: str, prompts: int) -> TurnRecord:
    """A decode of 300 tokens, beside which after half a second so many prompts of 4,000 tokens arrive."""
    burst = (Conversation(str(n), 0.5, (Turn(4000, 1),)) for n in range(prompts))
    talks = (Conversation("decode", 0.0, (Turn(10, 300),)), *burst)
    outcome = simulate(Workload("burst", talks), one_worker(load_policy(step)))
    (decode,) = (turn for turn in outcome.turns if turn.conversation == "decode")
    return decode


def paused_decode() -> Chart:
    """F19: the decode's tokens, and its longest pause."""
    rows = []
    for step in (f"fairbatching:{SLOW}", f"fairbatching:{SLOW},cap=0.1", f"bounded_gap:{BOUND},{SLOW}"):
        name, _, args = step.partition(":")
        for prompts in BURSTS[-1:] if "cap" in step else BURSTS:
            turn = decode_beside(step, prompts)
            times = tokens_of(turn)
            start, end = max(pairwise(times), key=lambda pair: pair[1] - pair[0])
            pause = Bar(start, end, "good" if turn.gap <= BOUND else "bad", f"{turn.gap:.2f} s")
            what = f"{name}{', steps of 0.1 s' if 'cap' in args else ''}"
            rows.append(Row(what, (pause,), tuple(times), note=f"{prompts} prompts, {turn.late} tokens late"))
    keys: Keys = (("bad", "the longest pause"), ("good", f"the longest pause, at most {BOUND:g} s"))
    return Chart(
        "One decode, beside prompts of 4,000 tokens",
        "seconds",
        tuple(rows),
        keys,
        "a token",
        (Line(0.5, "they arrive"),),
    )


def three_decodes() -> tuple[TurnRecord, ...]:
    """Three decodes of 100 tokens, with a budget of two tokens a step."""
    talks = tuple(Conversation(str(n), 0.0, (Turn(10, 100),)) for n in range(3))
    return simulate(Workload("three", talks), one_worker(Sarathi(2))).turns


def starved_decode() -> Chart:
    """F20: of three decodes the last gets nothing while the others run."""
    rows = tuple(
        Row(f"request {turn.conversation}", (Bar(turn.submitted, turn.end, "wait"),), tuple(tokens_of(turn)))
        for turn in sorted(three_decodes(), key=lambda turn: turn.conversation)
    )
    return Chart("Sarathi with a budget of two tokens", "seconds", rows, (("wait", "it is there"),), "a token")


def full_batch(requests: int) -> float:
    """Seconds of a step of Sarathi's, of so many decodes with a context of 50,000 tokens each."""
    held = tuple(RequestView(id, 0.0, 50_001, 50_000, 1, 3_126) for id in range(requests))
    work = Sarathi(512).decide(StepObservation(1.0, held, (), 1_000, 16, 8192, 64)).work
    new = sum(one.tokens for one in work)
    return A100_LLAMA_8B.step.seconds(new, sum(held[one.id].computed + one.tokens for one in work), 0.0)


def long_steps() -> Chart:
    """F20: one budget, and how long a step of it takes."""
    found = {n: full_batch(n) for n in (1, 8, 64)}
    rows = tuple(Row(counted(n, "context"), (Bar(0.0, s, "run", f"{1000 * s:.1f} ms"),)) for n, s in found.items())
    return Chart("A step within a budget of 512 tokens, contexts of 50,000", "seconds", rows, (("run", "the step"),))


# -- F34 -----------------------------------------------------------------------------------------------------------

OBJECTIVE: Final = 0.05
EVEN: Final = ((0.05, 4), (0.1, 4))
EARLY: Final = ((0.06, 8),)
"""Prompts that come beside the one whose tokens are looked at: when, and of how many tokens."""


def three_tokens(beside: tuple[tuple[float, int], ...]) -> list[float]:
    """When the three tokens of a request come, each new token of a step taking 10 ms."""
    hardware = Hardware("tenths", StepTime(0.0, 0.01, 0.0), 1_600, Power(100.0, 10.0))
    talks = (Conversation("it", 0.0, (Turn(5, 3),)), *(Conversation(f"{at}", at, (Turn(n, 1),)) for at, n in beside))
    setup = Setup(Sarathi(64), (WorkerSetup(hardware, Caps(100)),), gaps=True)
    (found,) = (turn for turn in simulate(Workload("w", talks), setup).turns if turn.conversation == "it")
    return tokens_of(found)


def gaps_judged() -> Chart:
    """F34: three tokens as they are due, and one earlier."""
    asked = RequestView(0, 0.0, 5, 0, 0, 0, ttft_slo=OBJECTIVE, tpot_slo=OBJECTIVE)
    due = [Objectives().deadline(asked, j) for j in range(3)]
    rows = []
    for name, beside in (("evenly", EVEN), ("the second earlier", EARLY)):
        times = three_tokens(beside)
        gaps = [
            Bar(a, b, "bad" if b - a > OBJECTIVE + 1e-9 else "good", f"{1000 * (b - a):.0f} ms")
            for a, b in pairwise((0.0, *times))
        ]
        late = sum(t > d + 1e-9 for t, d in zip(times, due, strict=True))
        rows.append(Row(name, tuple(gaps), tuple(times), note=f"{late} tokens after their deadlines"))
    keys: Keys = (("good", f"a gap of at most {1000 * OBJECTIVE:.0f} ms"), ("bad", "a longer one"))
    lines = tuple(Line(at, f"deadline {j}") for j, at in enumerate(due))
    return Chart("Three tokens of one request", "seconds", tuple(rows), keys, "a token", lines)


# -- F35 -----------------------------------------------------------------------------------------------------------

PROMISED: Final = 0.5
MODEL: Final = StepModel(8e-3, 0.095e-3, 0.13e-6)


def promised(outputs: int) -> tuple[Request, list[tuple[float, float]]]:
    """Sixty prompts of four tokens wait, each to have so many outputs; one more is as long as the budget allows, and
    steps take what the budget took them to. That one, and its worker's steps till its first token."""
    step = StepTime(MODEL.a, MODEL.b, MODEL.c)
    hardware = Hardware("as predicted", step, 400_000, Power(100.0, 10.0))
    one = Worker(0, hardware, FairBatching(idle=0.05, learns=False), Caps(100_000, 4, max_requests=400))
    for id in range(60):
        one.submit(request_of(id, Turn(4, outputs), 0.0, 0.05, 0.01, 4))
    running, waiting = one.views()
    view = WorkerView(0, 400_000, 400_000, running=running, waiting=waiting)
    length = int(prefill_budget(view, 0.0, PROMISED, MODEL, Objectives(PROMISED, 0.01)))
    new = request_of(99, Turn(length, 1), 0.0, PROMISED, 0.01, 4)
    one.submit(new)
    now, steps = 0.0, list[tuple[float, float]]()
    while new.first is None and (end := one.begin(now)) is not None:
        steps.append((now, end))
        one.finish(end)
        now = end
    return new, steps


def overlooked_decodes() -> Chart:
    """F35: the first token of the new prompt, without decodes to come and with them."""
    rows = []
    for outputs in (1, 400):
        new, steps = promised(outputs)
        assert new.first is not None
        late = new.first > PROMISED
        bar = Bar(0.0, new.first, "bad" if late else "good", f"its prompt of {new.prompt:,} tokens, {new.first:.2f} s")
        ends = tuple(end for _, end in steps)
        rows.append(Row(f"{outputs} output{'s' * (outputs > 1)} each", (bar,), ends, note=f"{len(steps)} steps"))
    keys: Keys = (("good", "till its first token"), ("bad", "till its first token, too late"))
    line = Line(PROMISED, "promised")
    return Chart(
        "A prompt as long as the budget says, behind sixty", "seconds", tuple(rows), keys, "a step ends", (line,)
    )


# -- F36 -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Waiting:
    """Two requests on seven blocks: tokens that were brought for each, blocks that these hold then, who ended when."""

    moved: tuple[int, ...]
    held: tuple[int, ...]
    free: int
    needed: tuple[int, ...]
    ended: tuple[tuple[int, float], ...]
    stuck: bool


def two_that_wait(spare: float, policy: str = "sarathi:64") -> Waiting:
    """What becomes of them if what is brought must leave this share of the cache. 0 is the worker without its rule."""
    hardware = Hardware("test", StepTime(1.0, 0.01, 0.001), 160, Power(100.0, 10.0))
    requests = [request_of(id, Turn(17, 4, 0.0, (Piece(id, 17),)), 0.0, 5.0, 1.5, 4) for id in range(2)]
    one = Worker(0, hardware, load_policy(policy), Caps(7, 4))
    moved, held = list[int](), list[int]()
    with mock.patch.object(workers, "_SPARE", spare):  # the rule is no option: nobody is to leave it out
        for request in requests:
            before = one.kv.available
            moved.append(one.receive(request, 3))
            held.append(before - one.kv.available)
            if moved[-1]:
                one.received(request)
            one.submit(request)
    free, now, ended = one.kv.available, 0.0, list[tuple[int, float]]()
    while (end := one.begin(now)) is not None:
        now = end
        for request in one.finish(now):
            ended.append((request.id, now))
            if moved[request.id]:
                one.unpin(brought(request.id))
        one.kv.check()
    needed = tuple(-(-(r.prompt + r.output - 1) // 4) for r in requests)
    return Waiting(tuple(moved), tuple(held), free, needed, tuple(ended), one.busy)


def blocks_taken() -> Chart:
    """F36: what is brought for two that wait, and what is left."""
    rows = []
    for name, spare in (("all may be brought", 0.0), ("half must be left", 0.5)):
        found, at, bars = two_that_wait(spare), 0, list[Bar]()
        for id, blocks in enumerate(found.held):
            if blocks:
                bars.append(Bar(at, at + blocks, "bad" if found.stuck else "run", f"held for request {id}"))
            at += blocks
        bars.append(Bar(at, at + found.free, "free", "left"))
        ends = ", ".join(f"{id} ends at {when:.1f} s" for id, when in found.ended) or "both wait for ever"
        rows.append(Row(name, tuple(bars), note=ends))
    needed = two_that_wait(0.0).needed
    keys: Keys = (("bad", "brought, and nobody can run"), ("run", "brought"), ("free", "left"))
    lines = (Line(needed[0], "what one needs to end"),)
    return Chart("Seven blocks, two requests that wait", "blocks", tuple(rows), keys, lines=lines)
