"""The traces of the findings on placement (F21, F22): which conversations get a decoder, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import attrs

from mtpo.proofs.findings.chart import Bar, Chart, Keys, Line, Row
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.metrics import TurnRecord
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Turn, Workload, linear
from mtpo.schedulers.types import PlacementDecision, PlacementObservation, PlacementPolicy, is_oracle, sees_requests

LARGE: Final = "large"


def two_decoders(blocks: int) -> tuple[WorkerSetup, ...]:
    """A prefiller and two decoders of 2,048 tokens."""
    decoder = WorkerSetup(A40_QWEN_06B, Caps(128), prefills=False)
    return WorkerSetup(A40_QWEN_06B, Caps(blocks), decodes=False), decoder, decoder


@attrs.define
class Asked:
    """A placement policy whose decisions are kept."""

    policy: PlacementPolicy
    seen: list[tuple[PlacementObservation, PlacementDecision]] = attrs.field(factory=list)

    @property
    def requests(self) -> bool:
        """See :func:`~mtpo.schedulers.types.sees_requests`."""
        return sees_requests(self.policy)

    @property
    def oracle(self) -> bool:
        """See :func:`~mtpo.schedulers.types.is_oracle`."""
        return is_oracle(self.policy)

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        decision = self.policy.decide(observation)
        self.seen.append((observation, decision))
        return decision


def placed(placement: str, losses: tuple[Loss, ...] = ()) -> tuple[Outcome, Asked]:
    """Sixty conversations of 560 tokens, twenty a second, and as the eighth one of 1,920: what came of it, and what the
    policy was asked."""
    talks = [Conversation(f"small {n}", 0.05 * n, (Turn(500, 60),)) for n in range(60)]
    talks.insert(7, Conversation(LARGE, 0.3, (Turn(1900, 20),)))
    policy = Asked(load_policy(placement, "placement"))
    setup = Setup(Sarathi(512), two_decoders(10_000), placement=policy, losses=losses)
    return simulate(Workload("w", tuple(talks)), setup), policy


def before_the_large_one(outcome: Outcome) -> int:
    """How many small conversations had ended when it did."""
    order = [turn.conversation for turn in sorted(outcome.turns, key=lambda turn: turn.end)]
    return order.index(LARGE)


def _served(turn: TurnRecord, asked: Asked) -> tuple[Bar, ...]:
    """A turn, as the policy was asked of it: for a prefiller, then for a decoder; again when that was lost."""
    asks = [(seen, made) for seen, made in asked.seen if seen.conversation == turn.conversation]
    bars, large = list[Bar](), turn.conversation == LARGE
    for number, (seen, made) in enumerate(asks):
        until = asks[number + 1][0].now if number + 1 < len(asks) else turn.end
        if made.decode is not None:
            bars.append(Bar(seen.now, until, "good" if large else "run", "decodes"))
        elif made.prefill is not None and not seen.prefilled:
            began = max(seen.now, min(turn.began, until))
            bars += [Bar(seen.now, began, "wait", "before its prefill"), Bar(began, until, "run", "prefill")]
        else:
            bars.append(Bar(seen.now, until, "bad" if large else "wait", "waits for a decoder"))
    return tuple(_joined(bar for bar in bars if bar.end > bar.start))


def _joined(bars: Iterable[Bar]) -> Iterator[Bar]:
    """Bars that say the same, one after the other, as one."""
    for _, group in groupby(bars, key=lambda bar: bar.label):
        first, *rest = group
        yield attrs.evolve(first, end=rest[-1].end) if rest else first


def _line(title: str, placement: str, losses: tuple[Loss, ...] = ()) -> Chart:
    """The conversations in the order in which they came, the large one by name."""
    outcome, asked = placed(placement, losses)
    rows = []
    for turn in sorted(outcome.turns, key=lambda turn: turn.submitted):
        name = turn.conversation
        if name == LARGE:
            name = f"the large one: {before_the_large_one(outcome)} before it"
        rows.append(Row(name, _served(turn, asked), shown=turn.conversation == LARGE))
    lines = tuple(Line(loss.at, f"worker {loss.worker} is lost") for loss in losses)
    keys: Keys = (
        ("wait", "it waits"),
        ("run", "it is served"),
        ("bad", "the large one waits for a decoder"),
        ("good", "and is decoded"),
    )
    return Chart(title, "seconds", tuple(rows), keys, lines=lines, height=7)


def starved_by_a_poll() -> Chart:
    """F21: the large one is placed last."""
    return _line("conserve: each looks for room every 50 ms", "conserve:poll=0.05")


def placed_in_line() -> Chart:
    """F21, its mend: one line."""
    return _line("failover: one line", "failover:none")


LOST: Final = (Loss(1, 1.2),)


def lost_decoder() -> Chart:
    """F22, its mend: the line when a decoder is lost."""
    return _line("failover: one line, and a decoder that is lost", "failover:none", LOST)


GONE: Final = (Loss(1, 1.0),)


def later_turns(placement: str) -> Outcome:
    """Ten conversations of two turns, on two decoders of which one is lost after a second."""
    later = tuple(Conversation(str(n), 0.1 * n, linear(n, [(50, 20, 0.0), (50, 20, 1.0)])) for n in range(10))
    policy = load_policy(placement, "placement")
    return simulate(Workload("w", later), Setup(Sarathi(512), two_decoders(1000), placement=policy, losses=GONE))


def given_up(placement: str) -> Chart:
    """F22: which turns there were under a policy that knows nothing of losses."""
    outcome = later_turns(placement)
    rows = []
    for n in range(10):
        turns = [turn for turn in outcome.turns if turn.conversation == str(n)]
        bars = tuple(Bar(turn.submitted, turn.end, "run", f"turn {turn.turn}") for turn in turns)
        gone = f"turn {len(turns) + 1} is given up" if len(turns) < 2 else ""
        rows.append(Row(f"conversation {n}", bars, note=gone))
    title = f"{placement}: {outcome.abandoned} of ten conversations are given up"
    lines = tuple(Line(loss.at, f"worker {loss.worker} is lost") for loss in GONE)
    return Chart(title, "seconds", tuple(rows), (("run", "a turn"),), lines=lines)
